"""Docker hosts beside this machine: refused mistakes, the choice by free memory, how ssh logs in."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.docker_host import KEY, KNOWN_HOSTS, SSH_OPTIONS, known_hosts, write_login
from components.observation import Endpoint
from operations import branches, docker_hosts, tunnel
from operations.branches import Marks
from operations.copies import Copy, rows
from operations.daemon import Daemon
from operations.engine import Engine
from operations.errors import ConfigurationError, DockerError
from operations.steps import Steps
from operations.tunnel import HostUnreachable, Tunnel, _reason, tunnel_to
from settings import (
    BRANCH_SEED,
    DOCKER_KEY,
    DockerHost,
    Settings,
    SettingsError,
    load,
    stack_of,
)
from settings import (
    docker_hosts as parse,
)

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEBLKdHKdq5Bj2vzQJyAQlYTE4zNmFlZGZhYmNkZWZn"
ONE, TWO = "ssh://deploy@one.example.com", "ssh://root@192.0.2.7:2222"
LIST = [{"address": ONE, "hostKey": HOST_KEY}, {"address": TWO, "hostKey": HOST_KEY}]
Config = Callable[..., dict[str, Any]]


def problems(config: Config, root: Path, **staging: Any) -> list[str]:
    """The lines that refuse the configuration of a branch's copy."""
    values = config("staging", branch="x", **{BRANCH_SEED: "c2VlZA=="}, staging=staging)
    with pytest.raises(SettingsError) as refused:
        load(stack_of("x"), values, root)
    return refused.value.problems


@pytest.mark.parametrize(
    ("docker", "line"),
    [
        (
            ONE,
            "itqan:staging.docker: 'ssh://deploy@one.example.com': allowed: a list of {address: ssh://USER@HOST",
        ),
        (
            [ONE],
            "itqan:staging.docker.0: 'ssh://deploy@one.example.com': allowed: a list of {address: ssh://",
        ),
        ([{"address": ONE}], "itqan:staging.docker.0.hostKey: missing; allowed: a public host key"),
        (
            [{"address": "tcp://one:2375", "hostKey": HOST_KEY}],
            "itqan:staging.docker.0.address: 'tcp://one:2375': allowed: ssh://USER@HOST or ssh://USER@HOST:PORT",
        ),
        (
            [{"address": "ssh://one", "hostKey": HOST_KEY}],
            "itqan:staging.docker.0.address: 'ssh://one': allowed: ",
        ),
        (
            [{"address": "ssh://a@b:99999", "hostKey": HOST_KEY}],
            "itqan:staging.docker.0.address: 'ssh://a@b:99999': allowed: a port from 1 to 65535",
        ),
        (
            [{"address": "ssh://a@-oProxyCommand=x", "hostKey": HOST_KEY}],
            "itqan:staging.docker.0.address: 'ssh://a@-oProxyCommand=x': allowed: ssh://USER@HOST",
        ),
        (
            [{"address": ONE, "hostKey": "SHA256:abc"}],
            "itqan:staging.docker.0.hostKey: 'SHA256:abc': allowed: ",
        ),
        ([LIST[0], LIST[0]], f"itqan:staging.docker: {ONE} stands twice; each Docker host once"),
        (
            [{**LIST[0], "weight": 1}],
            "itqan:staging.docker.0.weight: unknown key; remove it or correct its spelling",
        ),
    ],
)
def test_a_mistake_is_one_line(config: Config, root: Path, docker: Any, line: str) -> None:
    found = problems(config, root, docker=docker)
    assert len(found) == 1 and found[0].startswith(line), found
    with pytest.raises(SettingsError) as refused:
        parse({"staging": {"docker": docker}})
    assert refused.value.problems == found


def test_the_chosen_host_is_one_of_the_list_and_needs_the_key(config: Config, root: Path) -> None:
    (line,) = problems(config, root, docker=LIST, dockerHost="ssh://deploy@gone.example.com")
    assert line == (
        "itqan:staging.dockerHost: ssh://deploy@gone.example.com: the copy is there, "
        "and itqan:staging.docker names it not"
    )
    values = config("staging", branch="x", **{BRANCH_SEED: "c2VlZA==", DOCKER_KEY: None})
    values["staging"] = {"docker": LIST, "dockerHost": ONE}
    with pytest.raises(SettingsError, match=rf"itqan:dockerPrivateKey    # logs in on {ONE}"):
        load(stack_of("x"), values, root)


def test_the_parts_of_an_address() -> None:
    one, two = (DockerHost.model_validate(host) for host in LIST)
    assert (one.user, one.name, one.port) == ("deploy", "one.example.com", 22)
    assert (two.user, two.name, two.port) == ("root", "192.0.2.7", 2222)
    assert known_hosts([one, two]) == f"one.example.com {HOST_KEY}\n[192.0.2.7]:2222 {HOST_KEY}\n"


def test_a_copy_is_reached_through_its_docker_host(
    config: Config, root: Path, secrets: dict[str, str]
) -> None:
    staging = {"docker": LIST, "dockerHost": TWO, "dockerCgroups": 2}
    values = config("staging", branch="x", **{BRANCH_SEED: "c2VlZA=="}, staging=staging)
    endpoint = Endpoint.of(load(stack_of("x"), values, root))
    assert endpoint.proxy == Endpoint("192.0.2.7", 2222, "root", secrets[DOCKER_KEY], HOST_KEY, DOCKER_KEY)
    assert endpoint.words == f"root@{endpoint.host} port 22 through root@192.0.2.7 port 2222"


def test_a_list_alone_moves_nothing(stack: Callable[..., Settings]) -> None:
    settings = stack("staging", staging={"docker": LIST})
    assert settings.docker_host is None
    assert Endpoint.of(settings).proxy is None


def test_the_login_is_only_the_owners_and_written_once(tmp_path: Path) -> None:
    hosts = [DockerHost.model_validate(host) for host in LIST]
    for _ in range(2):
        write_login(hosts, "key\n", tmp_path)
    assert (tmp_path / KEY).read_text() == "key\n"
    assert [(tmp_path / path).stat().st_mode & 0o777 for path in (KEY, KNOWN_HOSTS)] == [0o600, 0o600]
    assert (tmp_path / KEY).parent.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in (tmp_path / KEY).parent.iterdir()) == ["key", "known_hosts"]


def test_ssh_accepts_the_options(tmp_path: Path) -> None:
    """`ssh -G` prints what it would do."""
    (tmp_path / KEY).parent.mkdir(parents=True)
    (tmp_path / KEY).touch()
    said = subprocess.run(
        ["ssh", *SSH_OPTIONS, "-G", "-l", "deploy", "one.example.com"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for line in ("stricthostkeychecking true", f"userknownhostsfile {KNOWN_HOSTS}", f"identityfile {KEY}"):
        assert line in said
    assert "globalknownhostsfile /dev/null" in said


GB = 10**9


def tunnel_of(host: dict[str, str], memory: int) -> Tunnel:
    """A connection that stands."""
    return Tunnel(DockerHost.model_validate(host), memory, Daemon("unix:///nowhere"))


@pytest.mark.parametrize(("memory", "chosen"), [((4, 8), TWO), ((8, 4), ONE), ((4, 4), ONE)])
def test_the_most_free_memory_wins(
    monkeypatch: pytest.MonkeyPatch, memory: tuple[int, int], chosen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [tunnel_of(host, free * GB) for host, free in zip(LIST, memory, strict=True)]
    monkeypatch.setattr(docker_hosts, "tunnels", lambda _: (found, []))
    hosts = [one.host for one in found]
    assert docker_hosts.choose_host(hosts, Steps()).address == chosen
    said = capsys.readouterr().err
    assert f"the copy goes to {chosen}; free memory: {ONE} {memory[0]}.0 GB, {TWO} {memory[1]}.0 GB" in said


def test_a_silent_host_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = [HostUnreachable(f"Docker host {ONE}: Connection refused")]
    monkeypatch.setattr(docker_hosts, "tunnels", lambda _: ([tunnel_of(LIST[1], GB)], silent))
    assert docker_hosts.choose_host(parse({"staging": {"docker": LIST}}), Steps()).address == TWO
    assert f"left out: Docker host {ONE}: Connection refused" in capsys.readouterr().err


def test_no_host_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = [HostUnreachable(f"Docker host {ONE}: Connection refused")]
    monkeypatch.setattr(docker_hosts, "tunnels", lambda _: ([], silent))
    with pytest.raises(DockerError) as refused:
        docker_hosts.choose_host(parse({"staging": {"docker": LIST[:1]}}), Steps())
    assert str(refused.value).splitlines() == [
        "none of the Docker hosts of itqan:staging.docker answers:",
        f"  Docker host {ONE}: Connection refused",
        "  see to one of them; without itqan:staging.docker in Pulumi.staging.yaml, "
        "copies are on this machine",
    ]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.",
            "another host key",
        ),
        ("Host key verification failed.", "another host key than the pinned one; do not go on before"),
        ("deploy@one: Permission denied (publickey).", "does not let the key of itqan:dockerPrivateKey in"),
        ('Load key ".itqan/docker/key": error in libcrypto\nPermission denied', "ssh cannot read"),
        ("ssh: connect to host one port 22: Connection refused\r\n", "Connection refused"),
        ("", "no answer within 15 s"),
    ],
)
def test_why_ssh_failed_is_one_line(said: str, reason: str) -> None:
    found = _reason(DockerHost.model_validate(LIST[0]), said)
    assert reason in found and "\n" not in found


@pytest.fixture
def fake_ssh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], DockerHost]]:
    """A function: puts a program in the place of ssh. Returns a host to reach."""
    for name, empty in (("_open", {}), ("_processes", []), ("_folders", [])):
        monkeypatch.setattr(tunnel, name, empty)
    monkeypatch.setattr(tunnel, "PATIENCE", 1.0)

    def make(script: str) -> DockerHost:
        (tmp_path / "ssh").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "ssh").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return DockerHost.model_validate(LIST[0])

    yield make
    tunnel.close_tunnels()


def test_a_connection_is_opened_once(fake_ssh: Callable[[str], DockerHost], tmp_path: Path) -> None:
    host = fake_ssh(f"echo called >>{tmp_path}/calls; echo memory 2048; exec cat")
    assert tunnel_to(host).memory == 2048 * 1024
    assert tunnel_to(host) is tunnel_to(host)
    assert (tmp_path / "calls").read_text() == "called\n"
    (process,) = tunnel._processes
    (folder,) = tunnel._folders
    tunnel.close_tunnels()
    assert process.poll() is not None and not folder.exists()


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("echo problem no program docker there", f"Docker host {ONE}: no program docker there"),
        ("echo 'Host is down' >&2; exit 255", f"Docker host {ONE}: Host is down"),
        ("exec sleep 30", f"Docker host {ONE}: no answer within 1 s"),
        (
            "echo menu; exec sleep 30",
            f"Docker host {ONE}: it answers 'menu', and commands of a shell are asked for",
        ),
    ],
)
def test_a_host_that_cannot_be_used(fake_ssh: Callable[[str], DockerHost], script: str, line: str) -> None:
    with pytest.raises(HostUnreachable) as refused:
        tunnel_to(fake_ssh(script))
    assert str(refused.value) == line


def test_a_machine_without_ssh(
    monkeypatch: pytest.MonkeyPatch, fake_ssh: Callable[[str], DockerHost], tmp_path: Path
) -> None:
    host = fake_ssh("")
    (tmp_path / "ssh").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostUnreachable, match="no program ssh here; type: sudo apt-get install"):
        tunnel_to(host)


def test_a_copy_whose_host_is_named_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_hosts, "project_hosts", lambda: [DockerHost.model_validate(LIST[0])])
    assert docker_hosts.named_host(None) is None
    found = docker_hosts.named_host(ONE)
    assert found and found.address == ONE
    with pytest.raises(ConfigurationError, match=rf"on the Docker host {TWO}, which .* names no more"):
        docker_hosts.named_host(TWO)


@pytest.mark.parametrize(
    ("marks", "placed"),
    [
        (Marks(None, None), TWO),  # a new one is chosen a host for
        (Marks("x", "id", ONE), ONE),  # one that is up stays
        (Marks("x", None, ONE), ONE),  # one whose making was killed, too
        (Marks("x", "id"), None),  # and one that was on this machine before there was a list
    ],
)
def test_where_a_copy_is_put(monkeypatch: pytest.MonkeyPatch, marks: Marks, placed: str | None) -> None:
    hosts = parse({"staging": {"docker": LIST}})
    for module in (docker_hosts, branches):
        monkeypatch.setattr(module, "project_hosts", lambda: hosts)
    monkeypatch.setattr(branches, "choose_host", lambda given, _: given[1])
    found = branches._place(marks, Steps())
    assert (found.address if found else None) == placed


def test_the_list_tells_of_a_host_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import operations.copies as copies

    silent = [HostUnreachable(f"Docker host {ONE}: Connection refused")]
    monkeypatch.setattr(copies, "project_hosts", lambda: [DockerHost.model_validate(LIST[0])])
    monkeypatch.setattr(copies, "ensure_login", lambda *_: None)
    monkeypatch.setattr(copies, "tunnels", lambda _: ([], silent))
    listed = rows([Copy("staging-x", "x", "id", 0, {}, ONE)], Engine(tmp_path), Steps())
    assert [(row.host, row.health, row.memory) for row in listed] == [
        (ONE, "its Docker host does not answer", None)
    ]
    assert capsys.readouterr().err == f"  Docker host {ONE}: Connection refused\n"
    assert json.loads(copies.to_json(listed))[0]["host"] == ONE

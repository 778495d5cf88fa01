"""`shell`, `artisan`, `mysql`, `redis`: the right user and words, what is noted, and what is asked before."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from components.observation import Endpoint
from components.release import SESSION
from components.render import host_script
from components.session import Session, command, known_hosts, ssh
from components.unit import Unit
from operations import cli, production, session
from operations.errors import OperationError
from operations.releases import parsed, sessions
from settings import Settings
from tests.fakes.release_host import needs_root

WORDS = ("a b", "$HOME", "x'y", '"', "*", "new\nline", "", "--help", "-x", "\\")
# A program in the place of PHP, mysql, redis-cli: how it was called, and its exit status.
FAKE = """#!/bin/bash
printf '%s\\0' "${0##*/}" "$@" >"{folder}/called"
if [ "${{*: -1}}" = ping ]; then [ "${{REDISCLI_AUTH-}}" = 'pa"ss\\w' ] && echo PONG || echo NOAUTH; exit; fi
env >"{folder}/environment"; pwd >"{folder}/where"; cat >"{folder}/input"
exit 7
"""
PLACES = (
    ("/etc/itqan/", "{folder}/etc/"),
    ("/var/log/itqan", "{folder}/log"),
    ("/run/itqan-", "{folder}/run-"),
    ("PATH=/usr", "PATH={folder}/bin:/usr"),
)
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path, prod: Settings) -> Run:
    """A function: a session as a host's sshd starts it, with all that is the host's in a folder."""
    folder = tmp_path / "host"
    for name in ("bin", "etc", "app"):
        (folder / name).mkdir(parents=True)
    for name in ("php8.4", "mysql", "redis-cli"):
        path = folder / "bin" / name
        path.write_text(FAKE.replace("{folder}", str(folder)).replace("{{", "{").replace("}}", "}"))
        path.chmod(0o755)
    conf = f"ROOT={folder}/app\nDEPLOY_USER=root\nWEB_USER=root\nPHP=php8.4\nDATABASE=itqan_platform\n"
    (folder / "etc" / "release.conf").write_text(conf)
    (folder / "etc" / "database.cnf").write_text('[client]\npassword="geheim"\n')
    (folder / "etc" / "redis.login").write_text('ECHO "x"\nAUTH default "old"\nAUTH default "pa\\"ss\\\\w"\n')
    (folder / "etc" / "stack").write_text(f"stack {prod.owner}\n")
    program = host_script("session/session.sh")
    for old, new in PLACES:
        program = program.replace(old, new.format(folder=folder))
    (folder / "itqan-session").write_text(program)
    (folder / "itqan-session").chmod(0o755)

    def started(kind: str, *words: str, noted: str = "", stdin: str = "") -> subprocess.CompletedProcess[str]:
        endpoint = Endpoint("192.0.2.1", 22, "root", "", "")
        text = command(prod, endpoint, Session(kind, words, "", noted, "ali at laptop"))
        text = text.replace(SESSION, str(folder / "itqan-session"))
        environment = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"}
        return subprocess.run(
            ["sh", "-c", text], input=stdin, env=environment, capture_output=True, text=True, check=False
        )

    return started


def called(tmp_path: Path) -> list[str]:
    return (tmp_path / "host" / "called").read_text().split("\0")[:-1]


def said(tmp_path: Path, name: str) -> str:
    return (tmp_path / "host" / name).read_text()


@needs_root
def test_artisan_gets_its_words_input_and_folder_and_gives_its_status(run: Run, tmp_path: Path) -> None:
    done = run("artisan", *WORDS, stdin="one\ntwo\n")
    assert (done.returncode, done.stderr) == (7, "")
    assert called(tmp_path) == ["php8.4", "artisan", *WORDS]
    assert said(tmp_path, "input") == "one\ntwo\n"
    assert said(tmp_path, "where").strip() == f"{tmp_path}/host/app"
    environment = dict(
        line.split("=", 1) for line in said(tmp_path, "environment").splitlines() if "=" in line
    )
    assert environment["USER"] == "root"
    assert environment["HOME"] == "/root"


@needs_root
def test_a_shell_runs_one_command_exactly_or_what_is_piped_in(run: Run, tmp_path: Path) -> None:
    done = run("shell", "printf", r"%s\0", *WORDS)
    assert done.stdout.split("\0")[:-1] == list(WORDS)
    assert run("shell", stdin="pwd; exit 5\n").returncode == 5
    assert run("shell", stdin="pwd\n").stdout.strip() == f"{tmp_path}/host/app"


@needs_root
def test_the_databases_client_is_told_by_a_file_who_it_is(run: Run, tmp_path: Path) -> None:
    assert run("mysql", "-e", "SELECT 1", stdin="x").returncode == 7
    words = called(tmp_path)
    assert words[:2] == ["mysql", f"--defaults-file={tmp_path}/host/etc/database.cnf"]
    assert "--database=itqan_platform" in words
    assert words[-2:] == ["-e", "SELECT 1"]
    assert words[-3] == "--prompt=prod [\\d]> "
    assert "geheim" not in "".join(words) + said(tmp_path, "environment")
    (tmp_path / "host" / "etc" / "database.cnf").unlink()
    assert "first: ./itqan up --stack prod" in run("mysql").stderr


@needs_root
def test_redis_is_logged_in_with_the_password_that_it_takes(run: Run, tmp_path: Path) -> None:
    assert run("redis", "info").returncode == 7
    assert called(tmp_path) == ["redis-cli", "-h", "127.0.0.1", "-p", "6379", "info"]
    assert 'REDISCLI_AUTH=pa"ss\\w\n' in said(tmp_path, "environment")
    (tmp_path / "host" / "etc" / "redis.login").unlink()
    run("redis", "info")
    assert "REDISCLI_AUTH" not in said(tmp_path, "environment")


@needs_root
def test_a_session_is_a_line_among_the_releases_and_no_release(run: Run, tmp_path: Path) -> None:
    run("artisan", "about", noted='artisan about "x"')
    run("artisan", "about")
    text = said(tmp_path, "log/releases.jsonl")
    [visit] = sessions(text)
    assert visit.session == 'artisan about "x"'
    assert visit.by.endswith(" (ali at laptop)")
    assert parsed(text) == []
    assert set(json.loads(text)) == {"when", "session", "by"}


@needs_root
def test_another_stacks_host_and_one_without_a_release_are_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "host" / "etc" / "stack").write_text("stack itqan/other x\n")
    refused = run("artisan", "about", noted="x")
    assert refused.returncode == 1
    assert "this host belongs to stack itqan/other x, not to itqan/prod" in refused.stderr
    (tmp_path / "host" / "etc" / "stack").unlink()
    (tmp_path / "host" / "etc" / "release.conf").unlink()
    assert "nothing was released on this host yet" in run("artisan").stderr
    assert not (tmp_path / "host" / "called").exists()


# -- this end


def test_ssh_knows_the_pinned_key_and_nobody_elses(prod: Settings) -> None:
    endpoint = Endpoint.of(prod)
    words = ssh(endpoint, "/a/known hosts", [], terminal=True)
    options = " ".join(words)
    assert words[0] == "ssh"
    assert words[-7:] == ["-tt", "-l", "deploy", "-p", "22", "--", "72.62.92.156"]
    assert "-F /dev/null" in options
    assert "StrictHostKeyChecking=yes" in options
    assert "UserKnownHostsFile='/a/known hosts'" in words
    assert endpoint.private_key not in options
    assert known_hosts(endpoint) == f"72.62.92.156 {endpoint.host_key}\n"
    assert "-T" in ssh(endpoint, "k", [], terminal=False)


def test_a_copy_elsewhere_is_reached_through_its_docker_host(prod: Settings) -> None:
    words = ssh(Endpoint.of(prod), "k", ["ssh", "-l", "me", "--", "a b"], terminal=False)
    assert "ProxyCommand=ssh -l me -- 'a b'" in words


def test_only_a_server_is_entered_as_root_through_sudo(prod: Settings, staging: Settings) -> None:
    asked = Session("shell", (), "", "", "")
    assert f"; exec sudo -n {SESSION} " in command(prod, Endpoint.of(prod), asked)
    assert f"; exec {SESSION} " in command(staging, Endpoint.of(staging), asked)


def test_the_program_is_a_units(prod_units: dict[str, Unit]) -> None:
    assert f"file {SESSION} root:root 755 " in prod_units["release/session"].expect


@needs_root
def test_a_host_that_has_no_such_program_yet_is_told_what_to_type(run: Run, tmp_path: Path) -> None:
    (tmp_path / "host" / "itqan-session").unlink()
    done = run("artisan", "about")
    assert done.returncode == 1
    assert "is not on the host yet; first: ./itqan up --stack prod" in done.stderr


START = """
import os, sys
sys.path.insert(0, {root!r})
from operations.session import START, _give_key
_give_key({key!r})
os.execvp("ssh-agent", ["ssh-agent", "sh", "-c", START, "itqan", "one", "two words"])
"""


@pytest.mark.parametrize("status", [0, 7, 255])
def test_the_key_is_an_agents_and_never_a_file(
    tmp_path: Path, prod: Settings, root: Path, status: int
) -> None:
    fake = tmp_path / "ssh"
    fake.write_text(
        f'#!/bin/sh\nssh-add -L\necho "$2" "$SSH_AGENT_PID"\nif true <&3; then echo open; fi\nexit {status}\n'
    )
    fake.chmod(0o755)
    key = prod.ssh_private_key.get_secret_value()
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [str(root / ".itqan/venv/bin/python"), "-c", START.format(root=str(root), key=key)],
        env={**environment, "ITQAN_HOST": "deploy@192.0.2.1", "ITQAN_STACK": "prod", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    public, last = done.stdout.splitlines()
    assert (done.returncode, public.split()[0]) == (status, "ssh-ed25519")
    words, _, agent = last.rpartition(" ")
    assert words == "two words"
    assert ("./itqan health prod" in done.stderr) == (status == 255)
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{agent}/fd"):  # noqa: PTH110 (one that ends while it is looked at is no error)
        assert time.monotonic() < deadline, "the agent lives on"
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path != fake] == []


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("migrate:fresh --force", "migrate:fresh"),
        ("--env=production db:wipe", "db:wipe"),
        ("-v migrate:refresh", "migrate:refresh"),
        ("mig:f", "migrate:fresh"),
        ("D:W", "db:wipe"),
        ("queue:flush", "queue:flush"),
        ("tenants:migrate-fresh", "tenants:migrate-fresh"),
        ("migrate --force", None),
        ("migrate:status", None),
        ("queue:retry all", None),
        ("help migrate:fresh", None),
        ("db:seed", None),
        ("", None),
    ],
)
def test_what_destroys_data_is_known_by_every_name(words: str, found: str | None) -> None:
    assert production.destroying(words.split()) == found


def test_it_asks_for_the_databases_name(prod: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "itqan_platform")
    production.require_meant(prod, "db:wipe")
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    with pytest.raises(OperationError, match="nothing was started"):
        production.require_meant(prod, "db:wipe")
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(OperationError, match="db:wipe destroys data of prod"):
        production.require_meant(prod, "db:wipe")


def test_production_is_a_server_and_what_calls_itself_that(
    prod: Settings, staging: Settings, stack: Callable[..., Settings]
) -> None:
    assert production.is_production(prod)
    assert not production.is_production(staging)
    assert production.is_production(stack("staging", environment={"APP_ENV": "production"}))


@pytest.mark.parametrize(
    ("words", "noted"),
    [
        (("user:make", "--password=x", "--name=y"), "artisan user:make --password=… --name=y"),
        (("x", "--api-token=a\nb"), "artisan x --api-token=…"),
        (("--path=database/migrations",), "artisan --path=database/migrations"),
    ],
)
def test_what_looks_like_a_secret_is_not_noted(words: Sequence[str], noted: str) -> None:
    assert session.noted_words("artisan", words) == noted


@pytest.mark.parametrize("line", ["artisan prod --version", "artisan prod -h", "shell prod -- ls -la"])
def test_options_are_the_programs_own(line: str) -> None:
    kind, stack_name, *words = line.split()
    found = cli.command_line().parse_args(line.split())
    assert (found.run.__name__, found.stack) == (kind, stack_name)
    # a first `--` is argparse's or ours to take away, by the version of Python
    assert [word for word in found.words if word != "--"] == [word for word in words if word != "--"]


def test_a_machine_without_ssh_is_told_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OperationError, match="no program ssh, ssh-agent, ssh-add here; type: sudo apt-get"):
        session.require_ssh()

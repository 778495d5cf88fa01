"""Copies on two further Docker hosts: one is chosen, the copy stays there, and nothing of it is left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import urllib3
import yaml

from settings import stack_of
from tests.branches.project import Checkout, Repository, docker_names
from tests.remote.docker_host import IMAGE, DockerHost, build, docker

ONE, TWO = "remote-one", "remote-two"
# Not the edge's usual port: this machine may have an edge of its own.
EDGE = "127.0.0.1:18443"


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Where everything of the story is."""
    with TemporaryDirectory(prefix="itqan-remote-") as made:
        yield Path(made)


@pytest.fixture(scope="session")
def repository(folder: Path) -> Repository:
    """The sample application with two branches beside main, in a folder that the Docker hosts see too."""
    (folder / "git").mkdir()
    made = Repository.of_sample(folder / "git")
    made.push(ONE, "one at first")
    made.push(TWO, "two at first")
    return made


@pytest.fixture(scope="session")
def hosts(folder: Path, repository: Repository, base: str) -> Iterator[tuple[DockerHost, DockerHost]]:
    """A small Docker host and a big one."""
    build(base)
    names = ("itqan-remote-small", "itqan-remote-big")
    made = []
    try:
        for name in names:
            made.append(DockerHost.start(name, folder, repository.bare.parent))
        made[1].has_free(16)
        yield made[0], made[1]
    finally:
        for name in names:
            DockerHost(name, folder).remove()
        docker("rmi", "--force", IMAGE)


@pytest.fixture(scope="session")
def small(hosts: tuple[DockerHost, DockerHost]) -> DockerHost:
    """The one with less free memory."""
    return hosts[0]


@pytest.fixture(scope="session")
def big(hosts: tuple[DockerHost, DockerHost]) -> DockerHost:
    """The one with more."""
    return hosts[1]


@pytest.fixture(scope="session")
def here(folder: Path, repository: Repository, small: DockerHost, big: DockerHost) -> Checkout:
    """A developer's machine."""
    made = Checkout.make(folder / "here", repository)
    name(made, [small.as_setting(), big.as_setting()])
    return made


def name(checkout: Checkout, docker: list[dict[str, str]]) -> None:
    """Names the Docker hosts in Pulumi.staging.yaml, beside what runs have noted there."""
    file = checkout.folder / "Pulumi.staging.yaml"
    document = yaml.safe_load(file.read_text())
    staging = document["config"].setdefault("itqan:staging", {})
    staging.update({"edge": EDGE, "docker": docker})
    file.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def last_line(said: str) -> str:
    """The last line of an error."""
    return said.rstrip().splitlines()[-1]


def test_a_host_has_to_let_the_key_in(here: Checkout, small: DockerHost, big: DockerHost) -> None:
    """The key is made at the first run; the line to type on each host is told."""
    _, said = here.itqan("branch", "up", ONE, status=1)
    assert "none of the Docker hosts of itqan:staging.docker answers" in said
    lines = re.findall(r"does not let the key of itqan:dockerPrivateKey in; as deploy there: (.*)", said)
    assert len(lines) == 2
    for host, line in zip((small, big), lines, strict=True):
        host.as_deploy(line)
    assert here.copies() == {}


def test_another_host_key_than_the_pinned_one(here: Checkout, small: DockerHost, big: DockerHost) -> None:
    wrong = {**big.as_setting(), "hostKey": small.host_key}
    name(here, [wrong])
    _, said = here.itqan("branch", "up", ONE, status=1)
    assert f"Docker host {big.address}: it shows another host key than the pinned one" in said
    assert not big.names("itqan.project=itqan")
    name(here, [small.as_setting(), big.as_setting()])


def test_a_copy_comes_up_where_most_memory_is_free(
    here: Checkout, small: DockerHost, big: DockerHost
) -> None:
    _, said = here.itqan("branch", "up", ONE)
    free = f"free memory: {small.address} 4.0 GB, {big.address} 16.0 GB"
    assert f"the copy goes to {big.address}; {free}" in said
    stack = stack_of(ONE)
    there = [f"itqan-{stack}-registrar", f"itqan-{stack}-server"]
    assert sorted(big.names(f"itqan.stack={stack}")) == [f"itqan-{stack}", *there]
    assert not small.names(f"itqan.stack={stack}")
    assert not docker_names(f"itqan.stack={stack}")
    assert here.outputs(stack)["dockerHost"] == big.address


def test_the_list(here: Checkout, big: DockerHost) -> None:
    copy = here.copies()[ONE]
    assert (copy["host"], copy["health"]) == (big.address, "ok")
    assert copy["memory"] > 0
    assert big.address in here.itqan("branch", "list")[0]


def test_the_page_through_that_hosts_edge(here: Checkout, folder: Path) -> None:
    """With the line that `branch open` prints, a browser here gets there."""
    assert "one at first" in page(here, ONE, folder)


def page(here: Checkout, branch: str, folder: Path) -> str:
    """The page of a copy as a browser on this machine gets it, the certificate verified."""
    told, _ = here.itqan("branch", "open", branch)
    line = next(line.strip() for line in told.splitlines() if line.strip().startswith("ssh -N"))
    outputs = here.outputs(stack_of(branch))
    root = folder / "root.pem"
    root.write_text(outputs["rootCertificate"])
    address, _, port = EDGE.partition(":")
    forward = subprocess.Popen(["bash", "-c", f"exec {line}"], cwd=here.folder)
    retries = urllib3.Retry(total=40, connect=40, read=0, redirect=0, backoff_factor=0.05)
    domain = outputs["domain"]
    try:
        with urllib3.HTTPSConnectionPool(
            address, int(port), ca_certs=str(root), server_hostname=domain, assert_hostname=domain, timeout=15
        ) as pool:
            answer = pool.request("GET", "/", headers={"Host": domain}, retries=retries)
    finally:
        forward.terminate()
        forward.wait()
    assert answer.status == 200, answer.data
    return answer.data.decode()


def test_a_push_is_released_where_the_copy_is(
    here: Checkout, repository: Repository, small: DockerHost, folder: Path
) -> None:
    """Also when another host has more free memory by now."""
    small.has_free(64)
    commit = repository.push(ONE, "one again")
    printed, said = here.itqan("branch", "up", ONE)
    assert " is up: 1 changed, " in printed, said
    assert here.outputs(stack_of(ONE))["release"] == commit
    assert "one again" in page(here, ONE, folder)
    assert not small.names(f"itqan.stack={stack_of(ONE)}")


def test_audit_and_preview_look_there(here: Checkout) -> None:
    here.itqan("audit", stack_of(ONE))
    here.itqan("preview", "--stack", stack_of(ONE))


def test_the_smoke_tests_go_there(here: Checkout) -> None:
    printed, _ = here.itqan("ci", "smoke", stack_of(ONE))
    assert printed.rstrip().endswith("5 of 5 smoke tests passed")


def test_a_run_that_was_killed_is_continued_there(
    here: Checkout, repository: Repository, big: DockerHost, folder: Path
) -> None:
    repository.push(ONE, "one after a kill")
    killed = here.start("branch", "up", ONE)
    assert killed.stderr is not None
    next(line for line in killed.stderr if "observed" in line or "release" in line)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    here.itqan("branch", "up", ONE)
    assert "one after a kill" in page(here, ONE, folder)
    assert len(big.names(f"itqan.stack={stack_of(ONE)}")) == 3


def test_another_machine_finds_it_there(here: Checkout, folder: Path, repository: Repository) -> None:
    runner = Checkout.make(folder / "runner", repository, backend_of=here)
    assert runner.copies()[ONE]["health"] == "ok"
    printed, _ = runner.itqan("branch", "up", ONE)
    assert " is up: nothing to do, " in printed


def test_a_host_that_is_down_is_one_line(here: Checkout, big: DockerHost) -> None:
    big.run("kill $(cat /run/sshd.pid)")
    try:
        _, said = here.itqan("branch", "up", ONE, status=1)
        assert last_line(said).startswith(f"itqan: Docker host {big.address}: ssh: connect to host")
        _, said = here.itqan("branch", "down", ONE, status=1)
        assert last_line(said).startswith(f"itqan: Docker host {big.address}: ssh: connect to host")
        printed, said = here.itqan("branch", "list", "--json")
        assert json.loads(printed)[0]["health"] == "its Docker host does not answer"
        assert f"Docker host {big.address}: ssh: connect to host" in said
        _, said = here.itqan("branch", "sweep", "--dry-run")
        assert f"not swept: Docker host {big.address}: ssh: connect to host" in said
        assert f"left alone: stack {stack_of(ONE)}: its Docker host {big.address} is not reached" in said
    finally:
        big.run("/usr/sbin/sshd")


def test_a_host_that_is_named_no_more(here: Checkout, small: DockerHost, big: DockerHost) -> None:
    name(here, [small.as_setting()])
    _, said = here.itqan("branch", "up", ONE, status=1)
    assert f"a copy is on the Docker host {big.address}, which itqan:staging.docker" in last_line(said)
    _, said = here.itqan("branch", "list")
    assert f"Docker host {big.address}: itqan:staging.docker names it no more" in said
    name(here, [small.as_setting(), big.as_setting()])


def test_down_leaves_nothing_there(here: Checkout, big: DockerHost) -> None:
    here.itqan("branch", "down", ONE)
    assert not big.names(f"itqan.stack={stack_of(ONE)}")
    assert here.copies() == {}


def test_a_sweep_goes_there(
    here: Checkout, repository: Repository, small: DockerHost, big: DockerHost
) -> None:
    small.has_free(1)
    here.itqan("branch", "up", TWO)
    assert here.copies()[TWO]["host"] == big.address
    big.run("docker network create --label itqan.project=itqan --label itqan.stack=staging-lost lost")
    repository.remove(TWO)
    _, said = here.itqan("branch", "sweep")
    assert f"Removing the copy of {TWO}" in said
    assert big.names("itqan.project=itqan") == ["lost"], "of another backend"
    assert here.copies() == {}


def test_no_connection_is_left() -> None:
    """What the commands opened has ended with them."""
    deadline = time.monotonic() + 10
    while left := _connections():
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def _connections() -> list[str]:
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if " ssh -F /dev/null " in line and "deploy" in line]

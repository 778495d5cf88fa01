"""A copy whose state is in PostgreSQL: two machines, the backend's own lock, and a run that was killed."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from settings import stack_of
from tests.branches.project import BACKEND, Checkout, Repository, finished, page
from tests.remote.docker_host import START_LIMIT, docker

BRANCH = "remote-state"
IMAGE, NAME = "itqan-remote-postgres", "itqan-remote-postgres"


@pytest.fixture(scope="module")
def url(base: str) -> Iterator[str]:
    """The address of a database that keeps states."""
    folder = Path(__file__).parent / "postgres"
    docker("build", "-q", "-t", IMAGE, "--build-arg", f"BASE={base}", str(folder))
    try:
        docker("run", "--detach", f"--name={NAME}", IMAGE)
        address = docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", NAME)
        _wait(address, 5432)
        yield f"postgres://itqan:tests@{address}/states?sslmode=disable"
    finally:
        docker("rm", "--force", "--volumes", NAME)
        docker("rmi", "--force", IMAGE)


def _wait(address: str, port: int) -> None:
    deadline = time.monotonic() + START_LIMIT
    while True:
        try:
            return socket.create_connection((address, port), 1).close()
        except OSError:
            assert time.monotonic() < deadline, docker("logs", NAME)
            time.sleep(0.2)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where everything of the story is."""
    with TemporaryDirectory(prefix="itqan-remote-") as made:
        yield Path(made)


@pytest.fixture(scope="module")
def repository(folder: Path) -> Repository:
    """The sample application, with a branch beside main."""
    made = Repository.of_sample(folder)
    made.push(BRANCH, "one")
    return made


@pytest.fixture(scope="module")
def here(folder: Path, repository: Repository, url: str) -> Iterator[Checkout]:
    """A machine whose environment names the database."""
    made = Checkout(Checkout.make(folder / "here", repository).folder, {"PULUMI_BACKEND_URL": url})
    yield made
    made.itqan("branch", "down", BRANCH)
    assert made.copies() == {}


@pytest.fixture(scope="module")
def runner(folder: Path, repository: Repository, here: Checkout, url: str) -> Checkout:
    """Another machine, with the same files, passphrase and backend."""
    made = Checkout.make(folder / "runner", repository, backend_of=here)
    assert "PULUMI_BACKEND_URL" in BACKEND
    return Checkout(made.folder, {**made.variables, "PULUMI_BACKEND_URL": url})


def test_a_copy_comes_up_and_the_second_run_finds_it(here: Checkout, folder: Path) -> None:
    here.itqan("branch", "up", BRANCH)
    assert "one" in page(here.outputs(stack_of(BRANCH)), folder)
    printed, _ = here.itqan("branch", "up", BRANCH)
    assert " is up: nothing to do, " in printed
    assert not list((here.folder / ".itqan/state").glob("**/*.json"))


def test_another_machine_waits_for_the_lock(
    here: Checkout, runner: Checkout, repository: Repository, folder: Path
) -> None:
    repository.push(BRANCH, "two")
    first = here.start("branch", "up", BRANCH)
    assert first.stderr is not None
    next(line for line in first.stderr if "observed" in line or "release" in line)
    second = runner.start("branch", "up", BRANCH)
    finished(second)
    finished(first)
    assert "two" in page(here.outputs(stack_of(BRANCH)), folder)
    assert runner.copies()[BRANCH]["health"] == "ok"


def test_the_lock_of_a_killed_run_is_told_and_taken_away_by_hand(
    here: Checkout, repository: Repository, folder: Path
) -> None:
    repository.push(BRANCH, "three")
    killed = here.start("branch", "up", BRANCH)
    assert killed.stderr is not None
    next(line for line in killed.stderr if "observed" in line or "release" in line)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    stack = stack_of(BRANCH)
    _, said = here.itqan("up", "--stack", stack, status=1)
    assert "currently locked" in said and "pulumi cancel" in said
    assert "tests@" not in said, "the password"
    here.shell(f'eval "$(./itqan env)"; pulumi cancel --yes --stack {stack}')
    here.itqan("branch", "up", BRANCH)
    assert "three" in page(here.outputs(stack), folder)

"""A project with several people: branches come, change and go, and nothing of them is left."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from settings import stack_of
from tests.branches.project import Checkout, Repository, docker_names, finished, inside, page

pytestmark = pytest.mark.usefixtures("own_edge")

ONE, TWO, THREE, DUMPED = "branches/one", "branches-two", "branches-three", "branches-dumped"
VISITS = "mysql -N itqan_platform -e 'SELECT token FROM visits ORDER BY id'"


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Where everything of the story is; not pytest's own folder, which other runs of it may clear away."""
    with TemporaryDirectory(prefix="itqan-branches-") as made:
        yield Path(made)


@pytest.fixture(scope="session")
def repository(folder: Path) -> Repository:
    """The sample application with two branches beside main."""
    made = Repository.of_sample(folder)
    made.push(ONE, "one at first")
    made.push(TWO, "two at first")
    return made


@pytest.fixture(scope="session")
def here(folder: Path, repository: Repository) -> Iterator[Checkout]:
    """A developer's machine; whatever is still up at the end is taken down."""
    made = Checkout.make(folder / "here", repository)
    yield made
    for branch in (ONE, TWO, THREE, DUMPED):
        made.itqan("branch", "down", branch)


@pytest.fixture(scope="session")
def runner(folder: Path, repository: Repository, here: Checkout) -> Checkout:
    """A pipeline's machine: the same files, backend and passphrase, and nothing that was derived before."""
    return Checkout.make(folder / "runner", repository, backend_of=here)


def test_a_misspelt_branch_is_one_line_and_leaves_nothing(here: Checkout) -> None:
    _, said = here.itqan("branch", "up", "branches/oen", status=1)
    assert said.splitlines()[-1].startswith("itqan: branch branches/oen: ")
    assert said.splitlines()[-1].endswith(f"has no such branch; it has {ONE}, {TWO}")
    assert here.copies() == {}
    assert not list((here.folder / ".itqan/branches").glob("Pulumi.staging-*"))


def test_two_branches_at_once(here: Checkout, folder: Path) -> None:
    runs = [here.start("branch", "up", branch) for branch in (ONE, TWO)]
    for run in runs:
        finished(run)
    one, two = (here.outputs(stack_of(branch)) for branch in (ONE, TWO))
    assert one["domain"] == f"{stack_of(ONE).removeprefix('staging-')}.itqan.localhost"
    assert two["domain"] == "branches-two.itqan.localhost"
    assert "one at first" in page(one, folder)
    assert "two at first" in page(two, folder)
    assert one["address"] != two["address"]
    assert one["ssh"]["hostKey"] != two["ssh"]["hostKey"]
    keys = {inside(outputs, "grep ^APP_KEY= /var/www/itqan-platform/.env") for outputs in (one, two)}
    assert len(keys) == 2


def test_nothing_of_a_branch_is_a_file_of_the_project(here: Checkout) -> None:
    assert sorted(path.name for path in here.folder.glob("Pulumi.*")) == [
        "Pulumi.prod.yaml",
        "Pulumi.staging.yaml",
        "Pulumi.yaml",
    ]


def test_the_list(here: Checkout, repository: Repository) -> None:
    copies = here.copies()
    assert set(copies) == {ONE, TWO}
    assert copies[ONE]["commit"] == repository.git("rev-parse", f"origin/{ONE}")
    assert copies[ONE]["health"] == copies[TWO]["health"] == "ok"
    assert copies[ONE]["memory"] > 0
    table, _ = here.itqan("branch", "list")
    assert [line.split()[0] for line in table.splitlines()] == ["branch", TWO, ONE]
    place, _ = here.itqan("branch", "open", TWO)
    assert place.splitlines()[0] == here.outputs(stack_of(TWO))["url"]


def test_a_new_database_is_seeded_once(here: Checkout) -> None:
    outputs = here.outputs(stack_of(ONE))
    assert inside(outputs, VISITS) == "seeded"
    inside(outputs, "mysql itqan_platform -e 'DELETE FROM visits'")
    here.itqan("branch", "up", ONE)
    assert inside(outputs, VISITS) == ""


def test_a_push_is_released_and_nothing_else_changes(
    here: Checkout, repository: Repository, folder: Path
) -> None:
    commit = repository.push(ONE, "one again")
    trace = folder / "trace.json"
    printed, said = here.itqan("branch", "up", ONE, "--trace", str(trace))
    assert " is up: 1 changed, " in printed
    assert "release-code" in said
    outputs = here.outputs(stack_of(ONE))
    assert outputs["release"] == commit
    assert "one again" in page(outputs, folder)
    assert '"name": "release-code"' in trace.read_text()


def test_two_runs_of_one_branch_and_a_push_between(
    here: Checkout, repository: Repository, folder: Path
) -> None:
    repository.push(TWO, "two for the first run")
    first = here.start("branch", "up", TWO)
    assert first.stderr is not None
    next(line for line in first.stderr if "release" in line or "observed" in line)
    commit = repository.push(TWO, "two for the second run")
    second = here.start("branch", "up", TWO)
    _, said = finished(second)
    assert f"Waiting: another run works on the copy of {TWO}" in said or first.poll() == 0
    finished(first)
    assert here.outputs(stack_of(TWO))["release"] == commit
    assert "two for the second run" in page(here.outputs(stack_of(TWO)), folder)


def test_a_killed_run_is_continued(here: Checkout, repository: Repository, folder: Path) -> None:
    repository.push(THREE, "three")
    killed = here.start("branch", "up", THREE)
    assert killed.stderr is not None
    next(line for line in killed.stderr if "host-runner" in line)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    here.itqan("branch", "up", THREE)
    assert "three" in page(here.outputs(stack_of(THREE)), folder)


def test_another_machine_has_the_same_copies(here: Checkout, runner: Checkout) -> None:
    stack = stack_of(TWO)
    assert runner.copies()[TWO]["health"] == "ok"
    runner.itqan("audit", stack)
    runner.itqan("preview", "--stack", stack)
    printed, _ = runner.itqan("branch", "up", TWO)
    assert " is up: nothing to do, " in printed
    printed, _ = here.itqan("up", "--stack", stack)
    assert " is up: nothing to do, " in printed


def test_parity_of_two_copies(here: Checkout) -> None:
    """What differs between two branches' copies is asked for by their settings."""
    report = here.folder / "parity.html"
    here.itqan("parity", stack_of(TWO), stack_of(THREE), "--html", str(report))
    assert stack_of(THREE) in report.read_text()


def test_a_copy_is_no_branchs(here: Checkout) -> None:
    """A further copy keeps its name: neither up nor down of a branch that would have it touches it."""
    (here.folder / "Pulumi.staging-taken.yaml").write_text("config:\n  itqan:extends: staging\n")
    for word in ("up", "down"):
        _, said = here.itqan("branch", word, "taken", status=1)
        assert "branch taken: its copy would be stack staging-taken, and that is a copy of its own" in said
    (here.folder / "Pulumi.staging-taken.yaml").unlink()


def test_a_dump_is_the_first_database(here: Checkout, repository: Repository, folder: Path) -> None:
    repository.push(DUMPED, "with a dump")
    dump = folder / "first.sql.gz"
    with gzip.open(dump, "wt") as packed:
        packed.write(
            "CREATE TABLE customers (name VARCHAR(20));\nINSERT INTO customers VALUES ('of the dump');\n"
        )
    here.set("staging.database", str(dump))
    here.itqan("branch", "up", DUMPED)
    outputs = here.outputs(stack_of(DUMPED))
    assert inside(outputs, "mysql -N itqan_platform -e 'SELECT name FROM customers'") == "of the dump"
    assert inside(outputs, VISITS) == ""  # migrated over it, and not a new database any more
    inside(outputs, "mysql itqan_platform -e 'DELETE FROM customers'")
    here.itqan("branch", "up", DUMPED)
    assert inside(outputs, "mysql -N itqan_platform -e 'SELECT name FROM customers'") == ""


def test_a_sweep(here: Checkout, runner: Checkout, repository: Repository) -> None:
    """What the repository has no more goes, and what no state knows; the rest stays."""
    label = inside_label(here, THREE)
    orphan = ["docker", "network", "create", "--label", label, "--label", "itqan.stack=staging-branches-lost"]
    subprocess.run([*orphan, "itqan-branches-lost"], check=True, capture_output=True)
    foreign = [
        "docker",
        "network",
        "create",
        "--label",
        "itqan.backend=ffffffffffff",
        "--label",
        "itqan.stack=x",
    ]
    subprocess.run([*foreign, "itqan-branches-foreign"], check=True, capture_output=True)
    repository.remove(THREE)
    try:
        would, _ = runner.itqan("branch", "sweep", "--dry-run")
        assert would.splitlines() == [
            f"would remove the copy of {THREE}, {stack_of(THREE)}: its branch is gone",
            "would remove network itqan-branches-lost: no state knows stack staging-branches-lost",
        ]
        assert THREE in here.copies()
        runner.itqan("branch", "sweep")
        assert docker_names(f"itqan.stack={stack_of(THREE)}") == []
        assert docker_names("itqan.stack=staging-branches-lost") == []
        assert docker_names("itqan.backend=ffffffffffff") == ["itqan-branches-foreign"]
        assert {branch: row["health"] for branch, row in here.copies().items()} == {
            ONE: "ok",
            TWO: "ok",
            DUMPED: "ok",
        }
        here.itqan("branch", "sweep")
        assert not (here.folder / ".itqan/branches/Pulumi.staging-branches-three.yaml").exists()
    finally:
        subprocess.run(["docker", "network", "rm", "itqan-branches-foreign"], check=True, capture_output=True)


def inside_label(checkout: Checkout, branch: str) -> str:
    """The label that a backend's copies share."""
    container = checkout.outputs(stack_of(branch))["container"]
    template = '{{index .Config.Labels "itqan.backend"}}'
    answer = subprocess.run(
        ["docker", "inspect", "-f", template, container], capture_output=True, text=True, check=True
    )
    return f"itqan.backend={answer.stdout.strip()}"


def test_copies_that_are_too_old(here: Checkout) -> None:
    here.set("staging.ttl", "1m")
    time.sleep(max(0.0, 61 - min(row["age"] for row in here.copies().values())))
    would, _ = here.itqan("branch", "sweep", "--dry-run")
    assert {line.partition(":")[0] for line in would.splitlines()} == {
        f"would remove the copy of {branch}, {stack_of(branch)}" for branch in (ONE, TWO, DUMPED)
    }


def test_a_copy_whose_branch_is_gone_can_be_taken_down(here: Checkout, repository: Repository) -> None:
    repository.remove(ONE)
    printed, _ = here.itqan("branch", "down", ONE)
    assert printed.strip() == f"itqan: the copy of {ONE} is down"
    here.itqan("down", "--yes", "--stack", stack_of(TWO))
    here.itqan("branch", "down", DUMPED)


def test_nothing_is_left(here: Checkout) -> None:
    for branch in (ONE, TWO, THREE, DUMPED):
        assert docker_names(f"itqan.stack={stack_of(branch)}") == []
        assert docker_names(f"itqan.branch={branch}") == []
    assert here.copies() == {}
    assert [path.name for path in (here.folder / ".itqan/branches").glob("Pulumi.staging-*")] == []

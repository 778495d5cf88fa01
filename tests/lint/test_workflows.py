"""The workflows: actionlint and zizmor find nothing, and what they call exists."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from operations.cli import command_line
from operations.errors import PreparationError
from operations.paths import HOME
from operations.prepare.engine import find_go

WORKFLOWS = {"preview", "staging", "production", "drift", "sweep", "verify"}
MODULE = "tools/actionlint"
PACKAGE = "github.com/rhysd/actionlint/cmd/actionlint"


@pytest.fixture(scope="module")
def workflows(root: Path) -> dict[str, dict[Any, Any]]:
    """Each workflow as data, by name; YAML 1.1 reads the key `on` as true."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in (root / ".github/workflows").glob("*")}


@pytest.fixture(scope="module")
def steps(workflows: dict[str, dict[Any, Any]]) -> list[dict[str, Any]]:
    """Every step of every job."""
    return [step for flow in workflows.values() for job in flow["jobs"].values() for step in job["steps"]]


@pytest.fixture(scope="module")
def actionlint(root: Path) -> str:
    """Path of actionlint: the machine's, else built by Go from tools/actionlint."""
    if found := shutil.which("actionlint"):
        return found
    try:
        go = find_go()
    except PreparationError:
        pytest.skip("actionlint was not run: neither it nor Go is on this machine")
    program = HOME / "tools" / "actionlint"
    built = subprocess.run(
        [go, "build", "-trimpath", "-o", str(program), PACKAGE],
        cwd=root / MODULE,
        env={**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "auto"},
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        pytest.skip(f"actionlint was not run: Go cannot fetch it here: {built.stderr.strip()[-200:]}")
    return str(program)


def test_actionlint(actionlint: str, root: Path) -> None:
    done = subprocess.run([actionlint, "-oneline"], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_actionlint_finds_what_is_wrong(actionlint: str, root: Path, tmp_path: Path) -> None:
    wrong = (root / ".github/workflows/drift.yml").read_text().replace("runs-on:", "run-on:")
    (tmp_path / "wrong.yml").write_text(wrong)
    done = subprocess.run([actionlint, str(tmp_path / "wrong.yml")], capture_output=True, check=False)
    assert done.returncode == 1


@pytest.mark.skipif(sys.version_info < (3, 11), reason="zizmor was not run: it needs Python 3.11")
class TestZizmor:
    def zizmor(self, path: Path) -> subprocess.CompletedProcess[str]:
        """What zizmor says, without asking GitHub."""
        command = [
            str(Path(sys.executable).with_name("zizmor")),
            "--offline",
            "--no-progress",
            "--persona=pedantic",
        ]
        return subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)

    def test_it_finds_nothing(self, root: Path) -> None:
        done = self.zizmor(root / ".github")
        assert done.returncode == 0, done.stdout + done.stderr
        assert all(f"{name}.yml" in done.stderr for name in WORKFLOWS)

    def test_it_finds_what_is_wrong(self, root: Path, tmp_path: Path) -> None:
        wrong = (root / ".github/workflows/drift.yml").read_text()
        (tmp_path / "wrong.yml").write_text(
            wrong.replace("run: ./itqan", "run: echo ${{ github.event.issue.title }}")
        )
        assert "template-injection" in self.zizmor(tmp_path / "wrong.yml").stdout


def test_there_is_one_for_each_occasion(workflows: dict[str, dict[Any, Any]]) -> None:
    assert set(workflows) == WORKFLOWS
    assert all("pull_request_target" not in str(flow[True]) for flow in workflows.values())


def test_permissions_are_given_by_jobs_only_and_every_job_ends(workflows: dict[str, dict[Any, Any]]) -> None:
    for name, flow in workflows.items():
        assert flow["permissions"] == {}, name
        assert flow["concurrency"]["group"].startswith(name)
        for job in flow["jobs"].values():
            assert job["timeout-minutes"] <= 60
            assert set(job["permissions"]) <= {"contents", "pull-requests", "issues"}
            assert job["permissions"]["contents"] == "read"


def test_secrets_are_for_jobs_of_an_environment_that_no_fork_runs(
    workflows: dict[str, dict[Any, Any]],
) -> None:
    for name, flow in workflows.items():
        for job in flow["jobs"].values():
            if "secrets." not in str(job):
                continue
            assert "environment" in job
            if "pull_request" in flow[True]:
                assert "github.event.pull_request.head.repo.full_name == github.repository" in job["if"], name


def test_actions_are_pinned_and_leave_no_credentials(root: Path, steps: list[dict[str, Any]]) -> None:
    text = "\n".join(path.read_text() for path in (root / ".github/workflows").glob("*"))
    used = re.findall(r"uses: (.*)", text)
    assert used and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line) for line in used)
    checkouts = [step for step in steps if "checkout" in step.get("uses", "")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_what_they_run_is_a_command_of_ours(steps: list[dict[str, Any]]) -> None:
    runs = [step["run"] for step in steps if "run" in step]
    assert len(runs) >= len(WORKFLOWS)
    for run in runs:
        program, *words = (word for word in shlex.split(run) if not word.startswith("<<<"))
        assert program == "./itqan"
        assert command_line().parse_args(words).run

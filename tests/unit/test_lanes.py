"""Lanes of tests: each further one runs in a checkout of its own, and nobody's failure is lost."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from operations import lanes, tiers

SCRIPT = '#!/bin/sh\necho "a lane in $PWD: $*"\nexit "$(cat status)"\n'


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose `./itqan` ends with what its file `status` says."""
    root = tmp_path / "root"
    (root / ".itqan").mkdir(parents=True)
    (root / "itqan").write_text(SCRIPT)
    (root / "itqan").chmod(0o755)
    (root / "status").write_text("0")
    (root / "Pulumi.staging.yaml").write_text("config: {}\n")
    (root / ".gitignore").write_text(".itqan/\nPulumi.*.yaml\n!Pulumi.staging.yaml\n")
    for words in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "As committed"]):
        subprocess.run(
            ["git", "-c", "user.name=Tests", "-c", "user.email=tests@localhost", *words], cwd=root, check=True
        )
    for name in ("ROOT", "HOME", "LOGS", "LANES"):
        folder = {"ROOT": "", "HOME": ".itqan", "LOGS": ".itqan/logs", "LANES": ".itqan/lanes"}[name]
        monkeypatch.setattr(lanes, name, root / folder)
    return root


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [(0, 0, 0), (1, 0, 1), (0, 1, 1), (0, 2, 2), (5, 0, 0), (0, 5, 0), (5, 5, 5)],
)
def test_the_worse_status_counts(
    checkout: Path, capfd: pytest.CaptureFixture[str], first: int, second: int, status: int
) -> None:
    (checkout / "status").write_text(str(second))
    assert lanes.beside("e2e", ["e2e", "-x"], lambda: first) == status
    assert capfd.readouterr().out == f"a lane in {checkout}/.itqan/lanes/e2e: test e2e -x\n"


def test_the_second_checkout_is_the_working_tree_and_keeps_its_own_stacks(checkout: Path) -> None:
    lane = checkout / ".itqan/lanes/e2e"
    lanes.refresh(lane)
    for name in ("Pulumi.e2e.yaml", "gone.py", ".itqan/state"):
        (lane / name).write_text("of an earlier run")
    (checkout / "new.py").write_text("not yet committed")
    (checkout / "Pulumi.staging.yaml").write_text("config: {its: secrets}\n")
    lanes.refresh(lane)
    names = {path.name for path in lane.iterdir()}
    assert names == {
        ".git",
        ".gitignore",
        ".itqan",
        "Pulumi.e2e.yaml",
        "Pulumi.staging.yaml",
        "itqan",
        "new.py",
        "status",
    }
    assert (lane / "Pulumi.staging.yaml").read_text() == "config: {}\n"
    assert (lane / ".itqan/state").read_text() == "of an earlier run"
    assert (lane / ".itqan/venv").readlink() == checkout / ".itqan/venv"


@pytest.mark.parametrize(
    ("wanted", "ran"),
    [
        (["unit"], ["unit"]),
        (["e2e"], ["e2e"]),
        (["unit", "lint"], ["unit lint"]),
        (["unit", "e2e"], ["lane e2e", "unit"]),
        (["e2e", "vps"], ["lane e2e", "vps"]),
        (["unit", "vps"], ["unit", "vps"]),
        (["vps", "ci"], ["lane vps", "ci"]),
        (
            tiers.TIERS,
            ["lane e2e", "unit graph lint browser archive conformance", "lane vps", "edge branches ci"],
        ),
    ],
)
def test_tiers_with_a_server_have_a_lane(
    monkeypatch: pytest.MonkeyPatch, wanted: list[str], ran: list[str]
) -> None:
    found: list[str] = []

    def beside(name: str, words: Sequence[str], run: Callable[[], int]) -> int:
        assert words == [name, "-x"]
        found.append(f"lane {name}")
        return run()

    def run(chosen: Sequence[str]) -> int:
        found.append(" ".join(chosen))
        return 0

    monkeypatch.setattr(tiers, "beside", beside)
    assert tiers.in_lanes(wanted, run, ["-x"]) == 0
    assert found == ran

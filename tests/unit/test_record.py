"""The record: what the host was left with at the last `up`, and what the observer is told."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from components import record
from components.observation import Unreachable, script
from components.record import BUSY, Record
from components.surroundings import Surrounding
from components.unit import Unit
from settings import Settings
from tests.conftest import VARIANTS

GOOD = Unit("nginx/site", "echo 'file /a 644'", "file /a 644", "true")
DRIFTED = Unit("cron/service", "echo 'service cron disabled'", "service cron enabled", "true")
ITSELF = Unit("observer/program", "echo whatever", "not known yet", "true")
LOGINS = Surrounding(
    "logins", "echo 'login root uid 0'; echo 'login eve uid 7'; echo 'login al uid 8'", ("login root *",)
)
FURTHER = Unit("audit/versions", "echo 1.2", "", "")


@pytest.fixture
def program(staging: Settings, tmp_path: Path) -> Path:
    """The program on a host that it was left on; `al` is accepted there."""
    settings = staging.model_copy(update={"accepted": {"logins": ["login al *"]}})
    path = tmp_path / "observe"
    path.write_text(record.program(settings, [GOOD, DRIFTED], ITSELF, [LOGINS], [FURTHER]))
    path.chmod(0o700)
    return path


def start(program: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The program as sudo starts it."""
    path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.run(
        [program], input=b"id\n", capture_output=True, check=False, timeout=30, env={**path, **environment}
    )


def test_what_was_recorded_comes_back_as_states(program: Path) -> None:
    found = Record.parse(start(program).stdout)
    assert found.unlike([GOOD, DRIFTED, ITSELF, LOGINS.unit, FURTHER]) == []
    states = {state.unit.name: state for state in found.states([GOOD, DRIFTED, FURTHER])}
    assert states[GOOD.name].healthy and states[GOOD.name].unit is GOOD
    assert states[DRIFTED.name].difference == ("service cron enabled", "service cron disabled")
    assert states[FURTHER.name].found == "1.2"


def test_a_probe_that_changed_is_not_observed(program: Path) -> None:
    changed = Unit(GOOD.name, "echo 'file /b 644'", GOOD.expect, "true")
    new = Unit("php/new", "echo x", "x", "true")
    found = Record.parse(start(program).stdout)
    assert found.unlike([changed, DRIFTED, new]) == [GOOD.name, "php/new"]
    assert [state.unit.name for state in found.states([changed, DRIFTED, new])] == [DRIFTED.name]


def test_a_changed_library_changes_every_probe(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe is a call; what it means stands in the library."""
    found = Record.parse(start(program).stdout)
    monkeypatch.setattr("components.record.script", lambda units: f"# other\n{script(units)}")
    assert found.unlike([GOOD, DRIFTED]) == [GOOD.name, DRIFTED.name]


def test_what_is_expected_now_may_be_another_thing(program: Path) -> None:
    other = Unit(GOOD.name, GOOD.probe, "file /a 600", "true")
    [state] = Record.parse(start(program).stdout).states([other])
    assert not state.healthy


def test_the_key_alone_compares_with_the_last_up(program: Path) -> None:
    found = Record.parse(start(program).stdout)
    assert [(state.unit.name, state.healthy) for state in found.recorded()] == [
        (GOOD.name, True),
        (DRIFTED.name, False),
    ]
    [unknown] = found.unknown()
    assert (unknown.name, unknown.lines) == ("surroundings/logins", ("login eve uid 7",))


def test_nothing_of_the_caller_gets_in(program: Path, tmp_path: Path) -> None:
    evil = tmp_path / "evil"
    evil.write_text("echo evil; touch evil-was-here\n")
    further = {"BASH_FUNC_cat%%": "() { id; }", "SHELLOPTS": "xtrace", "PS4": f"$({evil})"}
    done = start(program, BASH_ENV=str(evil), ENV=str(evil), IFS="/", **further)
    assert done.stderr == b""
    assert Record.parse(done.stdout) == Record.parse(start(program).stdout)
    assert b"uid=" not in done.stdout and b"evil" not in done.stdout


def test_a_second_one_is_turned_away(program: Path) -> None:
    with program.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = start(program)
    assert (done.returncode, done.stdout) == (BUSY, b"")
    assert start(program).returncode == 0


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (b"", "cut short"),
        (b'record {"name": "a/b", "probe": "1"}\na/b x\n', "cut short"),
        (b"record {\ndone\n", "no record"),
        (b'record ["a/b"]\ndone\n', "no record"),
        (b'record {"name": "a/b"}\ndone\n', "no record"),
        (b'record {"name": "../b", "probe": "1"}\ndone\n', "no record"),
        (b'record {"name": "a/b", "probe": "1", "known": "x"}\ndone\n', "no record"),
    ],
)
def test_what_is_no_record_is_told(output: bytes, said: str) -> None:
    with pytest.raises(Unreachable, match=said):
        Record.parse(output)


def test_no_secret_is_in_the_program(
    stack: Callable[..., Settings], units_of: Callable[[Settings], dict[str, Unit]], secrets: dict[str, str]
) -> None:
    for name, changes in VARIANTS.values():
        text = units_of(stack(name, **changes)).get("observer/program")
        assert not text or not [value for value in secrets.values() if value in (text.payload or "")]

"""Runbooks: a copy broken in the way that each describes is cured by its command, nothing else touched."""

from __future__ import annotations

import secrets

import pytest

from .breaks import BREAKS, REVERB, SITE, Snapshot, fix, require_cured, require_untouched, runs, snapshot
from .copy import Copy, poll


@pytest.fixture(scope="module")
def kept(copy: Copy) -> list[Snapshot]:
    """The copy as it was last seen whole: each case begins where the one before it ended."""
    return [snapshot(copy)]


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_broken_is_cured_and_nothing_else_touched(
    copy: Copy, kept: list[Snapshot], what: str
) -> None:
    kept[0] = require_cured(copy, BREAKS[what], kept[0])


@pytest.mark.usefixtures("kept")
def test_jobs_are_done_again(copy: Copy) -> None:
    token = secrets.token_hex(8)
    assert copy.request("POST", f"/api/visits/{token}").status == 202
    poll(lambda: copy.get(f"/api/visits/{token}").status == 200, 30, "the visit that a job records")


def test_a_plan_touches_nothing(copy: Copy, kept: list[Snapshot]) -> None:
    copy.bash("supervisorctl stop 'reverb:*' >&2")
    broken = runs(copy)
    planned = fix(copy, "websocket", "--dry-run")
    assert planned.returncode == 2
    assert "reverb bad: 1 STOPPED" in planned.stdout
    assert "  1. unit supervisor/reverb: " in planned.stdout
    assert "sudo supervisorctl restart 'reverb:*'" in planned.stdout
    assert runs(copy) == broken
    copy.bash("supervisorctl start 'reverb:*' >&2")
    assert fix(copy, "websocket").stdout.splitlines()[-1] == "nothing is wrong; nothing was done"
    kept[0] = require_untouched(copy, kept[0], REVERB)


def test_a_cause_that_lies_elsewhere_is_named_and_nothing_tried(copy: Copy) -> None:
    copy.bash("systemctl stop redis-server")
    try:
        done = fix(copy, "queue")
    finally:
        copy.bash("systemctl start redis-server")
    assert done.returncode == 1
    assert "the cause lies elsewhere: redis-server bad: inactive" in done.stdout
    assert done.stdout.splitlines()[-1] == f"nothing was done; first: ./itqan fix {copy.stack} redis"
    assert "▸ 1." not in done.stderr


def test_what_was_done_is_noted_on_the_host(copy: Copy) -> None:
    noted = copy.bash("journalctl -q -t itqan-fix -o cat")
    assert f"{copy.stack} nginx: unit nginx/site: " in noted
    assert "; found: nginx bad: failed; " in noted
    assert "; by " in noted


def test_a_file_that_was_changed_by_hand_is_kept(copy: Copy) -> None:
    assert copy.bash("grep -l client_max_body_sice /var/backups/itqan/itqan-platform.*")
    copy.bash("rm $(grep -l client_max_body_sice /var/backups/itqan/itqan-platform.*)")
    assert copy.bash(f"grep client_max_body_sice {SITE} || true") == ""

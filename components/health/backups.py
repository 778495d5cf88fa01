"""Backups: the newest, its copy at the second place, and whether one was read back."""

from __future__ import annotations

from settings import Settings

from . import limits
from .model import ORDER, Check, Seen, State, Verdict, graded, lasted, size

PROBE = "health/backups"
GROUP = "backups"
HOUR, DAY = 3600, 86400


def checks(settings: Settings) -> list[Check]:
    """In the order of the table."""
    has_second = settings.backup is not None and settings.backup.second is not None
    return [
        Check("last backup", GROUP, last),
        *([Check("second place", GROUP, second)] if has_second else []),
        Check("last restore test", GROUP, tried),
    ]


def last(seen: Seen) -> Verdict:
    """The newest backup: its age and its size, and whether the last run made one."""
    if not_asked := _of_a_copy(seen):
        return not_asked
    limit = f"{limits.BACKUP_WARN} h, {limits.BACKUP_BAD} h"
    now, folder = seen.number(PROBE, "now"), seen.settings.application.backups
    if ["restoring"] in seen.rows(PROBE):
        return Verdict("bad", "a restore did not get to its end", limit, f"./itqan restore {_stack(seen)}")
    found = [row for row in seen.rows(PROBE) if row[0] == "backup"]
    if not found:
        return Verdict("warn", f"no backup yet in {folder}", limit, _make(seen))
    age = now - float(found[0][1])
    words = f"{lasted(max(age, 0))} ago, {size(float(found[0][2]))}"
    state = graded(age / HOUR, limits.BACKUP_WARN, limits.BACKUP_BAD)
    if seen.settings.backup is None:
        return Verdict(_worse(state, "warn"), f"{words}; nobody makes one every night", limit, _make(seen))
    _, outcome, why = _result(seen, "make")
    if outcome == "failed":
        journal = "journalctl -u itqan-backup -n 50"
        return Verdict(_worse(state, "warn"), f"{words}; the last run failed: {why}", limit, journal)
    return Verdict(state, words, limit, _make(seen))


def second(seen: Seen) -> Verdict:
    """The copy at the second place: whether the last one came there, and when."""
    limit = f"{limits.SECOND_WARN} h, {limits.SECOND_BAD} h"
    now = seen.number(PROBE, "now")
    when, outcome, why = _result(seen, "copy")
    if not outcome:
        return Verdict("warn", "no copy yet", limit, _make(seen))
    if outcome == "failed":
        return Verdict("warn", why, limit, _make(seen))
    age = max(now - when, 0)
    state = graded(age / HOUR, limits.SECOND_WARN, limits.SECOND_BAD)
    return Verdict(state, f"{lasted(age)} ago", limit, _make(seen))


def tried(seen: Seen) -> Verdict:
    """A backup that nobody has read back is a hope."""
    if not_asked := _of_a_copy(seen):
        return not_asked
    limit = f"{limits.TESTED_WARN} d, {limits.TESTED_BAD} d"
    line = f"./itqan backup verify {_stack(seen)}"
    now = seen.number(PROBE, "now")
    if seen.settings.backup is None:
        return Verdict("warn", "never: there is no backup", limit, _make(seen))
    when, outcome, words = _result(seen, "verify")
    if not outcome:
        return Verdict("warn", "never", limit, line)
    age = max(now - when, 0)
    if outcome == "failed":
        return Verdict("bad", f"{lasted(age)} ago it failed: {words}", limit, line)
    state = graded(age / DAY, limits.TESTED_WARN, limits.TESTED_BAD)
    return Verdict(state, f"{lasted(age)} ago: {words}", limit, line)


def _of_a_copy(seen: Seen) -> Verdict | None:
    """A copy's data is nobody's: nothing to check, unless it is told to make backups."""
    settings = seen.settings
    if settings.backup is None and settings.target == "docker":
        return Verdict("skipped", "a copy has no backups")
    return None


def _make(seen: Seen) -> str:
    """How backups come to be made."""
    if seen.settings.backup is None:
        return f"./itqan backup key {_stack(seen)} FILE"
    return f"./itqan backup {_stack(seen)}"


def _stack(seen: Seen) -> str:
    return seen.settings.stack


def _worse(one: State, other: State) -> State:
    return min(one, other, key=ORDER.index)


def _result(seen: Seen, kind: str) -> tuple[float, str, str]:
    """When the last one of a kind ended, its state, and words; no state where there was none."""
    for row in seen.rows(PROBE):
        if row[:2] == ["result", kind] and len(row) > 3:
            return float(row[2]), row[3], " ".join(row[4:])
    return 0.0, "", ""

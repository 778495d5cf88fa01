"""A release: closed pages and an application that does not start are its doing, and end with it."""

from __future__ import annotations

from ..unit import Unit
from .model import Seen, question

PROBE = "health/release"
ENDED = "ended"  # files/release/release.sh, end_release
RUNNING = "release running"


def look(path: str) -> Unit:
    """The question by itself. Arguments: `path`, the application's folder."""
    return question(PROBE, path)


def under_way(seen: Seen) -> str:
    """Of a release that is under way: its step, and who began it; empty: there is none."""
    if not _is(seen, "running"):
        return ""
    step = _said(seen, "STEP")
    return f"{'at its end' if step == ENDED else step}, begun by {_said(seen, 'BY')}"


def died_in(seen: Seen) -> str:
    """The step of a release that did not get to its end; empty: there is none."""
    return _said(seen, "STEP") if _is(seen, "left") else ""


def settle(seen: Seen) -> str:
    """What finishes such a release or takes it back: the next one, before its own work."""
    return f"./itqan up --stack {seen.settings.stack}"


def _is(seen: Seen, state: str) -> bool:
    return ["release", state] in seen.rows(PROBE)


def _said(seen: Seen, key: str) -> str:
    rows = [row for row in seen.rows(PROBE) if row[0] == key]
    return " ".join(rows[0][1:]) if rows and rows[0][1:] else "nobody knows"

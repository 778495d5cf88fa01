"""Audits and smoke tests as tables for GitHub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import OperationError
from ..run import RunFailed
from .markdown import block, code, table

if TYPE_CHECKING:
    from ..report import Report
    from .smoke import Smoke

AUDIT_HEAD = ("unit", "state", "expected", "found")
MARKS = {True: "✓", False: "✗"}


def failure(error: OperationError) -> str:
    """An error, with all that the engine's run said of it."""
    if not isinstance(error, RunFailed):
        return block(str(error))
    told = [f"{where}: {words}" if where else words for where, words in error.record.errors]
    return block("\n".join([*(told or [error.words]), str(error)]))


def smoke_rows(tried: Smoke) -> list[tuple[str, str, str]]:
    """The cells of each check."""
    return [(MARKS[check.passed], check.name, code(check.found)) for check in tried.checks]


def audit_rows(report: Report) -> list[tuple[str, str, str, str]]:
    """The cells of what is not as expected."""
    return [
        (code(name), state, code(expected), code(found))
        for _, (name, state, expected, found) in report.rows()
        if state != "as expected"
    ]


def audit_parts(report: Report) -> list[str]:
    """An audit: its closing line, what is not as expected, and the lines that settle it."""
    lines = [f"# {item.name}\n{report.acceptance(item)}" for item in report.unknown]
    if report.differing:
        lines.insert(0, f"# what differs\n./itqan up --stack {report.stack}")
    return [
        f"{code(report.closing_line())}",
        *(f"✗ `up` would leave this host alone: {code(obstacle)}" for obstacle in report.obstacles),
        table(AUDIT_HEAD, audit_rows(report)),
        f"What settles it:\n\n{block(chr(10).join(lines), 'sh')}" if lines else "",
    ]

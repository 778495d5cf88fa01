"""The pages of `audit --html`, `parity --html` and `health --html`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from .page import Note, Row, Tone, Words, page
from .report import STATES, UNKNOWN, UNOBSERVED, WHY_UNOBSERVED

if TYPE_CHECKING:
    from components.health import Result
    from components.observation import State
    from components.platform import Substitution

    from .health import Health
    from .parity import Comparison
    from .report import Report

TONES: dict[str, Tone] = {
    STATES[True]: "good",
    STATES[False]: "bad",
    UNKNOWN: "bad",
    UNOBSERVED: "info",
    "same": "good",
    "explained": "info",
    "drift": "bad",
    "unexplained": "bad",
}
HEALTH_TONES: dict[str, Tone] = {
    "good": "good",
    "warn": "warn",
    "bad": "bad",
    "unknown": "warn",
    "skipped": "info",
}
CHECKS = Words("Checks", "Every check, by what it is about; what is not good first", "Nothing was checked.")


def audit_page(report: Report) -> str:
    """An audit as one HTML file."""
    unknown = [
        Note(
            item.name,
            "Not of this stack. Remove it on the host, or, when it is right:",
            report.acceptance(item),
        )
        for item in report.unknown
    ]
    findings = [Note(finding.section, finding.text, finding.line) for finding in report.findings]
    return page(
        title=f"Audit of {report.stack}",
        summary=report.closing_line(),
        facts=[("Stack", report.stack), ("Host", report.host), ("Looked at in", f"{report.seconds:.2f} s")],
        rows=list(_audit_rows(report)),
        notes=[
            ("Unknown", unknown),
            ("Findings", findings),
            ("Substitutions of the platform", _substitutions(report.substitutions)),
        ],
    )


def parity_page(comparison: Comparison) -> str:
    """A comparison of two stacks as one HTML file."""
    pairs = list(zip(comparison.stacks, comparison.hosts, comparison.substitutions, strict=True))
    rows = [
        Row(
            row.part,
            row.name,
            row.state,
            TONES[row.state],
            (*zip(comparison.stacks, row.cells, strict=True), ("why", row.why)) if row.why else (),
        )
        for row in comparison.rows
    ]
    return page(
        title=f"Parity of {' and '.join(comparison.stacks)}",
        summary=comparison.closing_line(),
        facts=[*((stack, host) for stack, host, _ in pairs), ("Looked at in", f"{comparison.seconds:.2f} s")],
        rows=rows,
        notes=[
            (f"Substitutions of the platform of {stack}", _substitutions(found)) for stack, _, found in pairs
        ],
    )


def health_page(found: Health) -> str:
    """A status page as one HTML file."""
    at = datetime.fromtimestamp(found.at, timezone.utc)
    settle = [
        Note(f"{r.name}: {r.verdict.state}", r.verdict.found, r.verdict.help)
        for r in found.worst
        if r.verdict.help
    ]
    return page(
        title=f"Health of {found.stack}: {found.state}",
        summary=found.closing_line(),
        facts=[
            ("Stack", found.stack),
            ("Host", found.host),
            ("Looked at", f"{at:%d %B %Y, %H:%M:%S} UTC, in {found.seconds:.2f} s"),
        ],
        rows=[_health_row(result) for result in found.results],
        notes=[("What helps", settle)],
        words=CHECKS,
    )


def _health_row(result: Result) -> Row:
    verdict = result.verdict
    cells = [("found", verdict.found), *([("limit", verdict.limit)] if verdict.limit else [])]
    return Row(result.group, result.name, verdict.state, HEALTH_TONES[verdict.state], tuple(cells))


def _audit_rows(report: Report) -> Iterator[Row]:
    for state in report.states:
        yield _unit_row(state)
    for item in report.unknown:
        for line in item.lines:
            yield Row("surroundings", item.name, UNKNOWN, TONES[UNKNOWN], (("found", line),))
    for name in report.unobserved:
        yield Row(UNOBSERVED, name, UNOBSERVED, TONES[UNOBSERVED], (("why", WHY_UNOBSERVED),))


def _unit_row(state: State) -> Row:
    word = STATES[state.healthy]
    cells = () if state.healthy else tuple(zip(("expected", "found"), state.difference, strict=True))
    return Row(state.unit.part, state.unit.name, word, TONES[word], cells)


def _substitutions(found: Sequence[Substitution]) -> list[Note]:
    return [
        Note(other.what, f"The document names {other.documented}, here {other.here}: {other.reason}", "")
        for other in found
    ]

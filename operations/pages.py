"""The pages of `audit --html`, `parity --html`, `health --html` and `report`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from .page import Note, Row, Tone, Words, page
from .releases import SHORT
from .report import STATES, UNKNOWN, UNOBSERVED, WHY_UNOBSERVED

if TYPE_CHECKING:
    from components.health import Result
    from components.observation import State
    from components.platform import Substitution

    from .health import Health
    from .overview import Whole
    from .parity import Comparison
    from .releases import Release
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
BACKUPS = "backups"  # a group of health's checks
RELEASES = 10  # the newest of them, on a page
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


ALL = Words(
    "Everything", "Checks, units and differences, by what they are about; the worst first", "Nothing."
)


def report_page(whole: Whole) -> str:
    """All that is known of a stack as one HTML file."""
    from .graph import graph

    health, audit = whole.health, whole.audit
    at = datetime.fromtimestamp(health.at, timezone.utc)
    backups = [result for result in health.results if result.group == BACKUPS]
    return page(
        title=f"Report of {audit.stack}: {health.state}",
        summary=f"{health.closing_line()}; {audit.closing_line()}",
        facts=[("Stack", audit.stack), ("Host", audit.host), ("Looked at", f"{at:%d %B %Y, %H:%M:%S} UTC")],
        rows=[
            *(replace(_health_row(result), group=f"health: {result.group}") for result in health.results),
            *(replace(row, group=f"units: {row.group}") for row in _audit_rows(audit)),
            *_short_parity_rows(whole),
        ],
        notes=[
            (
                "What helps",
                [Note(r.name, r.verdict.found, r.verdict.help) for r in health.worst if r.verdict.help],
            ),
            ("Findings", [Note(finding.section, finding.text, finding.line) for finding in audit.findings]),
            ("Backups", [Note(r.name, f"{r.verdict.state}: {r.verdict.found}", "") for r in backups]),
            ("Parity", [Note(f"With {whole.other}", whole.compared, "")]),
            ("Releases", [_release_note(entry) for entry in reversed(whole.releases.entries[-RELEASES:])]),
            (
                "Sessions",
                [Note(visit.when, f"{visit.session}, by {visit.by}", "") for visit in whole.sessions],
            ),
        ],
        words=ALL,
        picture=graph(audit),
    )


def _short_parity_rows(whole: Whole) -> Iterator[Row]:
    """Only what differs: what is the same is counted in the notes."""
    for row in whole.parity.rows if whole.parity else ():
        if row.state != "same":
            both = zip(whole.parity.stacks, row.cells, strict=True) if whole.parity else ()
            found = "\n".join(f"{stack}: {cell}" for stack, cell in both)
            cells = (("found", found), ("why", row.why)) if row.why else (("found", found),)
            yield Row(f"parity: {row.part}", row.name, row.state, TONES[row.state], cells)


def _release_note(entry: Release) -> Note:
    step = f" in {entry.step}" if entry.step else ""
    text = (
        f"{entry.result}{step}: {entry.ref}, {entry.kind}, {entry.seconds:.1f} s, by {entry.by}"
        f"; before it {entry.origin[:SHORT] or 'nothing'}; backup {entry.backup or 'none'}"
    )
    return Note(f"{entry.when} {entry.commit[:SHORT]}", text, "")


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

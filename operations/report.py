"""What an audit found, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from components.findings import Finding
    from components.observation import State
    from components.platform import Substitution

HEAD = ("unit", "state", "expected", "found")
STATES = {True: "as expected", False: "differs"}


@dataclass(frozen=True)
class Report:
    """A stack compared with its host.

    host            how the host was reached
    seconds         how long the look at it took
    states          every unit as it was found, in the order in which `up` brings them
    obstacles       why `up` would leave the host alone
    findings        what deserves a second thought
    substitutions   what the document names and the stack's platform cannot give
    """

    stack: str
    host: str
    seconds: float
    states: Sequence[State]
    obstacles: Sequence[str]
    findings: Sequence[Finding]
    substitutions: Sequence[Substitution]

    @property
    def differing(self) -> int:
        """How many units are not as expected."""
        return sum(not state.healthy for state in self.states)

    def table(self) -> str:
        """The whole as text: units by component, findings, substitutions, one closing line."""
        return "\n".join([*self._unit_lines(), "", *self._further_lines(), self._closing_line()])

    def to_json(self) -> str:
        """The whole as one JSON object; expected and found have the lines that differ, unabridged."""
        shown = {
            "stack": self.stack,
            "host": self.host,
            "seconds": round(self.seconds, 3),
            "differing": self.differing,
            "obstacles": list(self.obstacles),
            "units": [_entry(state) for state in self.states],
            "findings": [asdict(finding) for finding in self.findings],
            "substitutions": [substitution.model_dump() for substitution in self.substitutions],
        }
        return json.dumps(shown, indent=2, ensure_ascii=False)

    def _unit_lines(self) -> list[str]:
        rows = [HEAD, *(_row(state) for state in self.states)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
        printed = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
        ]
        head, *body = (line.rstrip() for line in printed)
        made = [f"  {head}"]
        for part, group in groupby(zip(self.states, body, strict=True), key=lambda pair: pair[0].unit.part):
            made += [part, *(f"  {line}" for _, line in group)]
        return made

    def _further_lines(self) -> list[str]:
        made = [f"✗ up would leave this host alone: {obstacle}" for obstacle in self.obstacles]
        for finding in self.findings:
            made += [f"! {finding.section}: {finding.text}", f"    {finding.line}"]
        made += [
            f"≈ {other.what}: the document names {other.documented}, here {other.here}: {other.reason}"
            for other in self.substitutions
        ]
        return [*made, ""] if made else []

    def _closing_line(self) -> str:
        findings = "1 finding" if len(self.findings) == 1 else f"{len(self.findings) or 'no'} findings"
        return (
            f"itqan {self.stack}, {self.host}: {len(self.states)} units in {self.seconds:.2f} s, "
            f"{self.differing or 'none'} not as expected, {findings}"
        )


def _row(state: State) -> tuple[str, str, str, str]:
    from components.ledger import differing_words

    expected, found = ("", "") if state.healthy else differing_words(state)
    return state.unit.name, STATES[state.healthy], expected, found


def _entry(state: State) -> dict[str, object]:
    expected, found = (None, None) if state.healthy else state.difference
    unit = state.unit
    return {
        "unit": unit.name,
        "component": unit.part,
        "state": STATES[state.healthy],
        "expected": expected,
        "found": found,
    }

"""What an audit found, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from .table import grouped

if TYPE_CHECKING:
    from components.findings import Finding
    from components.observation import State
    from components.platform import Substitution
    from components.surroundings import Accepted, Unknown

HEAD = ("unit", "state", "expected", "found")
STATES = {True: "as expected", False: "differs"}
UNKNOWN, UNOBSERVED = "unknown", "not observed"
WHY_UNOBSERVED = "its probe is another one in this program than at the last up"
NOTHING_MORE = "nothing more"


@dataclass(frozen=True)
class Report:
    """A stack compared with its host.

    stack           its name
    accepted        what its settings accept beside the units, by surrounding
    host            how the host was reached
    seconds         how long the look at it took
    states          every unit as it was found, in the order in which `up` brings them
    unknown         what stands beside the units and nothing accounts for
    obstacles       why `up` would leave the host alone
    findings        what deserves a second thought
    substitutions   what the document names and the stack's platform cannot give
    set_command     what to type before a key of the stack's configuration and its value
    unobserved      names of units and surroundings that the observer's record on the host cannot tell of
    """

    stack: str
    accepted: Accepted
    host: str
    seconds: float
    states: Sequence[State]
    unknown: Sequence[Unknown]
    obstacles: Sequence[str]
    findings: Sequence[Finding]
    substitutions: Sequence[Substitution]
    set_command: str
    unobserved: Sequence[str] = ()

    @property
    def differing(self) -> int:
        """How many units are not as expected."""
        return sum(not state.healthy for state in self.states)

    @property
    def failed(self) -> bool:
        """Whether the host is other than the settings say."""
        return bool(self.differing or self.unknown or self.obstacles)

    def rows(self) -> Iterator[tuple[str, tuple[str, str, str, str]]]:
        """Component and cells of each row of the table."""
        for state in self.states:
            yield state.unit.part, _row(state)
        for item in self.unknown:
            for line in item.lines:
                yield "surroundings", (item.name, UNKNOWN, NOTHING_MORE, line)
        for name in self.unobserved:
            yield UNOBSERVED, (name, UNOBSERVED, "", WHY_UNOBSERVED)

    def table(self) -> str:
        """The whole as text: units by component, findings, substitutions, one closing line."""
        return "\n".join([*grouped(HEAD, list(self.rows())), "", *self._further_lines(), self.closing_line()])

    def to_json(self) -> str:
        """The whole as one JSON object; expected and found have the lines that differ, unabridged."""
        shown = {
            "stack": self.stack,
            "host": self.host,
            "seconds": round(self.seconds, 3),
            "differing": self.differing,
            "obstacles": list(self.obstacles),
            "units": [_entry(state) for state in self.states],
            "unknown": [
                {"surrounding": item.name, "lines": item.lines, "accept": self.acceptance(item)}
                for item in self.unknown
            ],
            "unobserved": list(self.unobserved),
            "findings": [asdict(finding) for finding in self.findings],
            "substitutions": [substitution.model_dump() for substitution in self.substitutions],
        }
        return json.dumps(shown, indent=2, ensure_ascii=False)

    def acceptance(self, item: Unknown) -> str:
        """The line to type when the first of an item's lines is right as it is."""
        from components.surroundings import acceptance

        return acceptance(self.set_command, self.accepted, item)

    def _further_lines(self) -> list[str]:
        made = [f"✗ up would leave this host alone: {obstacle}" for obstacle in self.obstacles]
        for item in self.unknown:
            made += [
                f"? {item.name}: not of this stack; remove it on the host, or, when it is right:",
                f"    {self.acceptance(item)}",
            ]
        for finding in self.findings:
            made += [f"! {finding.section}: {finding.text}", f"    {finding.line}"]
        made += [
            f"≈ {other.what}: the document names {other.documented}, here {other.here}: {other.reason}"
            for other in self.substitutions
        ]
        return [*made, ""] if made else []

    def closing_line(self) -> str:
        """What was found, in one line."""
        findings = "1 finding" if len(self.findings) == 1 else f"{len(self.findings) or 'no'} findings"
        unknown = sum(len(item.lines) for item in self.unknown)
        things = f", {unknown} unknown" if unknown else ""
        unseen = f", {len(self.unobserved)} not observed" if self.unobserved else ""
        return (
            f"itqan {self.stack}, {self.host}: {len(self.states)} units in {self.seconds:.2f} s, "
            f"{self.differing or 'none'} not as expected{things}{unseen}, {findings}"
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

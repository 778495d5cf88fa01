"""How often each unit was healed, and why: the stack's memory of what it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .observation import State
from .unit import Unit, digest

READABLE = 60  # characters of each side of a difference: the engine's own diff cuts a line at some 150
LABEL = 2  # words that name a thing in a line of a probe: `file /etc/…`, `service nginx`


@dataclass(frozen=True)
class Entry:
    """What is known of a unit.

    healed   how many times it was
    note     what was expected and found the last time
    expect   a digest of what is expected, by which a changed program is told from a changed host
    """

    healed: int = 0
    note: str = ""
    expect: str = ""

    @property
    def comment(self) -> str:
        """The line that stands in the unit's `update` text: it changes when there is drift, only then."""
        if not self.healed:
            return ""
        times = "once" if self.healed == 1 else f"{self.healed} times"
        return f"\n# healed {times}; {self.note}"

    def to_output(self) -> dict[str, Any]:
        """As it is kept in the stack's outputs."""
        return {"healed": self.healed, "note": self.note, "expect": self.expect}


def read(output: object) -> dict[str, Entry]:
    """The entries in a stack's output `ledger`; an absent or foreign value gives none."""
    if not isinstance(output, Mapping):
        return {}
    return {
        str(name): Entry(
            int(value.get("healed", 0)), str(value.get("note", "")), str(value.get("expect", ""))
        )
        for name, value in output.items()
        if isinstance(value, Mapping)
    }


def next_entries(
    units: list[Unit], before: Mapping[str, Entry], states: list[State] | None
) -> dict[str, Entry]:
    """The entries of this run: a unit that is not as was expected of it before is healed once more.

    `states` is None when nobody looked: every number stays. A unit that is new in the program starts at 0,
    and one of which the program now expects something else is changed by its own text.
    """
    drifted = {state.unit.name: state for state in states or () if not state.healthy}
    return {unit.name: _next(unit, before.get(unit.name), drifted.get(unit.name)) for unit in units}


def _next(unit: Unit, before: Entry | None, drifted: State | None) -> Entry:
    expect = digest(unit.expect)
    if before is None:
        return Entry(expect=expect)
    if drifted is None or before.expect not in ("", expect):
        return Entry(before.healed, before.note, expect)
    expected, found = differing_words(drifted)
    return Entry(before.healed + 1, f"expected {expected}, found {found}", expect)


def differing_words(state: State) -> tuple[str, str]:
    """What was expected and what was found, cut to a readable length and without what both sides share.

    Words that both have are left out, but for the label of each line on the expected side.
    """
    expected, found = _without_shared(*state.difference)
    return readable(expected), readable(found)


def _without_shared(expected: str, found: str) -> tuple[str, str]:
    pairs = list(zip(expected.split("; "), found.split("; "), strict=False))
    if any(e.split()[:LABEL] != f.split()[:LABEL] for e, f in pairs):
        return expected, found
    told, seen = zip(*(_differing_in_line(e.split(), f.split()) for e, f in pairs), strict=True)
    return "; ".join(told), "; ".join(seen)


def _differing_in_line(expected: list[str], found: list[str]) -> tuple[str, str]:
    told = [word for at, word in enumerate(expected) if at < LABEL or word not in found[at : at + 1]]
    seen = [word for at, word in enumerate(found) if at >= LABEL and word not in expected[at : at + 1]]
    return " ".join(told), " ".join(seen) or "less"


def readable(side: str) -> str:
    """One side of a difference, cut to a readable length, without control characters."""
    plain = "".join(character if character.isprintable() else " " for character in side)
    return plain if len(plain) <= READABLE else f"{plain[: READABLE - 1]}…"

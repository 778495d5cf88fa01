"""How often each unit was healed, and why: the stack's memory of what it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .observation import State
from .unit import Unit

READABLE = 150  # characters of each side of a difference


@dataclass(frozen=True)
class Entry:
    """`healed`, how many times; `note`, what was expected and found the last time."""

    healed: int = 0
    note: str = ""

    @property
    def comment(self) -> str:
        """The line that stands in the unit's `update` text: it changes when, and only when, there is drift."""
        if not self.healed:
            return ""
        times = "once" if self.healed == 1 else f"{self.healed} times"
        return f"\n# healed {times}; {self.note}"

    def to_output(self) -> dict[str, Any]:
        """As it is kept in the stack's outputs."""
        return {"healed": self.healed, "note": self.note}


def read(output: object) -> dict[str, Entry]:
    """The entries in a stack's output `ledger`; an absent or foreign value gives none."""
    if not isinstance(output, Mapping):
        return {}
    return {
        str(name): Entry(int(value.get("healed", 0)), str(value.get("note", "")))
        for name, value in output.items()
        if isinstance(value, Mapping)
    }


def next_entries(
    units: list[Unit], before: Mapping[str, Entry], states: list[State] | None
) -> dict[str, Entry]:
    """The entries of this run: a unit that was there before and is not as expected is healed once more.

    `states` is None when nobody looked: every number stays. A unit that is new in the program starts at 0.
    """
    drifted = {state.unit.name: state for state in states or () if not state.healthy}
    return {
        unit.name: _healed(before[unit.name], drifted[unit.name])
        if unit.name in before and unit.name in drifted
        else before.get(unit.name, Entry())
        for unit in units
    }


def _healed(entry: Entry, state: State) -> Entry:
    expected, found = (_readable(side) for side in state.difference)
    return Entry(entry.healed + 1, f"expected {expected}, found {found}")


def _readable(side: str) -> str:
    plain = "".join(character if character.isprintable() else " " for character in side)
    return plain if len(plain) <= READABLE else f"{plain[: READABLE - 1]}…"

"""Parity: two hosts side by side, and every difference between them classed by its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from settings import Settings

from .dns import RECORDS
from .ledger import differing_words, readable
from .observation import State
from .platform import load_platform
from .server import server_units
from .side import Side
from .surroundings import Surrounding, accounted, normalised
from .unit import Unit

Class = Literal["same", "explained", "drift", "unexplained"]
NOTHING = "not part of this stack"
# What a wrong mixture of two configurations raises while units are made of it; it then explains nothing.
IMPOSSIBLE = (AssertionError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class Row:
    """A unit, or a line of a surrounding, on both hosts.

    cells   what is said of it for each of the two stacks
    why     the reason of a difference
    """

    name: str
    state: Class
    cells: tuple[str, str] = ("", "")
    why: str = ""

    @property
    def part(self) -> str:
        """The component, or `surroundings`."""
        return self.name.partition("/")[0]


def compare(sides: tuple[Side, Side], states: tuple[Sequence[State], Sequence[State]]) -> list[Row]:
    """Every unit and every surrounding of two stacks, in the order in which `up` brings them.

    Arguments: `states`, what was found of each side's units, judged and compared surroundings.
    """
    found = tuple({state.unit.name: state for state in side} for side in states)
    return [*_unit_rows(sides, found), *_surrounding_rows(sides, found)]


def _unit_rows(sides: tuple[Side, Side], found: tuple[Mapping[str, State], ...]) -> Iterator[Row]:
    reasons: dict[str, list[str]] | None = None
    names = dict.fromkeys(unit.name for side in sides for unit in side.units)
    for name in names:
        ours, theirs = (states.get(name) for states in found)
        drifted = [state for state in (ours, theirs) if state and not state.healthy]
        if name == RECORDS and _one_world(sides, ours, theirs):
            yield _shared(sides, ours, theirs)
        elif drifted:
            yield _drift(sides, name, ours, theirs)
        elif ours and theirs and ours.unit.expect == theirs.unit.expect:
            yield Row(name, "same")
        else:
            if reasons is None:
                reasons = explanations(*sides)
            yield Row(name, "explained", _cells(ours, theirs), _reason(reasons, name))


def _one_world(sides: tuple[Side, Side], ours: State | None, theirs: State | None) -> bool:
    """Whether two stacks give one domain different addresses, and the world has those of one of them.

    Records are not the host's own: of two hosts with one domain, only one can have what its settings ask for.
    """
    if not (ours and theirs) or sides[0].settings.domain != sides[1].settings.domain:
        return False
    return ours.found == theirs.found and ours.healthy != theirs.healthy


def _shared(sides: tuple[Side, Side], ours: State | None, theirs: State | None) -> Row:
    assert ours and theirs
    whose = sides[0 if ours.healthy else 1].settings
    cells = tuple("; ".join(state.unit.expect.splitlines()) for state in (ours, theirs))
    why = f"itqan:server: {whose.domain} can point to one of the two, and points to {whose.stack}"
    return Row(RECORDS, "explained", (readable(cells[0]), readable(cells[1])), why)


def _drift(sides: tuple[Side, Side], name: str, ours: State | None, theirs: State | None) -> Row:
    cells, whose = [], []
    for side, state in zip(sides, (ours, theirs), strict=True):
        if state and not state.healthy:
            expected, seen = differing_words(state)
            cells.append(f"expected {expected}; found {seen}")
            whose.append(side.settings.stack)
        else:
            cells.append("as its settings ask" if state else NOTHING)
    return Row(name, "drift", (cells[0], cells[1]), f"{' and '.join(whose)}: not as the own settings ask")


def _cells(ours: State | None, theirs: State | None) -> tuple[str, str]:
    """The lines in which two healthy units differ."""
    if ours is None or theirs is None:
        return (_whole(ours), _whole(theirs))
    mine, other = ours.found.splitlines(), theirs.found.splitlines()
    return (
        readable("; ".join(line for line in mine if line not in other)),
        readable("; ".join(line for line in other if line not in mine)),
    )


def _whole(state: State | None) -> str:
    return readable("; ".join(state.found.splitlines())) if state else NOTHING


def _reason(reasons: Mapping[str, list[str]], name: str) -> str:
    """A unit is made of settings, platform and commit, and of nothing else: one of them asks for it."""
    return ", ".join(reasons.get(name) or ["several settings together"])


def explanations(ours: Side, theirs: Side) -> dict[str, list[str]]:
    """For each unit, the settings that make it another one on the other side.

    Each setting that differs is put into our configuration alone, and the units are made again of that.
    """
    reasons: dict[str, list[str]] = {}
    for label, units in _variants(ours, theirs):
        for name in _differing(ours.units, units):
            reasons.setdefault(name, []).append(label)
    return reasons


def _variants(ours: Side, theirs: Side) -> Iterator[tuple[str, list[Unit]]]:
    if ours.commit != theirs.commit:
        yield "the release's commit", server_units(ours.settings, ours.platform, theirs.commit)
    for key, alias in _differing_settings(ours.settings, theirs.settings):
        mixed = _with(ours.settings, key, getattr(theirs.settings, key))
        try:
            units = server_units(mixed, load_platform(mixed.platform), ours.commit)
        except IMPOSSIBLE:
            continue
        label = "the stack's name and network" if key == "stack" else f"itqan:{alias}"
        yield label, units


def _differing_settings(ours: Settings, theirs: Settings) -> Iterator[tuple[str, str]]:
    for key, field in Settings.model_fields.items():
        if getattr(ours, key) != getattr(theirs, key):
            yield key, field.alias or key


def _with(settings: Settings, key: str, value: object) -> Settings:
    """Settings with one other value, unchecked: a mixture of two configurations need not be one."""
    values = {name: getattr(settings, name) for name in Settings.model_fields}
    return Settings.model_construct(**{**values, key: value})


def _differing(ours: Sequence[Unit], others: Sequence[Unit]) -> set[str]:
    mine = {(unit.name, unit.expect) for unit in ours}
    return {name for name, _ in mine ^ {(unit.name, unit.expect) for unit in others}}


def _surrounding_rows(sides: tuple[Side, Side], found: tuple[Mapping[str, State], ...]) -> Iterator[Row]:
    pairs = zip([*sides[0].judged, *sides[0].compared], [*sides[1].judged, *sides[1].compared], strict=True)
    for ours, theirs in pairs:
        mine = _lines(sides[0], ours, found[0])
        others = _lines(sides[1], theirs, found[1])
        if mine == others:
            yield Row(ours.unit.name, "same")
            continue
        yield from _line_rows(sides, ours, mine, others)


def _lines(side: Side, surrounding: Surrounding, found: Mapping[str, State]) -> dict[str, bool]:
    """The lines of a surrounding without the stack's own names, and whether the settings accept each."""
    state = found.get(surrounding.unit.name)
    lines = accounted(surrounding, state.found if state else "", side.settings.accepted)
    return {normalised(line, side.settings): accepted for line, accepted in lines}


def _line_rows(
    sides: tuple[Side, Side], surrounding: Surrounding, mine: dict[str, bool], others: dict[str, bool]
) -> Iterator[Row]:
    platforms = sorted({side.platform.release.words for side in sides})
    only = [(line, 0) for line in mine if line not in others] + [
        (line, 1) for line in others if line not in mine
    ]
    for line, at in only:
        cells = (readable(line), "absent") if at == 0 else ("absent", readable(line))
        accepted = (mine, others)[at][line]
        if accepted:
            yield Row(surrounding.unit.name, "explained", cells, f"itqan:accepted.{surrounding.name}")
        elif surrounding.by_platform and len(platforms) > 1:
            yield Row(surrounding.unit.name, "explained", cells, f"platforms: {' and '.join(platforms)}")
        else:
            stack = sides[at].settings.stack
            yield Row(surrounding.unit.name, "unexplained", cells, f"only on {stack}; nothing asks for it")

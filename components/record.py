"""The record: the observation that the last `up` left on the host for the observer, and what it tells."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from settings import Settings

from .observation import (
    OBSERVER,
    Endpoint,
    Refused,
    State,
    Unreachable,
    answers,
    dialled,
    failed,
    run,
    script,
)
from .render import render
from .surroundings import PREFIX, Surrounding, Unknown, unknown
from .unit import Unit

BUSY = 75  # exit status of the program while another observation goes on
PATIENCE = 60  # seconds until that one has ended
LINE = "record "


@dataclass(frozen=True)
class Entry:
    """What was recorded of a unit, or of a surrounding, and what is found now.

    unit     its name, and what was expected at the last `up`
    probe    a digest of the probe and of the library that it was recorded with
    known    patterns of lines of a surrounding that are right
    """

    unit: Unit
    probe: str
    found: str
    known: tuple[str, ...]


def program(
    settings: Settings,
    units: Sequence[Unit],
    itself: Unit,
    judged: Sequence[Surrounding],
    further: Sequence[Unit],
) -> str:
    """The program that the observer's key starts: the record, then the observation.

    Arguments: `units`, which are recorded with what is expected of them; `itself`, the unit of this very
    program, of which only the probe can be in it; `judged` and `further`, what else is looked at.
    """
    accepted = settings.accepted
    looked = [*units, itself, *(surrounding.unit for surrounding in judged), *further]
    more: dict[str, dict[str, object]] = {unit.name: {"expect": unit.expect} for unit in units}
    for surrounding in judged:
        patterns = [*surrounding.known, *accepted.get(surrounding.name, ())]
        more[surrounding.unit.name] = {"known": patterns}
    probes = _digests(looked)
    lines = [
        LINE + json.dumps({"name": unit.name, "probe": probes[unit.name], **more.get(unit.name, {})})
        for unit in looked
    ]
    return render(
        "observer/observe.sh.j2", busy=BUSY, record="\n".join(lines), observation=script(looked).rstrip("\n")
    )


def _digests(units: Iterable[Unit]) -> dict[str, str]:
    """By name, a digest of each probe with the whole library: the functions that it calls are part of it."""
    library = hashlib.sha256(script([]).encode())
    made = {}
    for unit in units:
        whole = library.copy()
        whole.update(unit.probe.encode())
        made[unit.name] = whole.hexdigest()
    return made


def observer_endpoint(settings: Settings) -> Endpoint:
    """How the observer reaches a stack's host. Raises UnreadableKey."""
    assert settings.observer_private_key is not None  # settings/rules.py
    key = settings.observer_private_key.get_secret_value()
    return replace(Endpoint.of(settings), user=OBSERVER, private_key=key, key_name="observerPrivateKey")


@dataclass(frozen=True)
class Record:
    """What the observer was told, by name."""

    entries: dict[str, Entry]

    @classmethod
    def parse(cls, output: bytes) -> Record:
        """Raises Unreachable when the output was cut short, or is not a record's."""
        found = answers(output)
        try:
            recorded = [
                json.loads(line.removeprefix(LINE))
                for line in output.decode(errors="replace").split("\n")
                if line.startswith(LINE)
            ]
            return cls({entry["name"]: _entry(entry, found.get(entry["name"], "")) for entry in recorded})
        except (ValueError, KeyError, TypeError):
            raise Unreachable("the observer was told no record: does another program answer?") from None

    def states(self, units: Sequence[Unit]) -> list[State]:
        """Those of the units that the host looked at by the very same probe."""
        unlike = set(self.unlike(units))
        return [State(unit, self.entries[unit.name].found) for unit in units if unit.name not in unlike]

    def unlike(self, units: Sequence[Unit]) -> list[str]:
        """The names of the others: since the last `up` their probe changed in the program, or came in."""
        entries = self.entries
        return [
            name
            for name, probe in _digests(units).items()
            if name not in entries or entries[name].probe != probe
        ]

    def recorded(self) -> list[State]:
        """Every unit beside what the last `up` expected of it."""
        return [
            State(entry.unit, entry.found)
            for entry in self.entries.values()
            if entry.unit.expect  # of the record itself it cannot be known
        ]

    def unknown(self) -> list[Unknown]:
        """What nothing accounted for at the last `up`."""
        beside = [entry for name, entry in self.entries.items() if name.startswith(PREFIX)]
        surroundings = [
            Surrounding(entry.unit.name.removeprefix(PREFIX), "", entry.known)  # type: ignore[arg-type]
            for entry in beside
        ]
        states = [State(one.unit, entry.found) for one, entry in zip(surroundings, beside, strict=True)]
        return unknown(surroundings, states, accepted={})


def _entry(recorded: dict[str, object], found: str) -> Entry:
    known = recorded.get("known", [])
    if not isinstance(known, list):
        raise TypeError(known)
    unit = Unit(str(recorded["name"]), probe="", expect=str(recorded.get("expect", "")), apply="")
    return Entry(unit, str(recorded["probe"]), found, tuple(map(str, known)))


async def ask(endpoint: Endpoint, patience: float = 0) -> Record:
    """Have the host do what the record says.

    Arguments: `endpoint`, the observer's; `patience`, as of `observe`.
    Raises Unreachable with what failed.
    """
    return await dialled(endpoint, lambda: _ask(endpoint), patience)


async def _ask(endpoint: Endpoint) -> Record:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            done = await run(endpoint, "")
        except Refused as error:
            raise Unreachable(f"{error}; the next `up` with itqan:observer.key lets it in") from None
        if done.status != BUSY:
            break
        if time.monotonic() >= deadline:
            raise Unreachable(failed(endpoint, f"another observation has gone on for {PATIENCE} seconds"))
        await asyncio.sleep(0.3)
    if not done.output:
        raise Unreachable(failed(endpoint, done.words))
    return Record.parse(done.output)

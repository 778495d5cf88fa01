"""What a runbook is: what shows the trouble, the steps in their order, and what a person is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..health import Check, Seen, Verdict, release
from ..health.model import State, Unreadable
from ..ledger import differing_words
from ..observation import State as UnitState
from ..unit import Unit

LATE = "not looked at within its time"
Tell = Callable[[Seen], Sequence[str]]


def nothing(_: Seen) -> Sequence[str]:
    """Nothing more to tell."""
    return ()


def always(_: Seen) -> bool:
    """A step that needs no condition."""
    return True


@dataclass(frozen=True)
class Symptom:
    """A check that shows the trouble of a runbook.

    troubles  the states of its verdict that are trouble
    explains  whether it is also why something that rests on this may not work
    """

    check: Check
    troubles: frozenset[State] = frozenset({"bad"})
    explains: bool = False

    def verdict(self, seen: Seen) -> Verdict:
        """Its verdict; what cannot be read is `unknown`."""
        try:
            return self.check.judge(seen)
        except Unreadable as error:
            return Verdict("unknown", str(error))
        except (ValueError, IndexError):
            return Verdict("unknown", "the answer cannot be read")


@dataclass(frozen=True)
class Step:
    """A step of a runbook.

    command   what a person would type on the host; with `unit`, what its apply does
    cure      bash that does it, as root; empty: the command itself
    unit      the name of a unit that is brought where it differs; `cure` is its own apply then
    when      whether the step can help, by what was seen
    patience  seconds until what it does must have shown
    """

    command: str
    cure: str = ""
    unit: str = ""
    when: Callable[[Seen], bool] = always
    patience: float = 10

    @property
    def words(self) -> str:
        """As the plan has it."""
        return f"unit {self.unit}: {self.command}" if self.unit else self.command


@dataclass(frozen=True)
class Runbook:
    """A troubleshooting section of the document.

    name      as it is typed
    section   of the document
    symptoms  what shows the trouble
    units     names of units whose drift is trouble by itself
    steps     in their order, the least intrusive first where the document leaves that open
    looks     what the host is asked beyond health's probes; nothing is expected of it
    rests_on  runbooks of what this rests on: with trouble there, no step here can help
    waits     whether a release makes such trouble while it is under way, and the steps would be in its way
    tells     what was found beyond the verdicts
    person    what is left for a person, when no step has helped
    """

    name: str
    section: str
    symptoms: Sequence[Symptom]
    steps: Sequence[Step]
    units: Sequence[str] = ()
    looks: Sequence[Unit] = ()
    rests_on: Sequence[str] = ()
    waits: bool = False
    tells: Tell = nothing
    person: Tell = nothing


@dataclass(frozen=True)
class Finding:
    """Something that was looked at.

    name      of a check or a unit
    state     as a check's, or `differs`
    words     what was found
    """

    name: str
    state: str
    words: str


@dataclass(frozen=True)
class Diagnosis:
    """What a runbook makes of one look.

    troubles   what is wrong
    unread     what could not be judged
    elsewhere  names of runbooks that have to come first, with why
    told       further lines
    differing  names of units of the steps that are not as expected
    release    of a release that is under way, and whose end comes first: what is known; else empty
    """

    seen: Seen
    troubles: Sequence[Finding]
    unread: Sequence[Finding] = ()
    elsewhere: Mapping[str, Finding] = field(default_factory=dict)
    told: Sequence[str] = ()
    differing: frozenset[str] = frozenset()
    release: str = ""

    @property
    def cured(self) -> bool:
        """Whether nothing is wrong; what could not be judged may be."""
        return not self.troubles and not self.unread


def diagnosis(
    books: Mapping[str, Runbook], name: str, seen: Seen, states: Mapping[str, UnitState]
) -> Diagnosis:
    """What a runbook makes of what was seen.

    Arguments: `states`, of the units, by name.
    """
    book = books[name]
    verdicts = [(symptom, symptom.verdict(seen)) for symptom in book.symptoms]
    differing = frozenset(
        unit for unit in (*book.units, *(step.unit for step in book.steps)) if _differs(states, unit)
    )
    troubles = [
        Finding(symptom.check.name, verdict.state, verdict.found)
        for symptom, verdict in verdicts
        if verdict.state in symptom.troubles
    ]
    troubles += [_drift(states[unit]) for unit in book.units if unit in differing]
    unread = [Finding(unit, "unknown", LATE) for unit in book.units if _is_late(states, unit)]
    unread += [
        Finding(symptom.check.name, verdict.state, verdict.found)
        for symptom, verdict in verdicts
        if verdict.state == "unknown" and "unknown" not in symptom.troubles
    ]
    elsewhere = {other: found for other in book.rests_on if (found := _explains(books[other], seen))}
    running = release.under_way(seen) if book.waits else ""
    return Diagnosis(seen, troubles, unread, elsewhere, tuple(book.tells(seen)), differing, running)


def _explains(book: Runbook, seen: Seen) -> Finding | None:
    """What is so wrong there that whatever rests on it cannot work."""
    for symptom in book.symptoms:
        if not symptom.explains:
            continue
        verdict = symptom.verdict(seen)
        if verdict.state == "bad":
            return Finding(symptom.check.name, verdict.state, verdict.found)
    return None


def _differs(states: Mapping[str, UnitState], unit: str) -> bool:
    return unit in states and not states[unit].healthy and not _is_late(states, unit)


def _is_late(states: Mapping[str, UnitState], unit: str) -> bool:
    """Whether a probe was ended before it said anything: each says something of whatever it finds."""
    return unit in states and not states[unit].found


def _drift(state: UnitState) -> Finding:
    expected, found = differing_words(state)
    return Finding(state.unit.name, "differs", f"expected {expected}; found {found}")


def plan(book: Runbook, found: Diagnosis) -> list[Step]:
    """The steps that can help with what was found, in their order."""
    return [
        step
        for step in book.steps
        if (step.unit in found.differing if step.unit else True) and step.when(found.seen)
    ]

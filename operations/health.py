"""Health: every check of a stack at once, over one connection; for people, programs, and as a page."""

from __future__ import annotations

import json
import re
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, NoReturn, TextIO

from .audit import MODULES, look, read_settings, side_of
from .errors import OperationError
from .hosts import UnseenHost
from .machine import ready_engine
from .steps import Steps
from .table import grouped

if TYPE_CHECKING:
    from components.health import Drift, Result, Seen
    from components.observation import State
    from components.side import Side
    from components.unit import Unit
    from settings import Settings

    from .outside import Way

HEAD = ("check", "state", "found", "limit", "what helps")
COLOURS = {"good": "32", "warn": "33", "bad": "31", "unknown": "35", "skipped": "2"}
# That a branch has a newer commit is no matter of health, and its repository may take long to answer.
ANY_COMMIT, COMMIT = "0" * 40, re.compile(r"commit [0-9a-f]{40}")
# What a look needs beyond the comparison.
FURTHER_MODULES = (
    "operations.outside",
    "components.health",
    "components.authority",
    "components.surroundings",
)
CLEAR = "\x1b[H\x1b[2J\x1b[3J"


@dataclass(frozen=True)
class Health:
    """What was found of a stack.

    host     how the host was reached
    seconds  how long the whole look took
    at       when, in seconds since 1970
    results  every check with its verdict, in the order of the table
    """

    stack: str
    host: str
    seconds: float
    at: float
    results: Sequence[Result]

    @property
    def counts(self) -> Counter[str]:
        """How many checks came to which state."""
        return Counter(result.verdict.state for result in self.results)

    @property
    def state(self) -> str:
        """The worst of all."""
        from components.health.model import ORDER

        return next((state for state in ORDER[:-1] if self.counts[state]), "good")

    @property
    def failed(self) -> bool:
        """Whether anything is not good."""
        return self.state != "good"

    @property
    def worst(self) -> list[Result]:
        """Those that are not good, the worst first."""
        from components.health.model import ORDER

        wrong = [result for result in self.results if result.verdict.state not in ("good", "skipped")]
        return sorted(wrong, key=lambda result: ORDER.index(result.verdict.state))

    def table(self, *, colours: bool = False) -> str:
        """The whole as text, a line for each check; what helps is said where it is needed."""
        rows = [(result.group, _cells(result)) for result in self.results]
        lines = list(grouped(HEAD, rows))
        if colours:
            lines = [_coloured(line) for line in lines]
        return "\n".join([*lines, "", self.closing_line()])

    def closing_line(self) -> str:
        """What was found, in one line."""
        return f"itqan {self.stack}, {self.host}: {self._tally()}, in {self.seconds:.2f} s"

    def _tally(self) -> str:
        from components.health.model import ORDER

        return ", ".join(f"{self.counts[state]} {state}" for state in ORDER if self.counts[state])

    def line(self) -> str:
        """One line for a monitoring system: the state, how many, and what is wrong, the worst first."""
        wrong = "; ".join(_short(result) for result in self.worst)
        return _plain(
            f"{self.state.upper()} itqan {self.stack}: {self._tally()}{': ' if wrong else ''}{wrong}"
        )

    def to_json(self) -> str:
        """The whole as one JSON object."""
        checks = [{"check": r.name, "group": r.group, **asdict(r.verdict)} for r in self.results]
        shown = {
            "stack": self.stack,
            "host": self.host,
            "at": datetime.fromtimestamp(self.at, timezone.utc).isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 3),
            "state": self.state,
            "counts": dict(self.counts),
            "checks": checks,
        }
        return json.dumps(shown, indent=2, ensure_ascii=False)


def _cells(result: Result) -> tuple[str, str, str, str, str]:
    verdict = result.verdict
    helps = "" if verdict.state in ("good", "skipped") else verdict.help
    return result.name, verdict.state, _plain(verdict.found), verdict.limit, helps


def _short(result: Result) -> str:
    return f"{result.name} {result.verdict.state}: {result.verdict.found}"


def _plain(text: str) -> str:
    """On one line, without what a terminal would obey: parts of it come from the host."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _coloured(line: str) -> str:
    """A line of the table with its state in colour."""
    for state, colour in COLOURS.items():
        before, found, after = line.partition(f"  {state} ")
        if found and before.startswith("  "):
            return f"{before}  \x1b[{colour}m{state}\x1b[0m {after}"
    return line


def stack_settings(name: str, steps: Steps) -> tuple[Settings, Way]:
    """A stack's settings, read without the engine's state, and the way to it.

    Raises ConfigurationError, HostUnreachable for a copy whose Docker host does not answer.
    """
    from .outside import way_to

    engine = ready_engine(steps)
    [settings] = read_settings([name], engine, (*MODULES, *FURTHER_MODULES))
    if settings.docker_host:
        from .docker_hosts import ensure_login

        ensure_login(name, engine, steps)
    return settings, way_to(settings)


@dataclass(frozen=True)
class Sight:
    """What one look at a stack saw.

    states   the units, the judged surroundings and what else was asked for
    seconds  how long it took
    """

    side: Side
    states: Sequence[State]
    seen: Seen
    seconds: float


def see(settings: Settings, way: Way, further: Sequence[Unit] = (), *, busy: bool = False) -> Sight:
    """Everything that health looks at, once.

    Arguments: `further`, what the host is asked beyond that; `busy`, whether to wait for late answers.
    Raises ConfigurationError, or UnseenHost when the host cannot be looked at.
    """
    from components.health import Seen, limits, probes
    from components.platform import load_platform

    from .outside import Answers, questions

    started, platform, tenant = time.monotonic(), load_platform(settings.platform), _tenant()
    limit, patience, outside = limits.PROBE, limits.PATIENCE, limits.OUTSIDE
    if busy:
        limit, patience, outside = limits.BUSY_PROBE, limits.BUSY_OUTSIDE, limits.BUSY_OUTSIDE
    answers = Answers(questions(settings, way, tenant, patience))
    side = side_of(settings, ANY_COMMIT)
    asked = [*probes(settings, platform, tenant, limit), *further]
    began = time.time()
    try:
        [states] = look([(side, [*side.looked, *asked])], limit)
    except UnseenHost as error:
        raise UnseenHost(f"{error}\n  {_from_here(answers.until(started + outside))}") from None
    ended = time.time()
    names = {unit.name for unit in asked}
    seen = Seen(
        settings=settings,
        platform=platform,
        tenant=tenant,
        began=began,
        ended=ended,
        host={state.unit.name: state.found for state in states if state.unit.name in names},
        outside=answers.until(started + outside),
        drift=drift_of(side, states),
    )
    return Sight(side, states, seen, time.monotonic() - started)


def _from_here(answers: Mapping[str, str]) -> str:
    """What visitors have of a site whose host cannot be looked at: it may be the way there that is broken."""
    from components.health import site
    from components.health.model import FAILED

    page, websocket = answers[site.PAGE], answers[site.WEBSOCKET]
    status = page if page.startswith(FAILED) else page.split()[0]
    return f"the site, asked from here: page: {status}; WebSocket: {websocket}"


def look_at(settings: Settings, way: Way) -> Health:
    """Looks at a stack once. Raises as `see`."""
    from components.health import checks, judged

    sight = see(settings, way)
    seen = sight.seen
    results = judged(checks(settings, seen.platform), seen)
    return Health(settings.stack, sight.side.host, sight.seconds, seen.ended, results)


def _tenant() -> str:
    """A name that no cache knows."""
    return f"health-{secrets.token_hex(4)}"


def drift_of(side: Side, states: Sequence[State]) -> Drift:
    """What differs from the settings, whatever commit runs."""
    from components.health import Drift
    from components.surroundings import unknown

    ours = {unit.name for unit in side.units}
    units = [state for state in states if state.unit.name in ours]
    beside = unknown(side.judged, states, side.settings.accepted)
    return Drift(
        tuple(state.unit.name for state in units if state.found and _differs(state)),
        sum(len(item.lines) for item in beside),
        len(units),
        late=sum(not state.found and not state.healthy for state in units),
    )


def _differs(state: State) -> bool:
    if state.healthy:
        return False
    return _without_commit(state.found) != _without_commit(state.unit.expect)


def _without_commit(text: str) -> list[str]:
    return [line for line in text.splitlines() if not COMMIT.fullmatch(line)]


def health_of(name: str, steps: Steps, show: Callable[[Health], None]) -> Health:
    """Looks at a stack once and shows it. Raises OperationError."""
    found = look_at(*stack_settings(name, steps))
    show(found)
    return found


def watch(name: str, steps: Steps, show: Callable[[Health], None], period: float) -> NoReturn:
    """Looks again and again, until it is interrupted; that a host cannot be looked at is no end.

    Arguments: `period`, seconds from the beginning of one look to that of the next.
    Raises ConfigurationError, HostUnreachable.
    """
    settings, way = stack_settings(name, steps)
    while True:
        began = time.monotonic()
        try:
            found = look_at(settings, way)
        except OperationError as error:
            _fresh(sys.stderr)
            print(f"itqan: {error}", file=sys.stderr, flush=True)
        else:
            _fresh(sys.stdout)
            show(found)
            sys.stdout.flush()
        time.sleep(max(period - (time.monotonic() - began), 0))


def _fresh(stream: TextIO) -> None:
    """On a terminal a look takes the place of the one before it."""
    if stream.isatty():
        stream.write(CLEAR)


def unmade_line(name: str, error: OperationError) -> str:
    """What a monitoring system is told when the checks themselves could not be made."""
    words = "; ".join(line.strip() for line in str(error).splitlines())
    return _plain(f"UNKNOWN itqan {name}: {words}")

"""What a check is, what it is judged by, and what comes out."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from settings import Settings

from ..platform import Platform
from ..render import text
from ..unit import Unit

# `skipped`: there is nothing to check in this stack, and the verdict says why.
State = Literal["good", "warn", "bad", "unknown", "skipped"]
# The worst first; `unknown` is no good news either.
ORDER: tuple[State, ...] = ("bad", "unknown", "warn", "good", "skipped")
FAILED = "error"  # how an answer from outside begins that did not come
LATE = "the host did not answer in time"  # a probe says something of whatever it finds


class Unreadable(Exception):
    """What a probe printed does not answer the question; the message says what is missing.

    help  the command that helps, where there is a better one than to look
    """

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.help = help


@dataclass(frozen=True)
class Verdict:
    """An outcome.

    found   what was seen, with its number
    limit   what it was held against; empty where there is none
    help    the command that helps: `./itqan …` here, everything else on the host
    """

    state: State
    found: str
    limit: str = ""
    help: str = ""


@dataclass(frozen=True)
class Drift:
    """What differs from the settings: names of units, and how many things nothing accounts for.

    late  how many of the units were not looked at in time
    """

    units: tuple[str, ...] = ()
    unknown: int = 0
    of: int = 0
    late: int = 0


@dataclass(frozen=True)
class Seen:
    """All that was seen at one moment.

    host            what each probe on the host printed, by name
    outside         what was answered from outside, by question
    tenant          the tenant's name that was asked for: one that nobody has
    began, ended    this machine's clock around the look at the host, in seconds since 1970
    """

    settings: Settings
    platform: Platform
    tenant: str
    began: float
    ended: float
    host: Mapping[str, str] = field(default_factory=dict)
    outside: Mapping[str, str] = field(default_factory=dict)
    drift: Drift = Drift()

    def words(self, probe: str, *first: str) -> list[str]:
        """The words after `first` in the first line of a probe that begins with them. Raises Unreadable."""
        for words in self.rows(probe):
            if words[: len(first)] == list(first):
                return words[len(first) :]
        if not self.host.get(probe, "").strip():
            raise Unreadable(LATE)
        raise Unreadable(f"the host does not say: {' '.join(first)}")

    def rows(self, probe: str) -> list[list[str]]:
        """The lines of a probe, word by word."""
        return [line.split() for line in self.host.get(probe, "").splitlines() if line.strip()]

    def number(self, probe: str, *first: str) -> float:
        """The one number after `first`. Raises Unreadable."""
        words = self.words(probe, *first)
        try:
            return float(words[0])
        except (IndexError, ValueError):
            raise Unreadable(f"the host says no number: {' '.join([*first, *words])}") from None

    def answer(self, question: str) -> str:
        """What was answered from outside. Raises Unreadable when nobody was asked."""
        if question not in self.outside:
            raise Unreadable("nobody was asked")
        return self.outside[question]


@dataclass(frozen=True)
class Check:
    """A check: a pure function of what was seen. It may raise Unreadable."""

    name: str
    group: str
    judge: Callable[[Seen], Verdict]


@dataclass(frozen=True)
class Result:
    """A check with its verdict."""

    name: str
    group: str
    verdict: Verdict


def runbook(seen: Seen, name: str) -> str:
    """The line that starts a runbook (components/runbooks)."""
    return f"./itqan fix {seen.settings.stack} {name}"


def question(name: str, *words: str) -> Unit:
    """files/`name`.sh, asked with these words; nothing is expected of the host."""
    return Unit(name, f"{shlex.join(['set', '--', *words])}\n{text(f'{name}.sh')}", expect="", apply="")


def graded(value: float, warn: float, bad: float, *, falling: bool = False) -> State:
    """`good` up to `warn`, `bad` from `bad` on; `falling`: small numbers are the bad ones."""
    if falling:
        value, warn, bad = -value, -warn, -bad
    if value >= bad:
        return "bad"
    return "warn" if value >= warn else "good"


def lasted(seconds: float) -> str:
    """A time in the largest unit that it has one of."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def size(count: float) -> str:
    """Bytes in units of 10^9 or 10^6."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"

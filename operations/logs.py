"""`logs`: what a stack's programs wrote, merged by time, without the engine, over one connection.

The reader on the host assembles, filters and merges the entries, where the files and their clock are, so that
only what was asked for goes over the line; here they become lines of a terminal.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

from .audit import read_settings
from .errors import ConfigurationError, OperationError
from .harmless import harmless, has_colours
from .hosts import copy_hint
from .machine import ready_engine
from .steps import Steps

if TYPE_CHECKING:
    from components.logs import Question, Source
    from settings import Settings

LAST = 50  # entries, where no time is given
LONGEST = 4000  # characters of a line
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
MODULES = ("asyncssh", "components.logs")
# Of the sources in their order; red and white are left to what is wrong.
COLOURS = ("32", "33", "34", "35", "36", "92", "93", "94", "95", "96")
TIMES = "10m, 2h, 3d (back from now), 14:30 (today), 2026-11-29, '2026-11-29 14:30'"


def show_logs(name: str, wanted: Sequence[str], since: str | None, grep: str | None, *, follow: bool) -> None:
    """Prints what a stack's programs wrote.

    Arguments: `wanted`, sources (components/logs.py); none: all. `since`, as of `moment`; None:
    the last entries. `grep`, a regular expression for whole entries. `follow`: until it is interrupted.
    Raises ConfigurationError, OperationError for a source, a time or an expression that is none, or a host
    out of reach.
    """
    ago, at = moment(since) if since is not None else (None, None)
    if grep is not None:
        require_expression(grep)
    from components.logs import Question

    [settings] = read_settings([name], ready_engine(Steps()), MODULES)
    asked = Question(ago, at, LAST, grep, follow)
    chosen = chosen_sources(settings, wanted)
    _listen(settings, chosen, asked, Printer(chosen, sys.stdout, sys.stderr))


def moment(text: str, now: float | None = None) -> tuple[float | None, float | None]:
    """A time as it was typed: how many seconds back, or the second since 1970 (this machine's zone).

    Arguments: `now`, in seconds since 1970. Raises OperationError.
    """
    if found := re.fullmatch(r"(\d{1,9})([smhdw])", text):
        return float(found[1]) * SECONDS[found[2]], None
    today = datetime.fromtimestamp(time.time() if now is None else now)
    try:
        if re.fullmatch(r"\d\d?:\d\d(:\d\d)?", text):
            hour, minute, *second = map(int, text.split(":"))
            return None, today.replace(hour=hour, minute=minute, second=(second or [0])[0]).timestamp()
        return None, datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        raise OperationError(f"--since {text}: allowed: {TIMES}") from None


def require_expression(text: str) -> None:
    """Raises OperationError for what is no regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise OperationError(f"--grep {text}: no regular expression of Python's: {error}") from None


def chosen_sources(settings: Settings, names: Sequence[str]) -> list[Source]:
    """The sources of those names, in the usual order. Raises OperationError."""
    from components.logs import sources
    from components.platform import load_platform

    known = sources(settings, load_platform(settings.platform))
    if wrong := [name for name in names if name not in known]:
        raise OperationError(f"{', '.join(wrong)}: {settings.stack} has the logs {', '.join(known)}")
    return [source for name, source in known.items() if name in names or not names]


class Printer:
    """Entries as lines: when, of what, and what was said; one colour for each source."""

    def __init__(self, sources: Sequence[Source], out: TextIO, errors: TextIO) -> None:
        names = [source.name for source in sources]
        self._out, self._errors = out, errors
        self._width = max(len(name) for name in names)
        self._colours = dict(zip(names, COLOURS, strict=False)) if has_colours(out) else {}

    def answer(self, line: bytes) -> None:
        """One line of the reader's."""
        answer = json.loads(line)
        source = str(answer["source"])
        if "problem" in answer:
            print(f"itqan: {source}: {harmless(str(answer['problem']))}", file=self._errors, flush=True)
            return
        at, text = answer["at"], str(answer["text"])
        if source == "release":
            text = release_words(text)
        self._out.write("".join(f"{shown}\n" for shown in self._lines(source, at, text)))
        self._out.flush()

    def _lines(self, source: str, at: float | None, text: str) -> list[str]:
        when = "-" * 19 if at is None else f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M:%S}"
        first, *further = (harmless(_short(line)) for line in text.split("\n"))
        lines = [f"{when} {source:<{self._width}} │ {first}"]
        lines += [f"{'':19} {'':<{self._width}} │ {line}" for line in further]
        colour = self._colours.get(source)
        return [f"\x1b[{colour}m{line}\x1b[0m" for line in lines] if colour else lines


def _short(line: str) -> str:
    if len(line) <= LONGEST:
        return line
    return f"{line[:LONGEST]} … and {len(line) - LONGEST} characters more"


def release_words(line: str) -> str:
    """A line of the log of releases in words; one that is none as it is."""
    try:
        said = json.loads(line)
        return ", ".join(f"{key} {value}" for key, value in said.items() if key != "when" and value != "")
    except (ValueError, AttributeError):
        return line


def _listen(settings: Settings, chosen: Sequence[Source], asked: Question, printer: Printer) -> None:
    from components.keys import UnreadableKey
    from components.logs import command, told
    from components.observation import Endpoint, Unreachable, listen

    try:
        endpoint = Endpoint.of(settings)
        words = told(settings, chosen, asked)
        done = asyncio.run(listen(endpoint, command(endpoint), words, printer.answer))
    except UnreadableKey as error:
        raise ConfigurationError(str(error)) from None
    except Unreachable as error:
        raise OperationError(f"{error}{copy_hint(settings)}") from None
    except BrokenPipeError:
        # whoever read our output has read enough; nothing more may be written to it, not even at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    if done.status != 0:
        raise OperationError(f"the logs of {endpoint.words} cannot be read: {harmless(done.words[-500:])}")

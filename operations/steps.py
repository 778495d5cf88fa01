"""Steps of an operation: each is announced before it runs, and timed; long ones show that they are alive."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .errors import PreparationError
from .paths import LOGS

# Seconds between two signs of life of a long step: on a terminal they overwrite each other.
TERMINAL_PERIOD = 0.5
LOG_PERIOD = 30.0
# Lines of a failed command's output that its error quotes.
QUOTED_LINES = 15


@dataclass(frozen=True)
class Span:
    """A step that has ended: when it began (time.monotonic), and how long it took in seconds."""

    name: str
    text: str
    began: float
    seconds: float


class Steps:
    """Announces steps on standard error (standard output is for results) and remembers how long each took."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    @property
    def durations(self) -> dict[str, float]:
        """Seconds of each step by its name."""
        seconds: dict[str, float] = {}
        for span in self.spans:
            seconds[span.name] = seconds.get(span.name, 0.0) + span.seconds
        return seconds

    def say(self, text: str) -> None:
        """Prints one line."""
        print(text, file=sys.stderr, flush=True)

    @contextmanager
    def step(self, name: str, text: str) -> Iterator[None]:
        """Announces `text`, runs the body, and records its seconds under `name`."""
        self.say(f"▸ {text}")
        start = time.monotonic()
        try:
            yield
        finally:
            self.spans.append(Span(name, text, start, time.monotonic() - start))

    def run(
        self,
        name: str,
        text: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        stdin: str = "",
    ) -> None:
        """Runs a command as a step; its output goes to `.itqan/logs/<name>.log`.

        Raises PreparationError with the last lines of the output when it fails.
        """
        LOGS.mkdir(parents=True, exist_ok=True)
        log = LOGS / f"{name}.log"
        with self.step(name, text), log.open("w") as output, _sign_of_life(log):
            result = subprocess.run(
                command,
                input=stdin,
                text=True,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=directory,
                check=False,
            )
        if result.returncode:
            raise PreparationError(
                f"{command[0]} failed (exit status {result.returncode}); its output is in {log}\n{_tail(log)}"
            )


class Silent(Steps):
    """Steps that were announced before: of a second try."""

    def say(self, text: str) -> None:
        """Prints nothing."""


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-QUOTED_LINES:]
    return "\n".join(f"    {line}" for line in lines)


@contextmanager
def _sign_of_life(log: Path) -> Iterator[None]:
    """Prints, until the body ends, the seconds that passed and the last line of the log."""
    ended = threading.Event()
    terminal = sys.stderr.isatty()
    thread = threading.Thread(target=_tick, args=(log, ended, terminal), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _tick(log: Path, ended: threading.Event, terminal: bool) -> None:
    start = time.monotonic()
    while not ended.wait(TERMINAL_PERIOD if terminal else LOG_PERIOD):
        line = f"  {time.monotonic() - start:3.0f} s  {_last_line(log)}"
        sys.stderr.write(f"\r\x1b[K{line[:100]}" if terminal else f"{line}\n")
        sys.stderr.flush()
    if terminal:
        sys.stderr.write("\r\x1b[K")


def _last_line(log: Path) -> str:
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 1000))
        lines = stream.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")

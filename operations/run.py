"""One run of the engine over a stack, shown while it goes on and recorded."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from .display import Display
from .errors import EngineError
from .events import EventLog, Record
from .inline import interruptible, load_program_modules, start_inline
from .interrupted import Busy, is_locked
from .paths import LOGS
from .stack import Stack

# Seconds between two looks at the engine's events.
POLL = 0.05


class RunFailed(EngineError):
    """The engine did not get to the end; `record` has what it told, `words` all that it said of why."""

    def __init__(self, message: str, record: Record, words: str) -> None:
        super().__init__(message)
        self.record = record
        self.words = words


def run_up(stack: Stack, file: Path | None = None, before: Callable[[], None] | None = None) -> Record:
    """Brings the stack up and shows each change.

    Arguments: `file`, another configuration file than the stack's own; `before`, what comes first: done
    while the engine starts, which takes a second. What it raises ends the run, with nothing touched.
    Raises Busy, or RunFailed, its reasons shown.
    """
    log = LOGS / f"up-{stack.name}.log"
    with EventLog(LOGS / f"up-{stack.name}.events") as events, log.open("wb") as output:
        command = ["up", "--yes", "--skip-preview", "--suppress-outputs", "--color", "never"]
        done: Future[bool] = Future()
        process = start_inline(
            stack.engine, command, stack.name, events.path, output, file=file, may_begin=done.result
        )
        try:
            if before:
                _load_beside(stack)
                before()
        except BaseException:
            done.set_result(False)
            process.wait()
            raise
        done.set_result(True)
        record = _follow(stack, process, events)
    if process.returncode:
        words = "\n".join(message for _, message in record.errors)
        if not words:
            words = log.read_text(errors="replace")
            if is_locked(words):
                raise Busy(f"another run works on stack {stack.name}: {words.strip()}")
            sys.stderr.write(words)
        message = f"stack {stack.name} is not up; the same command continues where it stopped"
        raise RunFailed(message, record, words)
    return record


def run_preview(stack: Stack, options: Sequence[str]) -> Record:
    """Shows what `up` would do, with the engine's own display. Raises EngineError when it fails."""
    with EventLog(LOGS / f"preview-{stack.name}.events") as events:
        command = ["preview", "--suppress-progress", "--color", "auto", *options]
        process = start_inline(stack.engine, command, stack.name, events.path, None)
        load_program_modules(of_copy=stack.is_copy)
        with interruptible(process):
            process.wait()
        record = _take_all(Record(), events)
    if process.returncode:
        raise EngineError(f"the preview of stack {stack.name} failed; nothing was touched")
    return record


def _follow(stack: Stack, process: subprocess.Popen[bytes], events: EventLog) -> Record:
    """Shows the events as they come, until the engine ends."""
    record, display = Record(), Display()
    with interruptible(process):
        # A thread of its own waits: Popen.wait with a time limit notices the end late.
        ended = threading.Event()
        threading.Thread(target=_wait, args=(process, ended), daemon=True).start()
        load_program_modules(of_copy=stack.is_copy)
        while not ended.wait(POLL):
            _take_all(record, events, display)
            display.waiting(record)
    _take_all(record, events, display)
    display.end(record)
    return record


def _load_beside(stack: Stack) -> None:
    threading.Thread(target=load_program_modules, kwargs={"of_copy": stack.is_copy}, daemon=True).start()


def _take_all(record: Record, events: EventLog, display: Display | None = None) -> Record:
    for event in events.new_events():
        change = record.take(event)
        if change and display:
            display.change(change)
        if display:
            display.asks(record)
    return record


def _wait(process: subprocess.Popen[bytes], ended: threading.Event) -> None:
    process.wait()
    ended.set()

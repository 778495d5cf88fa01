"""Runs the commands of all resources on one event loop, so that Cancel reaches every one of them."""

import asyncio
import json
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from tools.plugins.common.provider import ProviderError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Job:
    """A command to run.

    Args:
        command: text for the shell.
        environment: variables that have to be set.
        previous: variables with the output of the previous run, set where that is possible.
        stdin: standard input, None for none.
    """

    command: str
    environment: dict[str, str]
    previous: dict[str, str]
    stdin: str | None

    def stdin_bytes(self) -> bytes:
        """Standard input as bytes; none is the same as empty."""
        return (self.stdin or "").encode(errors="surrogateescape")


class Commands:
    """The event loop, on a thread of its own that starts with the first command."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def run(self, command: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine and wait for its result.

        Raises:
            ProviderError: it was cancelled and had nothing better to say.
        """
        return asyncio.run_coroutine_threadsafe(self._tracked(command), self._running_loop()).result()

    def cancel(self) -> None:
        """Cancel every command that runs now; later ones run as usual."""
        with self._lock:
            loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._cancel_tasks)

    def _cancel_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _tracked(self, command: Coroutine[Any, Any, Result]) -> Result:
        task = asyncio.ensure_future(command)
        self._tasks.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            raise ProviderError("context canceled", "CANCELLED") from None
        finally:
            self._tasks.discard(task)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="commands", daemon=True).start()
            return self._loop


def quoted(text: str) -> str:
    """Return text in double quotes with escapes, the way Go's %q prints it."""
    parts = []
    for character in text:
        code = ord(character)
        if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
            parts.append(f"\\x{code - 0xDC00:02x}")
        elif character in _ESCAPES:
            parts.append(_ESCAPES[character])
        elif character.isprintable():
            parts.append(character)
        elif code < 0x80:
            parts.append(f"\\x{code:02x}")
        else:
            parts.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return f'"{"".join(parts)}"'


_ESCAPES = {
    **{character: json.dumps(character)[1:-1] for character in '\b\f\n\r\t\\"'},
    "\a": "\\a",
    "\v": "\\v",
}

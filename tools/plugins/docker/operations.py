"""What runs at the moment, so that Cancel can stop it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Cancelled(Exception):
    """The engine asked to stop."""


class Operation:
    """One create, update or delete."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self.on_cancel: Callable[[], None] | None = None  # what else stops it, called from another thread

    def cancel(self) -> None:
        """Let the operation end soon."""
        self._cancelled.set()
        if self.on_cancel:
            self.on_cancel()

    def check(self) -> None:
        """Raise Cancelled if it shall end."""
        if self._cancelled.is_set():
            raise Cancelled

    def sleep(self, seconds: float) -> None:
        """Wait, but not longer than until it shall end; then raise Cancelled."""
        self._cancelled.wait(seconds)
        self.check()


class Operations:
    """All that run now. An operation that begins after a Cancel is not affected by it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[Operation] = set()

    @contextmanager
    def begin(self) -> Iterator[Operation]:
        """Yield a new operation that is known until the block ends."""
        operation = Operation()
        with self._lock:
            self._running.add(operation)
        try:
            yield operation
        finally:
            with self._lock:
                self._running.discard(operation)

    def cancel(self) -> None:
        """Cancel what runs."""
        with self._lock:
            running = list(self._running)
        for operation in running:
            operation.cancel()

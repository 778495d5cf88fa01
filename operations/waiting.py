"""Runs that have to wait for each other on this machine."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .paths import BRANCHES
from .steps import Steps


def lock_file(name: str) -> Path:
    """The file that whoever works on `name` holds."""
    return BRANCHES / f"{name}.lock"


@contextmanager
def one_at_a_time(name: str, steps: Steps, what: str) -> Iterator[None]:
    """Runs the body while no other process here works under the same name; else waits, and says so.

    Arguments: `what`, what the other one is doing, for the person who waits.
    """
    descriptor = _take(lock_file(name), steps, what)
    try:
        yield
    finally:
        os.close(descriptor)


def is_taken(name: str) -> bool:
    """Whether another process is at work on `name`."""
    try:
        descriptor = os.open(lock_file(name), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _try(descriptor)
    finally:
        os.close(descriptor)


def _take(path: Path, steps: Steps, what: str) -> int:
    """A descriptor that holds the lock of what is the file now: it may be removed while one waits for it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if not _try(descriptor):
            steps.say(f"▸ Waiting: {what}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
        os.close(descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

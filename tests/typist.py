"""Somebody at a terminal: a program on a pseudo-terminal of its own, read and answered."""

from __future__ import annotations

import os
import pty
import select
import signal
import time
from pathlib import Path
from types import TracebackType

PATIENCE = 120.0  # seconds for one question; the machine may be busy
CTRL_C, CTRL_D = "\x03", "\x04"


class Typist:
    """A program that believes itself at a terminal; a context manager.

    shown   all that was on the screen
    """

    def __init__(self, command: list[str], folder: Path) -> None:
        self.shown = ""
        self._read = 0  # of `shown`, what was waited for already
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            # as a login has it: a test that runs in the background of a shell has it ignored
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.chdir(folder)
            os.execv(command[0], command)

    def __enter__(self) -> Typist:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._terminal)  # hangs up on a program that still runs

    def sees(self, text: str) -> None:
        """Waits until `text` is on the screen, below what was waited for before."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown[self._read :]:
            assert self._more(deadline), f"{text!r} is not on the screen:\n{self.shown}"
        self._read = self.shown.index(text, self._read) + len(text)

    def types(self, answer: str) -> None:
        """An answer and the return key."""
        os.write(self._terminal, f"{answer}\n".encode())

    def presses(self, key: str) -> None:
        """A key by itself."""
        os.write(self._terminal, key.encode())

    def insists(self, key: str, text: str) -> None:
        """Presses a key, once a second, until `text` is on the screen.

        Python does not see a Ctrl-C that comes between its prompt and its reading; whoever sits there presses
        it again.
        """
        deadline = time.monotonic() + PATIENCE
        self.presses(key)
        while text not in self.shown[self._read :]:
            if not select.select([self._terminal], [], [], 1.0)[0] and time.monotonic() < deadline:
                self.presses(key)
                continue
            assert self._more(deadline), f"{text!r} is not on the screen:\n{self.shown}"
        self._read = self.shown.index(text, self._read) + len(text)

    def status(self) -> int:
        """The exit status, once the program is done."""
        deadline = time.monotonic() + PATIENCE
        while self._more(deadline):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _more(self, deadline: float) -> bool:
        """Reads on; False when the program is done. Fails when nothing comes."""
        ready, _, _ = select.select([self._terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"nothing more within {PATIENCE:g} s:\n{self.shown}"
        try:
            found = os.read(self._terminal, 4096)
        except OSError:  # Linux: the other end is closed
            return False
        self.shown += found.decode(errors="replace").replace("\r\n", "\n")
        return bool(found)

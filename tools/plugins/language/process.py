"""The program's process: started early, told later what to run."""

import contextlib
import json
import subprocess
import threading
from pathlib import Path
from typing import Any

from tools.plugins.language.environment import Environment

# Exit status of execute.py for an error that the user has already been told.
REPORTED = 32
_EXECUTE = Path(__file__).resolve().with_name("execute.py")
_END_GRACE = 2.0  # seconds between SIGTERM and SIGKILL


class Program:
    """An interpreter that imports pulumi at once and then waits for what to run.

    The engine names the environment some time before it asks to run the program: that time pays
    for the import.
    """

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self._process = subprocess.Popen(
            [environment.interpreter, "-u", str(_EXECUTE)], stdin=subprocess.PIPE, env=environment.variables()
        )

    def run(self, request: dict[str, Any]) -> int:
        """Run a program (see execute.py for the request) and return its exit status."""
        assert self._process.stdin is not None
        # If it has died already, its status says so.
        with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(json.dumps(request).encode())
        return self._process.wait()

    def end(self) -> None:
        """End the process if it still runs."""
        self._process.terminate()
        try:
            self._process.wait(_END_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Programs:
    """The programs of one language host: those that run, and at most one that waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Program | None = None
        self._running: set[Program] = set()

    def prepare(self, environment: Environment) -> None:
        """Start the interpreter that the next run will need."""
        with self._lock:
            if self._waiting is None:
                self._waiting = Program(environment)

    def run(self, environment: Environment, request: dict[str, Any]) -> int:
        """Run a program to its end and return its exit status."""
        program = self._take(environment)
        try:
            return program.run(request)
        finally:
            with self._lock:
                self._running.discard(program)

    def _take(self, environment: Environment) -> Program:
        with self._lock:
            program, self._waiting = self._waiting, None
            if program is not None and program.environment != environment:
                program.end()
                program = None
            program = program or Program(environment)
            self._running.add(program)
            return program

    def end(self) -> None:
        """End all of them."""
        with self._lock:
            programs = [*self._running, *([self._waiting] if self._waiting else [])]
            self._waiting = None
        for program in programs:
            program.end()

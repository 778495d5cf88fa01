"""Runs the program inside this process, as the language host of an engine that starts meanwhile.

The Automation API does the same (`Stack.up` with an inline program), but starts the engine after the imports
and calls it three times more for what the events say already: the larger part of a run with nothing to do.
"""

from __future__ import annotations

import importlib
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from .engine import Engine
from .paths import ROOT, file_options

LOOPBACK = "127.0.0.1"
# The engine asks for the program's packages, then runs it: one message at a time.
SERVER_THREADS = 2
# What the program imports, at once or when it looks at the host; loaded while the engine loads.
PROGRAM_MODULES = ("components.connection", "asyncssh", "jinja2")
COPY_MODULES = ("components.staging",)


def start_inline(
    engine: Engine,
    command: Sequence[str],
    stack: str,
    event_log: Path,
    output: BinaryIO | None,
    file: Path | None = None,
    may_begin: Callable[[], bool] = lambda: True,
) -> subprocess.Popen[bytes]:
    """Starts `pulumi COMMAND` for a stack with the program of this process; returns once that is served.

    Arguments: `event_log`, the file that the engine writes its events to; `output`, where the engine's own
    display goes (None: to this process's standard output); `file`, another configuration file than the
    stack's own; `may_begin`, asked before the program begins, for as long as it takes to answer; no: the run
    ends as one that failed, and has touched nothing.
    """
    gate = socket.create_server((LOOPBACK, 0))
    host = f"--client={LOOPBACK}:{gate.getsockname()[1]}"
    options = ["--non-interactive", "--skip-plugin-pre-install", "--exec-kind", "auto.inline", host]
    configuration = ["--config-file", str(file)] if file else file_options(stack)
    process = subprocess.Popen(
        [engine.path, *command, *options, *configuration, "--stack", stack, "--event-log", event_log],
        cwd=ROOT,
        # --event-log counts as an option for debugging.
        env={**engine.environment, "PULUMI_AUTOMATION_API": "true", "PULUMI_DEBUG_COMMANDS": "true"},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
    )
    # The engine gives up at a refused connection. So it meets this socket, which holds it until the server
    # is there.
    server, port = _serve(may_begin)
    threading.Thread(target=_relay_all, args=(gate, port, server), daemon=True).start()
    return process


def load_program_modules(*, of_copy: bool) -> None:
    """Imports what the program will import, so that it finds it loaded."""
    for name in (*COPY_MODULES, *PROGRAM_MODULES) if of_copy else PROGRAM_MODULES:
        importlib.import_module(name)


@contextmanager
def interruptible(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Leaves Ctrl-C to the engine, which gets it too: the first one cancels in good order."""

    def explain(_number: int, _frame: object) -> None:
        print("\nCancelling once the operations under way are done; again to stop at once.", file=sys.stderr)

    before = signal.signal(signal.SIGINT, explain)
    try:
        yield
    finally:
        process.wait()
        signal.signal(signal.SIGINT, before)


def _serve(may_begin: Callable[[], bool]) -> tuple[object, int]:
    """Starts the language runtime's server; returns it with its port."""
    import grpc
    from pulumi import RunError
    from pulumi.automation._server import LanguageServer
    from pulumi.runtime.proto import language_pb2, language_pb2_grpc

    class ProgramServer(LanguageServer):
        """The SDK's server, in which an error that ends several tasks of the program is told once."""

        def Run(self, request: Any, context: Any) -> Any:
            """Runs the program; its error is in the engine's log by the time that it comes out here again."""
            if not may_begin():
                return language_pb2.RunResponse(bail=True)
            try:
                return super().Run(request, context)  # type: ignore[no-untyped-call]
            except RunError:
                return language_pb2.RunResponse(bail=True)

    server = grpc.server(ThreadPoolExecutor(SERVER_THREADS))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(ProgramServer(_program), server)
    port: int = server.add_insecure_port(f"{LOOPBACK}:0")
    server.start()
    return server, port


def _program() -> None:
    from pulumi import log

    # the SDK tells the engine six things of each resource for `--debug`, which nobody can give here
    log.debug = lambda *_, **__: None
    runpy.run_path(str(ROOT / "__main__.py"))


def _relay_all(gate: socket.socket, port: int, _server: object) -> None:
    """Connects everyone who comes to the gate with the server, which lives while something refers to it."""
    while True:
        client, _ = gate.accept()
        inner = socket.create_connection((LOOPBACK, port))
        for source, target in ((client, inner), (inner, client)):
            threading.Thread(target=_relay, args=(source, target), daemon=True).start()


def _relay(source: socket.socket, target: socket.socket) -> None:
    # A connection that one side has closed ends the relay; the other side sees the end.
    with suppress(OSError):
        while block := source.recv(65536):
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)

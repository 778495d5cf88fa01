"""Runs a plugin's gRPC server the way the engine expects: port on stdout, end on a signal."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc

from tools.plugins.common.engine import UNLIMITED, Engine

if TYPE_CHECKING:
    from tools.plugins.common.provider import Provider

# A call holds its thread until the command or container is done; the engine limits how many run.
_THREADS = 256
_PARENT_CHECK = 1.0  # seconds between two looks at whether the engine still lives
_GRACE = 2.0  # seconds that calls get to end after a signal; the engine kills after 5


def engine_address() -> str:
    """Return the engine's address: the last argument of the command line, after any flags; or nothing."""
    last = sys.argv[-1] if len(sys.argv) > 1 else ""
    return "" if last.startswith("-") else last


def serve(register: Callable[[grpc.Server], None], stop: Callable[[], None]) -> None:
    """Serve until SIGINT, SIGTERM or the end of the process that started this one; then exit.

    Args:
        register: adds the plugin's services to the server.
        stop: ends what is running, so that open calls return; called once, on the way out.
    """
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: ended.set())
    parent = os.getppid()
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=[*UNLIMITED, ("grpc.so_reuseport", 0)])
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    while not ended.wait(_PARENT_CHECK) and os.getppid() == parent:
        pass
    stop()
    server.stop(_GRACE).wait(_GRACE)
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: that would wait for threads whose remote command no longer answers.
    os._exit(0)


def serve_provider(make: "Callable[[Engine], Provider]") -> None:
    """Serve a Provider (see provider.py) for the engine on the command line.

    Args:
        make: the Provider's class, or a function that makes one.
    """
    from tools.plugins.common.provider import add_to  # the language host does without

    provider = make(Engine(engine_address()))
    serve(lambda server: add_to(server, provider), provider.cancel)

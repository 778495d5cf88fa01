"""Requests through the edge that go on while a test does something else."""

from __future__ import annotations

import threading
from types import TracebackType

import urllib3

from tests.e2e.copy import Copy


class Traffic:
    """One kept connection and ever new ones to a copy, through the edge.

    asked    requests that were answered with 200
    failed   what went wrong, one line each
    """

    def __init__(self, copy: Copy) -> None:
        self.asked = 0
        self.failed: list[str] = []
        self._copy = copy
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(30)

    def pool(self) -> urllib3.HTTPSConnectionPool:
        """Connections to the copy, as a browser makes them."""
        address, _, port = self._copy.outputs["edge"].partition(":")
        name = self._copy.outputs["domain"]
        return urllib3.HTTPSConnectionPool(
            address,
            int(port),
            ca_certs=str(self._copy.root),
            server_hostname=name,
            assert_hostname=name,
            timeout=30,
            headers={"Host": f"{name}:{port}"},
        )

    def _run(self) -> None:
        with self.pool() as kept:
            while not self._ended.wait(0.2):
                self._ask(kept)
                with self.pool() as new:
                    self._ask(new)

    def _ask(self, pool: urllib3.HTTPSConnectionPool) -> None:
        try:
            status = pool.request("GET", "/robots.txt", retries=False).status
        except urllib3.exceptions.HTTPError as error:
            self.failed.append(repr(error))
            return
        if status == 200:
            self.asked += 1
        else:
            self.failed.append(f"HTTP {status}")

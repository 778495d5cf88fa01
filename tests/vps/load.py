"""Requests without a pause while something else goes on: every one of them has to be answered."""

from __future__ import annotations

import ssl
import threading
from collections import Counter
from types import TracebackType

import urllib3


class Load:
    """Some clients that ask one page after another, each over a connection of its own; a context manager.

    answers   how many there were of each kind: a status, or what was wrong with the connection
    """

    def __init__(self, address: str, name: str, clients: int = 4) -> None:
        self.answers: Counter[str] = Counter()
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(address, name)) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, address: str, name: str) -> None:
        # the page is what counts here; who signed the certificate is a test of its own
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        headers = {"Host": name, "Connection": "close"}
        pool = urllib3.HTTPSConnectionPool(
            address, 443, ssl_context=context, server_hostname=name, timeout=60
        )
        while not self._end.is_set():
            try:
                answer = pool.request("GET", "/", headers=headers, retries=False)
                self.answers[str(answer.status)] += 1
            except urllib3.exceptions.HTTPError as error:
                self.answers[type(error).__name__] += 1

"""Requests without a pause while something else goes on: every one of them has to be answered."""

from __future__ import annotations

import itertools
import ssl
import threading
from collections import Counter
from collections.abc import Sequence
from types import TracebackType

import urllib3


class Load:
    """Some clients that ask for pages in turn, each time over a connection of its own; a context manager.

    answers   how many there were of each kind: a status, or what was wrong with the connection
    """

    def __init__(
        self, address: str, name: str, authority: str, clients: int = 4, pages: Sequence[str] = ("/",)
    ) -> None:
        """Arguments: `authority`, the PEM of who signed the certificate."""
        self._pages = pages
        self.answers: Counter[str] = Counter()
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(address, name, authority)) for _ in range(clients)
        ]

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

    def _ask(self, address: str, name: str, authority: str) -> None:
        context = ssl.create_default_context(cadata=authority)
        headers = {"Host": name, "Connection": "close"}
        pool = urllib3.HTTPSConnectionPool(
            address, 443, ssl_context=context, server_hostname=name, assert_hostname=name, timeout=60
        )
        pages = itertools.cycle(self._pages)
        while not self._end.is_set():
            try:
                answer = pool.request("GET", next(pages), headers=headers, retries=False)
                self.answers[str(answer.status)] += 1
            except urllib3.exceptions.HTTPError as error:
                self.answers[type(error).__name__] += 1

"""The Chromium of the tests, for the tiers that look at pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

from operations.prepare.browser import find_browser

# Nothing but the page: no graphics card, no first-run pages, no talk with anybody.
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium(tier: str, **environment: str) -> Iterator[Browser]:
    """Chromium with a profile of its own, which Playwright makes and removes.

    While it runs, the thread has Playwright's event loop: no other browser starts, and no `asyncio.run`. So a
    fixture of it ends with its module, before the next tier begins.

    Arguments: `tier`, whose preparation installs it; `environment`, its whole environment, where not ours.
    """
    path = find_browser()
    if path is None:
        pytest.fail(f"no Chromium or Chrome on PATH; `./itqan test {tier}` installs it on Debian")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=path,
            # Its sandbox needs user namespaces, which root in a container has not; the pages are our own.
            chromium_sandbox=False,
            args=FLAGS,
            env=dict(environment) or None,
        )
        yield launched
        launched.close()

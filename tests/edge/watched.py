"""A page in the browser, and the WebSocket that it holds open."""

from __future__ import annotations

import secrets

from playwright.sync_api import BrowserContext, Page, WebSocket, expect

PATIENCE = 60_000  # milliseconds


class Watched:
    """A page of a copy: `sockets`, the WebSockets that it opened; `closed`, those that have ended."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.sockets: list[WebSocket] = []
        self.closed: list[WebSocket] = []
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("websocket", self._opened)
        self.page.goto(url)

    def _opened(self, opened: WebSocket) -> None:
        self.sockets.append(opened)
        opened.on("close", self.closed.append)

    def shows_a_message(self) -> None:
        """A visit that is recorded now appears in the page: by the queue, Reverb and the WebSocket."""
        token = secrets.token_hex(8)
        with self.page.expect_response(f"**/api/visits/{token}") as asked:
            self.page.evaluate("token => { fetch(`/api/visits/${token}`, {method: 'POST'}) }", token)
        assert asked.value.status == 202
        expect(self.page.locator("#visits li", has_text=token)).to_be_visible(timeout=PATIENCE)

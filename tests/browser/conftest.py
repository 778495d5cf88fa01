"""The sample report in headless Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from operations.page import page
from tests.chromium import chromium

from .sample import FACTS, NOTES, ROWS


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample as a file."""
    file = tmp_path_factory.mktemp("report") / "report with a space.html"
    summary = "2 of 10 units are not as expected; 2 findings deserve a second thought."
    file.write_text(page("Audit of prod", summary, FACTS, ROWS, NOTES))
    return file


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium with a profile of its own, which Playwright makes and removes."""
    with chromium("browser") as launched:
        yield launched


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """A function: open a file in a context of its own, whose options (viewport, color_scheme, …) it takes.

    What the page says on the console, its errors and its requests beyond the file itself fail the test.
    """
    contexts = []
    said: list[str] = []

    def open_file(file: Path, **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        shown = context.new_page()
        shown.on("console", lambda message: said.append(f"console: {message.text}"))
        shown.on("pageerror", lambda error: said.append(f"error: {error}"))
        shown.on(
            "request",
            lambda request: said.append(f"request: {request.url}") if request.url != file.as_uri() else None,
        )
        shown.goto(file.as_uri())
        return shown

    yield open_file
    for context in contexts:
        context.close()
    assert said == []

"""The browser for the tests of the HTML report: found when it starts, else one line to type."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.errors import PreparationError
from operations.prepare import browser
from operations.steps import Steps


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that alone is on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(file: Path, status: int) -> str:
    file.write_text(f"#!/bin/sh\nexit {status}\n")
    file.chmod(0o755)
    return str(file)


def test_a_pointer_to_a_snap_that_is_not_there_is_none(path: Path) -> None:
    program(path / "chromium-browser", 1)
    assert browser.find_browser() is None
    expected = program(path / "google-chrome", 0)
    assert browser.find_browser() == browser.require_browser(Steps()) == expected


def test_debian_comes_first(path: Path) -> None:
    program(path / "google-chrome", 0)
    expected = program(path / "chromium", 0)
    assert browser.find_browser() == expected


@pytest.mark.parametrize(
    ("ubuntu", "message"),
    [(True, r"as a snap only; type: .*snap install chromium$"), (False, r"^chromium is missing \(.*\)")],
)
def test_where_none_can_be_had_one_line_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, ubuntu: bool, message: str
) -> None:
    monkeypatch.setattr(browser, "_is_ubuntu", lambda: ubuntu)
    with pytest.raises(PreparationError, match=message):
        browser.require_browser(Steps())


def test_one_that_does_not_start_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "_is_ubuntu", lambda: False)
    broken = program(path / "chromium", 1)
    with pytest.raises(PreparationError, match=f"^{broken} does not start"):
        browser.require_browser(Steps())

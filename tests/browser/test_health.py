"""The status page of `health --html`: what is wrong first, and the line that helps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from components.health import Result, Verdict
from operations.health import Health
from operations.pages import health_page

from .sample import LONG, SCRIPT
from .test_report import BEYOND, CONTRAST, SCREENS, shown

Open = Callable[..., Page]

RESULTS = [
    Result("nginx", "services", Verdict("good", "active", "active", "sudo systemctl restart nginx")),
    Result("redis", "application", Verdict("bad", f"{SCRIPT} {LONG}", "answers", f"restart {LONG}")),
    Result(
        "queue", "application", Verdict("unknown", "the answer cannot be read", help="./itqan audit prod")
    ),
    Result("LiveKit", "key URLs", Verdict("skipped", "a copy has no LiveKit")),
    Result("last backup", "backups", Verdict("warn", "no backup yet", "26 h, 72 h", "mysqldump …")),
]


@pytest.fixture
def status(tmp_path: Path) -> Path:
    file = tmp_path / "status.html"
    file.write_text(health_page(Health("prod", "deploy@203.0.113.7 port 22", 0.93, 1.8e9, RESULTS)))
    return file


def test_what_is_wrong_comes_first_and_says_how_bad(open_page: Open, status: Path) -> None:
    view = open_page(status)
    assert view.title() == "Health of prod: bad"
    assert shown(view) == ["redis", "queue", "last backup", "LiveKit", "nginx"]
    expect(view.get_by_role("heading", level=2)).to_have_text(["Checks", "What helps"])
    badges = view.locator("tr[data-state] .badge").all_text_contents()
    assert sorted(badges) == ["bad", "good", "skipped", "unknown", "warn"]


def test_the_lines_that_help_are_those_of_what_is_not_good(open_page: Open, status: Path) -> None:
    view = open_page(status)
    expect(view.locator("article h3")).to_have_text(["redis: bad", "queue: unknown", "last backup: warn"])
    assert view.locator("pre").all_text_contents() == [f"restart {LONG}", "./itqan audit prod", "mysqldump …"]


def test_it_is_filtered_by_state(open_page: Open, status: Path) -> None:
    view = open_page(status)
    view.get_by_role("group", name="Filter the checks").get_by_role("button", name="warn 1").click()
    assert shown(view) == ["last backup"]


def test_what_the_host_printed_is_text(open_page: Open, status: Path) -> None:
    view = open_page(status)
    assert SCRIPT in str(view.get_by_role("row", name="redis").text_content())
    assert view.evaluate("window.ran") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_it_can_be_read_everywhere(open_page: Open, status: Path, screen: str, scheme: str) -> None:
    width, height = SCREENS[screen]
    view = open_page(status, viewport={"width": width, "height": height}, color_scheme=scheme)
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    assert view.evaluate(BEYOND, width) == []
    texts, poor = view.evaluate(CONTRAST)
    assert texts > 20
    assert poor == []

"""The HTML report as a reader has it: filters, both colour schemes, a phone, paper, hostile values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from operations.page import page

from .sample import FACTS, LONG, NOTES, ROWS, SCRIPT

Open = Callable[..., Page]

COUNTS = Counter(row.state for row in ROWS)
# width and height in CSS pixels: a phone, a tablet, a laptop
SCREENS = {"phone": (360, 740), "tablet": (768, 1024), "laptop": (1280, 800)}

# WCAG 2.2, 1.4.3: relative luminance and contrast of every text with what it stands on; pairs below 4.5.
CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const luminance = (colour) => {
    const [r, g, b] = [...rgba(colour)].slice(0, 3).map((v) => v / 255).map(
      (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (rgba(colour)[3] === 255) return colour;
    }
    return 'white';
  };
  const hasText = (e) =>
    e.matches('input') || [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
  const seen = [...document.querySelectorAll('body *:not(script)')].filter((e) => e.checkVisibility());
  const texts = seen.filter(hasText);
  const pairs = texts.flatMap((e) => {
    const colours = [getComputedStyle(e).color];
    if (e.matches('input')) colours.push(getComputedStyle(e, '::placeholder').color);
    return colours.map((colour) => {
      const [a, b] = [luminance(colour), luminance(ground(e))].sort((x, y) => y - x);
      return [e.tagName + '.' + e.className, colour, ground(e), (a + 0.05) / (b + 0.05)];
    });
  });
  return [pairs.length, pairs.filter(([, , , ratio]) => ratio < 4.5)];
}"""

# Elements that reach beyond the right edge of the screen, or hold something wider than themselves.
# The head of the table is hidden from sight on a phone.
BEYOND = """width => [...document.querySelectorAll('body *')].filter((e) => e.checkVisibility()
    && !e.closest('thead, colgroup') && (e.getBoundingClientRect().right > width + 0.5
      || e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1)
  ).map((e) => e.outerHTML.slice(0, 80))"""


def shown(view: Page) -> list[str]:
    """Names of the rows that can be seen, in their order."""
    return view.locator("tr[data-state]:visible > th").all_text_contents()


def names(*states: str) -> list[str]:
    return sorted(row.name for row in ROWS if row.state in states)


def button(state: str) -> str:
    """A button's whole name: state and count."""
    return f"{state} {COUNTS[state]}"


def background(view: Page) -> str:
    colour: str = view.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour


class TestFilters:
    def test_at_first_all_rows_are_shown(self, open_page: Open, report: Path) -> None:
        view = open_page(report)
        assert sorted(shown(view)) == sorted(row.name for row in ROWS)
        expect(view.get_by_role("status")).to_have_text(f"{len(ROWS)} of {len(ROWS)} shown")

    def test_the_differing_rows_come_first(self, open_page: Open, report: Path) -> None:
        view = open_page(report)
        assert shown(view)[0] == "nginx/site"
        assert shown(view)[-3:] == ["host/platform", "host/clock", "php/pool"]

    def test_there_is_one_for_each_state_with_its_count(self, open_page: Open, report: Path) -> None:
        view = open_page(report)
        buttons = view.locator("button[data-state]")
        assert sorted(buttons.all_text_contents()) == sorted(button(state) for state in COUNTS)
        assert {one.get_attribute("aria-pressed") for one in buttons.all()} == {"false"}

    @pytest.mark.parametrize("state", COUNTS)
    def test_each_shows_exactly_its_rows(self, open_page: Open, report: Path, state: str) -> None:
        view = open_page(report)
        pressed = view.get_by_role("button", name=button(state), exact=True)
        pressed.click()
        expect(pressed).to_have_attribute("aria-pressed", "true")
        assert sorted(shown(view)) == names(state)
        expect(view.get_by_role("status")).to_have_text(f"{COUNTS[state]} of {len(ROWS)} shown")
        groups = {row.group for row in ROWS if row.state == state}
        assert set(view.locator("tr.group:visible .title").all_text_contents()) == groups
        pressed.click()
        expect(pressed).to_have_attribute("aria-pressed", "false")
        assert len(shown(view)) == len(ROWS)

    def test_two_show_the_rows_of_both(self, open_page: Open, report: Path) -> None:
        view = open_page(report)
        for state in ("differs", "explained"):
            view.get_by_role("button", name=button(state), exact=True).click()
        assert sorted(shown(view)) == names("differs", "explained")

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ("MariaDB", ["database/server"]),
            ("SERVER mysql", ["database/server"]),
            ("nginx", ["nginx/package", "nginx/service", "nginx/site"]),
            ("onerror='window.ran", ["nginx/site"]),
            ("unexplained", ["database/charset"]),
            ("  ", sorted(row.name for row in ROWS)),
            ("nginx mariadb", []),
        ],
    )
    def test_words(self, open_page: Open, report: Path, words: str, expected: list[str]) -> None:
        view = open_page(report)
        view.get_by_role("searchbox", name="Filter by words").fill(words)
        assert sorted(shown(view)) == expected
        expect(view.get_by_text("No row matches these filters.")).to_be_visible(visible=not expected)

    def test_words_and_state_together_and_back(self, open_page: Open, report: Path) -> None:
        view = open_page(report)
        view.get_by_role("button", name=button("as expected"), exact=True).click()
        view.get_by_role("searchbox").fill("nginx")
        assert sorted(shown(view)) == ["nginx/package", "nginx/service"]
        view.get_by_role("button", name="Show all").click()
        assert len(shown(view)) == len(ROWS)
        expect(view.get_by_role("searchbox")).to_have_value("")
        expect(view.locator("button[aria-pressed=true]")).to_have_count(0)

    def test_from_the_keyboard(self, open_page: Open, report: Path) -> None:
        view = open_page(report)
        view.keyboard.press("Tab")
        first = view.locator("button[data-state]").first
        expect(first).to_be_focused()
        assert first.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
        view.keyboard.press("Space")
        assert sorted(shown(view)) == names("differs")
        for _ in COUNTS:
            view.keyboard.press("Tab")
        expect(view.get_by_role("searchbox")).to_be_focused()
        view.keyboard.type("site")
        assert shown(view) == ["nginx/site"]
        view.keyboard.press("Tab")
        view.keyboard.press("Enter")
        assert len(shown(view)) == len(ROWS)

    def test_without_javascript_everything_is_shown(self, open_page: Open, report: Path) -> None:
        view = open_page(report, java_script_enabled=False)
        assert len(shown(view)) == len(ROWS)
        assert not view.locator("#filters").is_visible()


class TestHostileValues:
    def test_are_shown_as_text_and_do_not_run(self, open_page: Open, report: Path) -> None:
        view = open_page(report)
        assert SCRIPT in view.get_by_role("row", name="nginx/site").text_content()  # type: ignore[operator]
        expect(view.get_by_role("heading", name=SCRIPT)).to_be_visible()
        assert view.evaluate("window.ran") is None
        assert view.title() == "Audit of prod"
        assert view.locator("script").count() == 1
        assert view.locator("main b, main img").count() == 0

    def test_the_policy_stops_what_escaping_would_let_through(
        self, open_page: Open, report: Path, tmp_path: Path
    ) -> None:
        broken = tmp_path / "broken.html"
        broken.write_text(report.read_text().replace("<h1>", f"<h1>{SCRIPT}<b onclick='ran = 1'>x</b>", 1))
        context = open_page(report).context
        view = context.new_page()
        refusals: list[str] = []
        view.on("console", lambda message: refusals.append(message.text))
        view.goto(broken.as_uri())
        view.locator("h1 b").click()
        assert view.evaluate("window.ran") is None
        assert len([text for text in refusals if "Content Security Policy" in text]) >= 3

    @pytest.mark.parametrize("size", SCREENS.values(), ids=SCREENS)
    def test_do_not_make_it_wider_than_the_screen(
        self, open_page: Open, report: Path, size: tuple[int, int]
    ) -> None:
        view = open_page(report, viewport={"width": size[0], "height": size[1]})
        assert view.evaluate("document.documentElement.scrollWidth") <= size[0]
        beyond = view.evaluate(BEYOND, size[0])
        assert beyond == []


class TestLayout:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("pressed", [False, True], ids=["as opened", "every filter pressed"])
    def test_contrast(self, open_page: Open, report: Path, scheme: str, pressed: bool) -> None:
        view = open_page(report, color_scheme=scheme)
        for one in view.locator("button[data-state]").all() if pressed else []:
            one.click()
        texts, poor = view.evaluate(CONTRAST)
        assert texts > 50
        assert poor == []

    def test_schemes_differ(self, open_page: Open, report: Path) -> None:
        light, dark = (background(open_page(report, color_scheme=scheme)) for scheme in ("light", "dark"))
        assert light != dark

    @pytest.mark.parametrize(("screen", "display"), [("phone", "grid"), ("laptop", "table-row")])
    def test_rows_are_cards_on_a_phone(
        self, open_page: Open, report: Path, screen: str, display: str
    ) -> None:
        width, height = SCREENS[screen]
        view = open_page(report, viewport={"width": width, "height": height})
        row = view.get_by_role("row", name="nginx/site")
        assert row.evaluate("e => getComputedStyle(e).display") == display
        label = row.get_by_role("cell").nth(1).evaluate("e => getComputedStyle(e, '::before').content")
        assert label == ('"expected"' if screen == "phone" else "none")

    @pytest.mark.parametrize("screen", SCREENS)
    def test_it_stays_a_table_for_assistive_technology(
        self, open_page: Open, report: Path, screen: str
    ) -> None:
        width, height = SCREENS[screen]
        view = open_page(report, viewport={"width": width, "height": height})
        table = view.get_by_role("table", name="What was compared")
        expect(table.get_by_role("columnheader")).to_have_text(["name", "state", "expected", "found", "why"])
        groups = len({row.group for row in ROWS})
        expect(table.get_by_role("rowheader")).to_have_count(len(ROWS) + groups)
        expect(view.get_by_role("heading", level=1)).to_have_text("Audit of prod")
        expect(view.get_by_role("heading", level=2)).to_have_text(
            ["Comparison", *(name for name, _ in NOTES)]
        )


class TestPrint:
    def test_shows_all_rows_though_a_filter_is_on(self, open_page: Open, report: Path) -> None:
        view = open_page(report, color_scheme="dark")
        view.get_by_role("button", name=button("differs"), exact=True).click()
        view.get_by_role("searchbox").fill("no such words")
        assert shown(view) == []
        view.emulate_media(media="print")
        assert sorted(shown(view)) == sorted(row.name for row in ROWS)
        assert not view.locator("#filters").is_visible()
        assert not view.locator("#nothing").is_visible()
        assert background(view) == "rgb(255, 255, 255)"

    def test_says_states_in_words_and_lines_in_full(self, open_page: Open, report: Path) -> None:
        view = open_page(report)
        view.emulate_media(media="print")
        badges = view.locator("tr[data-state]:visible .badge").all_text_contents()
        assert Counter(badges) == COUNTS
        lines = view.locator("pre:visible").all_text_contents()
        assert lines == [note.line for _, notes in NOTES for note in notes if note.line]

    def test_fits_the_paper(self, open_page: Open, report: Path) -> None:
        # A4 without the page's margins, in CSS pixels.
        view = open_page(report, viewport={"width": 702, "height": 1017})
        view.emulate_media(media="print")
        assert view.evaluate("document.documentElement.scrollWidth") <= 702
        assert view.pdf(format="A4", prefer_css_page_size=True).startswith(b"%PDF-")


def test_a_report_of_nothing(open_page: Open, tmp_path: Path) -> None:
    file = tmp_path / "empty.html"
    file.write_text(page("Audit of prod", "Nothing.", [], [], [("Findings", [])]))
    view = open_page(file)
    expect(view.get_by_text("Nothing was compared.")).to_be_visible()
    expect(view.get_by_role("heading", level=2)).to_have_text(["Comparison"])


def test_a_fact_of_any_length_is_shown(open_page: Open, report: Path) -> None:
    view = open_page(report)
    assert view.locator("dd").all_text_contents() == [text for _, text in FACTS]
    assert LONG in view.locator("dd").last.inner_text()

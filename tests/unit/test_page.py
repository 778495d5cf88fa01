"""The HTML report as text: escaping, order, the digests of its policy, what it refers to."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from operations.page import SEVERITY, Note, Row, page

HOSTILE = "<script>x()</script><img src=x onerror=\"x()\" alt='y'>&amp;"
VOID = frozenset({"meta", "col", "input"})


class Reader(HTMLParser):
    """Elements with their attributes, the text within each kind, and whether all that opens is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.texts.setdefault(self.open[-1], []).append(data)

    def attributes(self, tag: str, name: str) -> list[str | None]:
        return [attributes[name] for kind, attributes in self.elements if kind == tag and name in attributes]


def made(*rows: Row, notes: tuple[Note, ...] = (), **texts: str) -> str:
    return page(
        texts.get("title", "Audit of prod"),
        texts.get("summary", "All is as expected."),
        [("host", texts.get("fact", "example.org"))],
        rows,
        [("Findings", notes)],
    )


def row(name: str, tone: str = "good", group: str = "nginx", **cells: str) -> Row:
    states = {"good": "as expected", "bad": "differs", "warn": "unexplained", "info": "explained"}
    return Row(group, name, states[tone], tone, tuple(cells.items()))  # type: ignore[arg-type]


def test_every_text_is_escaped() -> None:
    html = made(
        Row(HOSTILE, HOSTILE, HOSTILE, "bad", ((HOSTILE, HOSTILE), ("why", HOSTILE))),
        notes=(Note(HOSTILE, HOSTILE, HOSTILE),),
        title=HOSTILE,
        summary=HOSTILE,
        fact=HOSTILE,
    )
    plain = Reader(made(row("site", "bad", found="x", why="y"), notes=(Note("a", "b", "c"),)))
    read = Reader(html)
    assert read.open == []
    assert [tag for tag, _ in read.elements] == [tag for tag, _ in plain.elements]
    assert {name for _, attributes in read.elements for name in attributes} == {
        name for _, attributes in plain.elements for name in attributes
    }
    for tag in ("title", "h1", "dd", "th", "td", "code", "button", "h3"):
        assert any(HOSTILE in text for text in read.texts[tag]), tag
    assert read.attributes("td", "data-label") == [HOSTILE, "why"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb\0", r"a\x1b[31mb\x00"),
        ("a\r\nb", "a\\r\nb"),
        ("user\u202egnp.exe", r"user\u202egnp.exe"),
        ("no\u00a0break", r"no\xa0break"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("\udcff from a byte", r"\udcff from a byte"),
        ("tab\there, عربى, 漢字, 🙂", "tab\there, عربى, 漢字, 🙂"),
    ],
)
def test_what_nobody_would_see_is_written_as_an_escape(text: str, shown: str) -> None:
    html = made(row("site", "bad", found=text))
    assert f"<code>{shown}</code>" in html
    html.encode()


def test_the_policy_names_the_digests_of_its_style_and_script() -> None:
    html = made(row("site"))
    (policy,) = (
        content
        for tag, attributes in Reader(html).elements
        if tag == "meta" and attributes.get("http-equiv") and (content := attributes["content"])
    )
    directives = dict(directive.split(" ", 1) for directive in policy.split("; "))
    assert directives["default-src"] == directives["base-uri"] == directives["form-action"] == "'none'"
    for kind in ("style", "script"):
        (content,) = re.findall(rf"<{kind}>(.*?)</{kind}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert directives[f"{kind}-src"] == f"'sha256-{digest}'"


def test_it_refers_to_nothing_outside() -> None:
    html = made(row("site", "bad", found="x"), notes=(Note("a", "b", "c"),))
    names = {name for _, attributes in Reader(html).elements for name in attributes}
    assert names.isdisjoint({"src", "href", "srcset", "action", "style"})
    assert not re.search(r"url\(|@import|https?:|innerHTML|\beval\b|\bfetch\b", html)


def test_groups_and_rows_with_the_worst_tone_come_first_else_in_the_order_given() -> None:
    rows = [
        row("host/a", group="host"),
        row("nginx/a"),
        row("nginx/b", "info"),
        row("php/a", group="php"),
        row("php/b", "bad", group="php"),
        row("cron/a", "warn", group="cron"),
        row("nginx/c", "info"),
        row("redis/a", group="redis"),
    ]
    read = Reader(made(*rows))
    names = [text for text in read.texts["th"] if "/" in text]
    assert " ".join(names) == "php/b php/a cron/a nginx/b nginx/c nginx/a host/a redis/a"
    assert [text.split()[0] for text in read.texts["button"][:4]] == [
        "differs",
        "unexplained",
        "explained",
        "as",
    ]
    assert "1 differs, 1 as expected" in read.texts["span"]


@pytest.mark.parametrize("tone", SEVERITY)
def test_a_row_has_the_class_of_its_tone(tone: str) -> None:
    read = Reader(made(row("site", tone)))
    assert [kind for kind in read.attributes("tr", "class") if kind != "group"] == [tone]


def test_a_state_in_several_tones_is_one_filter_with_the_worst() -> None:
    rows = [
        Row("a", "a/1", "drift", "warn"),
        Row("a", "a/2", "drift", "bad"),
        Row("a", "a/3", "drift", "info"),
    ]
    read = Reader(made(*rows))
    states = [
        (found["data-state"], found["class"])
        for tag, found in read.elements
        if tag == "button" and "data-state" in found
    ]
    assert states == [("drift", "bad")]


def test_columns_are_the_labels_in_the_order_in_which_they_come() -> None:
    rows = [row("a"), row("b", "bad", expected="1", found=""), row("c", "bad", why="because", found="2")]
    read = Reader(made(*rows))
    assert read.texts["th"][:5] == ["name", "state", "expected", "found", "why"]
    assert len(read.attributes("td", "data-label")) == 4
    assert read.attributes("td", "class").count("empty") == 5
    assert read.texts["em"] == ["nothing"]
    assert "because" in read.texts["td"]
    assert read.texts["code"] == ["1", "2"]


def test_sections_without_a_remark_and_an_empty_line_are_left_out() -> None:
    assert Reader(made(row("a"))).texts["h2"] == ["Comparison"]
    read = Reader(made(row("a"), notes=(Note("nginx", "1.26 here"),)))
    assert read.texts["h2"] == ["Comparison", "Findings"]
    assert "pre" not in read.texts


def test_equal_input_gives_equal_text() -> None:
    assert made(row("a"), row("b", "bad", found="x")) == made(row("a"), row("b", "bad", found="x"))


def test_without_rows_there_is_nothing_to_filter() -> None:
    read = Reader(made())
    assert "Nothing was compared." in read.texts["p"]
    assert {"table", "script", "button"}.isdisjoint(tag for tag, _ in read.elements)


def test_elements_of_the_table_name_their_role() -> None:
    """Browsers that forget what a table row is once it is laid out as a card are told again."""
    roles = {"table": "table", "thead": "rowgroup", "tbody": "rowgroup", "tr": "row", "td": "cell"}
    read = Reader(made(row("a"), row("b", "bad", found="x")))
    wrong = [tag for tag, attributes in read.elements if tag in roles and attributes["role"] != roles[tag]]
    assert wrong == []
    heads = {(attributes["scope"], attributes["role"]) for tag, attributes in read.elements if tag == "th"}
    assert heads == {("col", "columnheader"), ("rowgroup", "rowheader"), ("row", "rowheader")}

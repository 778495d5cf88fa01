"""`graph` and `report`: every unit is on the picture, where it belongs; one page has all that is known."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.findings import Finding
from components.health.model import Result, Verdict
from components.observation import State
from components.parity import Row as Compared
from components.unit import Unit
from operations import cli, command, overview
from operations.errors import OperationError
from operations.graph import PROGRAM, dependencies, edges, graph
from operations.health import Health
from operations.overview import Whole, whole_of
from operations.pages import report_page
from operations.parity import Comparison
from operations.releases import Releases, Session, parsed
from operations.report import Report
from operations.steps import Steps

SVG = "{http://www.w3.org/2000/svg}"
WRONG = "nginx/site"
HOSTILE = "<script>x</script> \x1b[2J & \u202e"


def audited(units: list[Unit]) -> Report:
    """A report in which one unit differs in a hostile way."""
    states = [State(unit, HOSTILE if unit.name == WRONG else unit.expect) for unit in units]
    finding = Finding("Redis", "it is so", "do this")
    return Report("prod", {}, "deploy@h port 22", 0.5, states, [], [], [finding], [], "x")


@pytest.fixture
def report(prod_units: dict[str, Unit]) -> Report:
    return audited(list(prod_units.values()))


def boxes(svg: str) -> Iterator[tuple[str, tuple[float, float, float, float]]]:
    """Each part's label and its place: left, top, right, bottom."""
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        if group.get("role") == "group":
            rect = group.find(f"{SVG}rect")
            assert rect is not None
            x, y, width, height = (float(str(rect.get(name))) for name in ("x", "y", "width", "height"))
            yield str(group.get("aria-label")).partition(":")[0], (x, y, x + width, y + height)


def test_every_unit_is_there_with_its_state_in_words(report: Report) -> None:
    tree = ElementTree.fromstring(graph(report))
    told = [title.text or "" for title in tree.iter(f"{SVG}title")][1:]
    assert sorted(line.partition(":")[0] for line in told) == sorted(s.unit.name for s in report.states)
    [wrong] = [line for line in told if "as expected" not in line]
    assert wrong.startswith(f"{WRONG}: differs; expected ")
    marks = [text.text or "" for text in tree.iter(f"{SVG}text")]
    assert sum(text.startswith("✗ ") for text in marks) == 1
    assert sum(text.startswith("✓ ") for text in marks) == len(report.states) - 1


def test_what_a_host_says_is_text_and_nothing_is_fetched(report: Report) -> None:
    svg = graph(report)
    assert "<script" not in svg and "\x1b" not in svg and "\u202e" not in svg
    assert "\\x1b[2J" in svg
    assert re.findall(r"(?:href|src|url)\s*[=(]\s*[\"']?(?!#)\S+", svg) == []


def test_nobody_stands_on_another_and_what_waits_stands_to_the_right(report: Report) -> None:
    found = dict(boxes(graph(report)))
    for (_, one), (_, other) in itertools.combinations(found.items(), 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, (one, other)
    joined = edges(dependencies(PROGRAM.read_text()), list(found))
    assert ("host", "packages") in joined
    assert ("release", "supervisor") in joined
    for first, then in joined:
        assert found[first][2] < found[then][0], (first, then)
    whole = ElementTree.fromstring(graph(report))
    width, height = int(str(whole.get("width"))), int(str(whole.get("height")))
    assert all(box[2] <= width and box[3] <= height for box in found.values())


def test_a_part_without_units_is_passed_through() -> None:
    waits = {"a": [], "b": ["a"], "c": ["b"], "d": ["c", "a"]}
    assert edges(waits, ["a", "c", "d"]) == [("a", "c"), ("c", "d"), ("a", "d")]


def test_colours_can_be_read(report: Report) -> None:
    """WCAG 2.2, 1.4.3."""
    svg = graph(report)
    rows = re.findall(r'fill="(#\w{6})"/>\s*<text [^>]*fill="(#\w{6})">', svg)
    assert len(rows) >= len(report.states)
    assert min(_contrast(*pair) for pair in set(rows)) >= 4.5


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


# -- the page


LINE = (
    '{"when": "2026-11-29T12:00:00Z", "commit": "%s", "author": "", "from": "", "ref": "v1", "kind": "full", '
    '"seconds": 3.0, "by": "deploy", "backup": "/b.sql.gz", "result": "released", "step": ""}'
)


@pytest.fixture
def whole(report: Report) -> Whole:
    results = [
        Result("disk", "host", Verdict("good", "5 %", "85 %", "")),
        Result("last backup", "backups", Verdict("warn", "no backup yet", "26 h", "make one")),
    ]
    parity = Comparison(
        ("prod", "staging"),
        ("h", "c"),
        0.4,
        [
            Compared("nginx/x", "same", ("1", "1")),
            Compared("php/y", "drift", ("1", "2")),
        ],
        ([], []),
    )
    visit = Session("2026-11-29T13:00:00Z", "artisan migrate", "ali")
    releases = Releases("prod", "h", parsed(LINE % ("b" * 40)), [visit])
    health = Health("prod", "deploy@h port 22", 0.5, 1795953600.0, results)
    return Whole(health, report, "staging", parity, parity.closing_line(), releases)


def test_one_page_has_everything(whole: Whole) -> None:
    html = report_page(whole)
    for text in (
        "<h1>Report of prod: warn</h1>",
        "health: host",
        "no backup yet",
        "units: nginx",
        "parity: php",
        "prod: 1\nstaging: 2",
        "1 same, 0 explained, 1 drift",
        "bbbbbbbbbbbb",
        "backup /b.sql.gz",
        "artisan migrate, by ali",
        "it is so",
        "<svg ",
    ):
        assert text in html, text
    assert "nginx/x" not in html
    assert re.findall(r"<script", html) == ["<script"]  # the page's own
    assert "style=" not in html  # the policy of the page would not let it through
    assert whole.failed


def test_what_cannot_be_compared_is_said_unless_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, whole: Whole
) -> None:
    def refuse(*_: object) -> Comparison:
        raise OperationError("stack staging: no such file")

    monkeypatch.setattr(overview, "audit_stack", lambda *_: whole.audit)
    monkeypatch.setattr(overview, "stack_settings", lambda *_: (None, None))
    monkeypatch.setattr(overview, "look_at", lambda *_: whole.health)
    monkeypatch.setattr(overview, "compare_stacks", refuse)
    monkeypatch.setattr(overview, "releases_of", lambda *_: whole.releases)
    found = whole_of("prod", None, Steps())
    assert (found.parity, found.compared) == (None, "not compared: stack staging: no such file")
    assert "not compared: stack staging" in report_page(found)
    with pytest.raises(OperationError, match="no such file"):
        whole_of("prod", "staging", Steps())


@pytest.mark.parametrize(("words", "begins"), [("graph prod", "<svg "), ("graph prod --svg FILE", "")])
def test_the_picture_goes_to_a_file_or_to_standard_output(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    report: Report,
    words: str,
    begins: str,
) -> None:
    file = tmp_path / "p.svg"
    monkeypatch.setattr("operations.audit.audit_stack", lambda *_: report)
    monkeypatch.setattr("sys.argv", ["itqan", *words.replace("FILE", str(file)).split()])
    assert cli.main() == command.DIFFERENT
    out = capsys.readouterr().out
    assert out.startswith(begins) and (begins != "" or file.read_text().startswith("<svg "))
    assert bool(out) == bool(begins)


def test_a_file_that_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], report: Report
) -> None:
    monkeypatch.setattr("operations.audit.audit_stack", lambda *_: report)
    monkeypatch.setattr("sys.argv", ["itqan", "graph", "prod", "--svg", "/nowhere/p.svg"])
    assert cli.main() == command.FAILED
    said = capsys.readouterr().err
    assert said == "itqan: --svg /nowhere/p.svg: cannot be written: No such file or directory\n"

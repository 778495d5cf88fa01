"""The HTML report: a comparison as one self-contained file, for a screen, a phone and paper."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from components.render import template_environment, text

Tone = Literal["good", "bad", "warn", "info"]

TEMPLATE = "report/report.html.j2"
# The worst first: in this order states are offered and groups stand.
SEVERITY: tuple[Tone, ...] = ("bad", "warn", "info", "good")
# Cells with these labels are sentences; all others quote a host or a configuration, letter by letter.
PROSE = frozenset({"why"})


@dataclass(frozen=True)
class Row:
    """One thing that was compared.

    group   what the row stands under: a component
    name    what was compared; rows that are parts of one thing share it
    state   the outcome in words; the report is filtered by it
    tone    how the state is coloured
    cells   label and text of each column that the row fills, as ("expected", "mode 640"); an empty text is
            shown as "nothing", a column that only other rows fill stays blank
    """

    group: str
    name: str
    state: str
    tone: Tone
    cells: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Note:
    """A remark beside the comparison.

    heading   what it is about
    text      what is so, and why it matters
    line      a command or a line of configuration that settles it; empty for none
    """

    heading: str
    text: str
    line: str = ""


@dataclass(frozen=True)
class Words:
    """What a page calls its table: the heading, what stands above it, and what is said when it is empty."""

    heading: str
    caption: str
    empty: str


COMPARISON = Words(
    "Comparison", "What was compared, by component; differences first", "Nothing was compared."
)


@dataclass(frozen=True)
class _State:
    name: str
    tone: Tone
    count: int


@dataclass(frozen=True)
class _Group:
    name: str
    tally: str
    rows: Sequence[Row]

    @property
    def severity(self) -> int:
        return min(SEVERITY.index(row.tone) for row in self.rows)


def page(
    title: str,
    summary: str,
    facts: Sequence[tuple[str, str]],
    rows: Sequence[Row],
    notes: Sequence[tuple[str, Sequence[Note]]],
    words: Words = COMPARISON,
    picture: str = "",
) -> str:
    """The report as the text of an HTML file, which needs no other file and no network.

    Arguments: `title` and `summary`, what was compared and the outcome in a sentence; `facts`, pairs of label
    and text about the comparison (host, time, …); `rows`, in their usual order, which the page keeps but for
    groups and rows with the worst tone, which come first; `notes`, sections of remarks, each with its heading
    (one without a remark is left out); `words`, what the table is called; `picture`, an SVG made by
    operations/graph.py, which stands above it.

    Every text may hold anything: it is shown as text, and characters that nobody would see (control
    characters, directions of writing, no-break spaces) as escapes like `\\u202e`.
    """
    style, script = text("report/report.css"), text("report/report.js")
    return (
        template_environment(autoescape=True, finalize=visible)
        .get_template(TEMPLATE)
        .render(
            managed=f"made by itqan from files/{TEMPLATE}",
            policy=_policy(style, script),
            style=Markup(style),
            script=Markup(script),
            title=title,
            summary=summary,
            facts=facts,
            labels=list(dict.fromkeys(label for row in rows for label, _ in row.cells)),
            prose=PROSE,
            states=_states(rows),
            groups=_groups(rows),
            total=len(rows),
            words=words,
            picture=Markup(picture),
            notes=[(heading, made) for heading, made in notes if made],
        )
    )


def visible(value: object) -> object:
    """A text of a page: what would not be seen as an escape; line ends and tabs stay."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else letter.encode("unicode_escape").decode()
        for letter in value
    )


def _policy(style: str, script: str) -> str:
    """The page's Content Security Policy: its own style and script by their digests, and nothing else."""
    return (
        f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(content: str) -> str:
    """As Content Security Policy Level 3 writes it (hash-source)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _by_severity(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: SEVERITY.index(row.tone))


def _states(rows: Sequence[Row]) -> list[_State]:
    """The states that occur, the worst first; one that occurs in several tones has the worst."""
    counts = Counter(row.state for row in rows)
    tones: dict[str, Tone] = {}
    for row in _by_severity(rows):
        tones.setdefault(row.state, row.tone)
    return [_State(state, tone, counts[state]) for state, tone in tones.items()]


def _groups(rows: Sequence[Row]) -> list[_Group]:
    """Rows by group, groups and rows with the worst tone first, else in the order given."""
    collected: dict[str, list[Row]] = {}
    for row in rows:
        collected.setdefault(row.group, []).append(row)
    groups = [_Group(name, _tally(members), _by_severity(members)) for name, members in collected.items()]
    return sorted(groups, key=lambda group: group.severity)


def _tally(rows: Sequence[Row]) -> str:
    return ", ".join(f"{state.count} {state.name}" for state in _states(rows))

"""Texts for GitHub: foreign words quoted so that they mean nothing, cut to what a comment may hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate

# "Body is too long (maximum is 65536 characters)": GitHub's answer 422 to a longer comment or issue.
BODY_LIMIT = 65_536
# A step's summary may have a mebibyte (docs.github.com, workflow commands).
SUMMARY_LIMIT = 1_000_000
# Room for a number, and for the end of a block of code.
RESERVE = 20
# Shorter ones are words that stand in any text.
SHORTEST_SECRET = 6
MASK = "***"


def length(text: str) -> int:
    """The characters of a text as GitHub counts them: those beyond the basic plane are two."""
    return len(text.encode("utf-16-le")) // 2


def code(text: str) -> str:
    """A text as code inside a line or a table's cell: nothing in it is a mention, a link or markup."""
    line = " ".join(text.split()).replace("|", "\\|")
    if not line:
        return ""
    marks = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    pad = " " if line[0] == "`" or line[-1] == "`" else ""
    return f"{marks}{pad}{line}{pad}{marks}"


def block(text: str, language: str = "") -> str:
    """A text as a block of code, whatever is in it."""
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def details(title: str, body: str) -> str:
    """A part that is folded; `title` is quoted."""
    return f"<details><summary>{_html(title)}</summary>\n\n{body}\n\n</details>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are markdown already; empty without rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return ""
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *lines])


def fitted(parts: Sequence[str], more: str, limit: int = BODY_LIMIT) -> str:
    """The parts one below the other, as many as fit, the first always; `more` says where the rest is.

    `more` has a place for the number of parts that are left out.
    """
    parts = [part for part in parts if part]
    whole = "\n\n".join(parts)
    if length(whole) <= limit:
        return whole
    room = limit - length(more) - RESERVE
    taken = _beginning(parts, room, "\n\n")
    if not taken:
        return f"{_cut(parts[0], room - RESERVE)}\n\n{more.format(len(parts))}"
    return "\n\n".join([*taken, more.format(len(parts) - len(taken))])


def _beginning(parts: Sequence[str], room: int, between: str) -> list[str]:
    """As many of the first parts as have room together."""
    sizes = accumulate(length(part) + len(between) for part in parts)
    return [part for part, size in zip(parts, sizes, strict=True) if size <= room]


def _cut(text: str, room: int) -> str:
    """The beginning of a text: as many whole lines as fit, with its block of code closed."""
    taken = _beginning(text.splitlines(), room, "\n")
    opened = [line for line in taken if line.startswith("```")]
    fence = re.match("`+", opened[-1])[0] if len(opened) % 2 else ""  # type: ignore[index]
    return "\n".join([*taken, fence]).rstrip()


def masked(text: str, secrets: Iterable[str]) -> str:
    """A text without secrets; one of several lines is looked for line by line too."""
    words = {word.strip() for secret in secrets for word in (secret, *secret.splitlines())}
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= SHORTEST_SECRET and not word.startswith("-----"):
            text = text.replace(word, MASK)
    return text


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

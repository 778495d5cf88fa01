"""Text of strangers on a terminal: nothing of it is obeyed there."""

from __future__ import annotations

import os
from typing import TextIO

# Invisible, without effect on other lines, and part of Arabic and Persian writing.
JOINERS = frozenset("\u200c\u200d\u200e\u200f")
TAB = 4


def harmless(text: str) -> str:
    """A line in which what a terminal would obey, such as a control character, is spelled out."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(letter) for letter in text)


def _shown(letter: str) -> str:
    if letter.isprintable() or letter in JOINERS:
        return letter
    return " " * TAB if letter == "\t" else letter.encode("unicode_escape").decode()


def has_colours(stream: TextIO) -> bool:
    """Whether colours are welcome: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

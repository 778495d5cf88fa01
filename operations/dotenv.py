"""A .env file as the application's library reads it: vlucas/phpdotenv 5, its Parser and Resolver."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

NAME = re.compile(r"[A-Za-z0-9_.]+")
REFERENCE = re.compile(r"\$\{([A-Za-z0-9_.]+)\}")
# After a backslash between double quotes: what stands for itself, and what stripcslashes() makes of letters.
ESCAPES = {'"': '"', "\\": "\\", "$": "$", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
BLANK = " \t\n\r\v\f"


class UnreadableDotenv(Exception):
    """phpdotenv would refuse the file; the message has the number of the line, and nothing of its value."""


def parse(text: str) -> dict[str, str]:
    """The variables of a .env.

    A name without `=` gives none; of two entries with one name the last counts; `${OTHER}` is the value of an
    earlier entry, and stays as it is when there is none.
    Raises UnreadableDotenv.
    """
    variables: dict[str, str] = {}
    for number, entry in _entries(text):
        name, equals, value = entry.partition("=")
        name = _name(name, number)
        if equals:
            variables[name] = _value(value.strip(BLANK), variables, number)
    return variables


def _entries(text: str) -> Iterator[tuple[int, str]]:
    """Entries with the number of their first line; an open double quote goes on in the next."""
    pending: list[str] = []
    start = 0
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if pending:
            pending.append(line)
        elif not line.strip(BLANK) or line.lstrip(BLANK).startswith("#"):
            continue
        else:
            pending, start = [line], number
        entry = "\n".join(pending)
        if not _is_open(entry):
            yield start, entry
            pending = []
    if pending:
        raise UnreadableDotenv(f"line {start}: a closing quote is missing")


def _is_open(entry: str) -> bool:
    _, opening, rest = entry.partition('="')
    return bool(opening) and not re.search(r'(?<!\\)(?:\\\\)*"', rest)


def _name(text: str, number: int) -> str:
    name = re.sub(r"^export[ \t]+", "", text.strip(BLANK)).strip(BLANK)
    if len(name) > 1 and name[0] in "'\"" and name[0] == name[-1]:
        name = name[1:-1]
    if not NAME.fullmatch(name):
        raise UnreadableDotenv(f"line {number}: what stands before = is no name of a variable")
    return name


def _value(text: str, known: Mapping[str, str], number: int) -> str:
    """A value; what stands behind it may only be a comment."""
    if text[:1] == "'":
        value, closed, rest = text[1:].partition("'")
        if not closed:
            raise UnreadableDotenv(f"line {number}: a closing quote is missing")
    elif text[:1] == '"':
        value, rest = _double_quoted(text[1:], known, number)
    else:
        bare = re.match(r"[^\s#]*", text)
        assert bare
        value, rest = _resolved(bare[0], known), text[bare.end() :]
    if rest.strip(BLANK) and not rest.lstrip(BLANK).startswith("#"):
        raise UnreadableDotenv(f"line {number}: blanks in a value need quotes around it")
    return value


def _double_quoted(text: str, known: Mapping[str, str], number: int) -> tuple[str, str]:
    """The value up to the closing quote, and what is behind it."""
    value, position = "", 0
    while position < len(text):
        character = text[position]
        reference = REFERENCE.match(text, position)
        if character == '"':
            return value, text[position + 1 :]
        if character == "\\":
            escaped = text[position + 1 : position + 2]
            if escaped not in ESCAPES:
                raise UnreadableDotenv(f"line {number}: a backslash before {escaped or 'nothing'!r}")
            value, position = value + ESCAPES[escaped], position + 2
        elif reference:
            value, position = value + known.get(reference[1], reference[0]), reference.end()
        else:
            value, position = value + character, position + 1
    raise UnreadableDotenv(f"line {number}: a closing quote is missing")


def _resolved(text: str, known: Mapping[str, str]) -> str:
    return REFERENCE.sub(lambda reference: known.get(reference[1], reference[0]), text)

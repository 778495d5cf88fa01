"""What mysqldump and mariadb-dump write, line by line: tables with their columns, and rows as values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

# A value as it stands in a dump: NULL, a number, 0x… of --hex-blob, or a string, perhaps with its charset.
VALUE = r"(?:_[a-z0-9]+ )?'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'|[^,()']+"
ESCAPED = re.compile(r"\\(.)|''", re.DOTALL)
# MySQL Reference Manual, "String Literals"; every other character after a backslash is itself.
MEANING = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}
TO_ESCAPE = re.compile(r"[\0\n\r\x1a'\"\\]")
ESCAPES = {"\0": "\\0", "\n": "\\n", "\r": "\\r", "\x1a": "\\Z", "'": "\\'", '"': '\\"', "\\": "\\\\"}
# Statements of a dump that say nothing of anybody.
HARMLESS = re.compile(
    r"--|$|LOCK TABLES `|UNLOCK TABLES;|DROP TABLE IF EXISTS `|SET |COMMIT;|START TRANSACTION;|commit;|"
    r"(ALTER|CREATE) DATABASE `[^`]*` CHARACTER SET"
)
COMMENT = re.compile(r"/\*M?!")
CREATE = re.compile(r"CREATE TABLE `((?:[^`]|``)+)` \($")
COLUMN = re.compile(r"\s+`((?:[^`]|``)+)` (\S+.*?),?$")
KEY = re.compile(r"\s+(?:PRIMARY KEY|UNIQUE KEY `(?:[^`]|``)+`) \((.*?)\)")
INSERT = re.compile(r"INSERT INTO `((?:[^`]|``)+)`(?: \(([^)]*)\))? VALUES\s*")
WHOLE = re.compile(r"-- Dump completed")


class Unreadable(Exception):
    """The dump is not one that this program understands; the message is the one line for the user."""


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    type: str
    required: bool
    generated: bool

    @property
    def room(self) -> int | None:
        """How many characters it holds."""
        found = re.match(r"(?:var)?char\((\d+)\)", self.type)
        return int(found[1]) if found else {"tinytext": 255}.get(self.type.split()[0])

    @property
    def is_json(self) -> bool:
        """MariaDB keeps JSON as text with a check."""
        return self.type.startswith("json") or "json_valid(" in self.type


@dataclass
class Structure:
    """A table as its CREATE TABLE has it; `unique`, columns of keys that no two rows have the same of."""

    name: str
    columns: list[Column] = field(default_factory=list)
    unique: set[str] = field(default_factory=set)

    def add(self, line: str) -> None:
        """Takes in a line between the parentheses."""
        if found := COLUMN.match(line):
            type_ = found[2]
            self.columns.append(
                Column(
                    name=found[1].replace("``", "`"),
                    type=type_.lower(),
                    required="NOT NULL" in type_,
                    generated="GENERATED ALWAYS AS" in type_,
                )
            )
        elif found := KEY.match(line):
            self.unique.update(re.findall(r"`((?:[^`]|``)+)`", found[1]))

    def orders(self, named: str | None) -> list[tuple[Column, ...]]:
        """The columns as an INSERT may have them, which may name them.

        MariaDB's program writes values of generated columns too, which its server then ignores.
        """
        if named is None:
            return [tuple(self.columns), tuple(column for column in self.columns if not column.generated)]
        by_name = {column.name: column for column in self.columns}
        return [tuple(by_name[name] for name in re.findall(r"`((?:[^`]|``)+)`", named))]


@dataclass(frozen=True)
class Text:
    """Lines that go on as they are."""

    text: str


@dataclass(frozen=True)
class Rows:
    """A line with rows of a table.

    head, tail  what stands before and after them in that line; between two of them stands a comma
    """

    table: Structure
    columns: tuple[Column, ...]
    head: str
    rows: list[tuple[str, ...]]
    tail: str


def unquoted(literal: str) -> str:
    """The text of a string as a dump has it."""
    inner = literal[literal.index("'") + 1 : -1]
    if "\\" not in inner and "''" not in inner:
        return inner
    return ESCAPED.sub(lambda found: MEANING.get(found[1], found[1]) if found[1] else "'", inner)


def quoted(text: str) -> str:
    """A text as a string of a dump."""
    return f"'{TO_ESCAPE.sub(lambda found: ESCAPES[found[0]], text)}'"


def read_dump(lines: Iterable[str]) -> Iterator[Text | Structure | Rows]:
    """A dump in its parts; a Structure comes before the rows of its table, and is no text of the dump itself.

    Raises Unreadable for what is no dump of one database, or only half of one.
    """
    reader = _Reader()
    for line in lines:
        yield from reader.take(line)
    reader.end()


class _Reader:
    """Where in a dump one is: between statements, in a table, in a comment, in rows, in code."""

    def __init__(self) -> None:
        self._number = 0
        self._tables: dict[str, Structure] = {}
        self._patterns: dict[int, re.Pattern[str]] = {}
        self._take = self._between
        self._table: Structure | None = None
        self._orders: list[tuple[Column, ...]] = []
        self._head = ""
        self._whole = False

    def take(self, line: str) -> Iterator[Text | Structure | Rows]:
        """One line, its end included."""
        self._number += 1
        return self._take(line)

    def end(self) -> None:
        """Raises Unreadable when the dump is not whole."""
        if self._take != self._between or not self._whole:
            raise Unreadable(f"the dump ends after line {self._number}, and is not whole")

    def _between(self, line: str) -> Iterator[Text | Structure | Rows]:
        bare = line.rstrip("\n")
        if insert := INSERT.match(line):
            yield from self._rows_begin(insert, line)
        elif create := CREATE.match(bare):
            self._table = Structure(create[1].replace("``", "`"))
            self._take = self._in_table
            yield Text(line)
        elif COMMENT.match(bare):
            if not bare.endswith(("*/;", "*/")):
                self._take = self._in_comment
            yield Text(line)
        elif bare == "DELIMITER ;;":
            self._take = self._in_code
            yield Text(line)
        elif HARMLESS.match(bare):
            self._whole = bool(WHOLE.match(bare)) or self._whole
            yield Text(line)
        else:
            raise self._not_understood(bare)

    def _in_table(self, line: str) -> Iterator[Text | Structure | Rows]:
        assert self._table is not None
        if line.startswith(")"):
            if not line.rstrip().endswith(";"):
                raise self._not_understood(line)
            self._tables[self._table.name] = self._table
            self._take = self._between
            yield self._table
        else:
            self._table.add(line.rstrip("\n"))
        yield Text(line)

    def _in_comment(self, line: str) -> Iterator[Text | Structure | Rows]:
        if line.rstrip().endswith(("*/;", "*/")):
            self._take = self._between
        yield Text(line)

    def _in_code(self, line: str) -> Iterator[Text | Structure | Rows]:
        if line.rstrip("\n") == "DELIMITER ;":
            self._take = self._between
        yield Text(line)

    def _rows_begin(self, insert: re.Match[str], line: str) -> Iterator[Text | Structure | Rows]:
        name = insert[1].replace("``", "`")
        if name not in self._tables:
            raise Unreadable(f"line {self._number} of the dump has rows of {name} before its CREATE TABLE")
        self._table = self._tables[name]
        self._orders = self._table.orders(insert[2])
        rest = line[insert.end() :]
        if rest.strip():
            yield from self._rows(rest, line[: insert.end()])
        else:
            # MariaDB's writes each row on a line of its own
            self._head = line
            self._take = self._more_rows

    def _more_rows(self, line: str) -> Iterator[Text | Structure | Rows]:
        head, self._head = self._head, ""
        return self._rows(line, head)

    def _rows(self, line: str, head: str) -> Iterator[Text | Structure | Rows]:
        assert self._table is not None
        order = next((order for order in self._orders if self._pattern(len(order)).match(line)), ())
        pattern, rows, at = self._pattern(len(order)), [], 0
        while found := pattern.match(line, at):
            rows.append(found.groups())
            at = found.end()
            if line.startswith(",", at) and line.startswith("(", at + 1):
                at += 1
            else:
                break
        tail = line[at:]
        if not rows or tail.rstrip("\n") not in (",", ";"):
            raise self._not_understood(line)
        self._take = self._more_rows if tail.startswith(",") else self._between
        yield Rows(self._table, order, head, rows, tail)

    def _pattern(self, columns: int) -> re.Pattern[str]:
        if columns not in self._patterns:
            values = ",".join([f"({VALUE})"] * columns)
            self._patterns[columns] = re.compile(rf"\({values}\)", re.DOTALL)
        return self._patterns[columns]

    def _not_understood(self, line: str) -> Unreadable:
        # the statement's own words alone: the rest may be somebody's
        found = re.match(r"[A-Z]{2,}(?: [A-Z]{2,})*(?= [`(])", line)
        words = found[0] if found else ""
        return Unreadable(f"line {self._number} of the dump is not understood ({words or 'no statement'})")

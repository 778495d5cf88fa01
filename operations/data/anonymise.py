"""A dump becomes anonymous while it streams: every value by its rule, and every value without one looked at.

What comes out is fit for a copy at every moment: with the first thing that has no rule nothing more comes
out, and only the list of all such things is made to its end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from .dump import Column, Rows, Structure, Text, quoted, read_dump, unquoted
from .kinds import DoesNotFit, Place, Replacer
from .looks import DERIVED, OPAQUE, TEXT, kind_by_name, kind_by_value
from .rules import DROP_ROWS, Rules, Table

# Takes a literal of a dump and gives the one that stands in its place; None for a value that stays as it is.
Change = Callable[[str], str]
Replace = Callable[[str, Place], str]
# Values of a column, or of a kind, that are remembered.
REMEMBERED = 50_000


class Refused(Exception):
    """The data have what no rule is for; the message lists all of it, and the lines to add."""


class Anonymiser:
    """Makes one dump anonymous; `notes` has what a person should know afterwards."""

    def __init__(self, rules: Rules, name: str, replacer: Replacer | None = None) -> None:
        """Arguments: `rules` and the `name` of their file; `replacer`, for tests."""
        self._rules, self._name = rules, name
        self._replacer = replacer or Replacer()
        self._changes: dict[tuple[str, tuple[Column, ...]], list[tuple[int, Change]]] = {}
        self._problems: dict[str, dict[str, tuple[str, str]]] = {}
        self._seen: set[str] = set()
        self.notes: list[str] = []
        self.rows = 0

    def lines(self, dump: Iterable[str]) -> Iterator[str]:
        """The lines that a copy may have.

        Raises Refused at the end when something has no rule, Unreadable as `read_dump`.
        """
        for part in read_dump(dump):
            if isinstance(part, Structure):
                self._check(part)
                continue
            text = part.text if isinstance(part, Text) else self._changed(part)
            if text and not self._problems:
                yield text
        if self._problems:
            raise Refused(self._refusal())
        self._note_strangers()

    # -- the structure

    def _check(self, table: Structure) -> None:
        self._seen.add(table.name)
        if table.name not in self._rules.tables:
            self._problem(table.name, "", "is not known", "")
        rules = self._of(table.name)
        if rules.drop:
            return
        for column in table.columns:
            if column.name in rules.columns or column.name in rules.paths:
                self._check_fit(table, column, rules.columns.get(column.name, ""))
            elif not (column.generated or column.is_json) and (kind := _kind_of(column)):
                self._problem(table.name, column.name, *kind)

    def _of(self, table: str) -> Table:
        """The rules of a table; for one that is not known, what would be right for it."""
        return self._rules.tables.get(table) or Table(drop=bool(DERIVED.fullmatch(table)))

    def _check_fit(self, table: Structure, column: Column, kind: str) -> None:
        if kind == "null" and column.required:
            self._problem(table.name, column.name, "may not be NULL: another kind than null", "text")
        if column.is_json and kind not in ("", "keep", "null"):
            self._problem(
                table.name, column.name, f"holds JSON: a kind for each path instead of {kind}", "keep"
            )
        try:
            if kind in self._replacer.of:
                self._replacer.of[kind]("a 1", _place(table, column))
        except DoesNotFit as error:
            self._problem(table.name, column.name, f"{kind}: {error}", "token")

    def _problem(self, table: str, column: str, reason: str, kind: str) -> None:
        self._problems.setdefault(table, {}).setdefault(column, (reason, kind))

    # -- the rows

    def _changed(self, part: Rows) -> str:
        """The rows as a copy may have them; empty where they stay behind."""
        if self._of(part.table.name).drop:
            return ""
        self.rows += len(part.rows)
        changes = self._changes_of(part.table, part.columns)
        return part.head + ",".join(map(lambda row: _row(row, changes), part.rows)) + part.tail

    def _changes_of(self, table: Structure, columns: tuple[Column, ...]) -> list[tuple[int, Change]]:
        key = (table.name, columns)
        if key not in self._changes:
            found = ((at, self._change(table, column)) for at, column in enumerate(columns))
            self._changes[key] = [(at, change) for at, change in found if change]
        return self._changes[key]

    def _change(self, table: Structure, column: Column) -> Change | None:
        rules = self._of(table.name)
        if column.name in self._problems.get(table.name, {}):
            return None  # nothing of it comes out any more
        if column.generated:
            return lambda _: "DEFAULT"  # it is computed anew
        if column.name in rules.paths:
            return self._of_json(table, column, rules.paths[column.name])
        kind = rules.columns.get(column.name)
        if kind == "keep":
            return None
        if kind == "null":
            return lambda _: "NULL"
        if kind:
            return self._of_kind(kind, column, _place(table, column))
        if column.is_json:
            return self._of_json(table, column, {})
        return self._look(table.name, column) if TEXT.match(column.type) else None

    def _of_kind(self, kind: str, column: Column, place: Place) -> Change:
        replace, known = self._replacer.of[kind], _Memory()
        is_number = not (
            TEXT.match(column.type) or OPAQUE.match(column.type) or column.type.startswith("date")
        )

        def change(literal: str) -> str:
            if literal == "NULL" or literal in ("''", "_binary ''"):
                return literal
            if literal not in known:
                known.keep(literal, self._literal(literal, replace, place, is_number))
            return known[literal]

        return change

    def _literal(self, literal: str, replace: Replace, place: Place, is_number: bool) -> str:
        if literal.startswith(("0x", "0X")) and not is_number:
            return "0x" + self._replacer.binary(bytes.fromhex(literal[2:])).hex().upper()
        if "'" in literal:
            return quoted(replace(unquoted(literal), place))
        return replace(literal, place)

    def _look(self, table: str, column: Column) -> Change:
        """Leaves a value without a rule as it is, and notes when it looks personal."""
        known = _Memory()

        def change(literal: str) -> str:
            if literal not in known:
                known.keep(literal, literal)
                if "'" in literal and (kind := kind_by_value(unquoted(literal))):
                    self._problem(table, column.name, f"has a value that looks like {_words(kind)}", kind)
            return literal

        return change

    # -- JSON

    def _of_json(self, table: Structure, column: Column, paths: Any) -> Change:
        where = f"{table.name}\0{column.name}"

        def change(literal: str) -> str:
            if literal == "NULL":
                return literal
            try:
                value = json.loads(unquoted(literal))
            except ValueError:
                self._problem(
                    table.name, column.name, "has a value that is no JSON: one kind for all of it", "text"
                )
                return literal
            changed = self._inside(value, "$", "", paths, where)
            return quoted(json.dumps(changed, ensure_ascii=False, separators=(",", ":")))

        return change

    def _inside(self, value: Any, path: str, name: str, paths: Any, where: str) -> Any:
        """A value of JSON by the rule of its path, else looked into."""
        kind = paths.get(path)
        if kind == "keep":
            return value
        if kind == "null":
            return None
        if isinstance(value, dict):
            # a rule of an object is one for all that it has
            under = {**paths, **{f"{path}.{key}": kind for key in value if kind}}
            return {key: self._inside(one, f"{path}.{key}", key, under, where) for key, one in value.items()}
        if isinstance(value, list):
            under = {**paths, f"{path}[*]": kind} if kind else paths
            return [self._inside(one, f"{path}[*]", name, under, where) for one in value]
        if kind:
            return self._leaf(value, kind)
        if looked := _look_inside(name, value):
            table, _, column = where.partition("\0")
            self._problem(table, f"{column}\0{path}", f"looks like {_words(looked)}", looked)
        return value

    def _leaf(self, value: Any, kind: str) -> Any:
        if isinstance(value, bool) or value is None or value == "":
            return value
        made = self._replacer.of[kind](str(value), Place())
        if isinstance(value, str):
            return made
        try:
            return type(value)(made)
        except ValueError:
            return made

    # -- words

    def _note_strangers(self) -> None:
        if unknown := sorted(self._rules.tables.keys() - self._seen):
            self.notes.append(
                f"{self._name} has rules for tables that the backup does not have: {', '.join(unknown)}"
            )

    def _refusal(self) -> str:
        found = [
            f"{'.'.join(filter(None, (table, column.split(chr(0))[0])))}"
            f"{' ' + column.split(chr(0))[1] if chr(0) in column else ''} {reason}"
            for table, columns in self._problems.items()
            for column, (reason, _) in columns.items()
        ]
        head = f"{self._name} has no rule for all that the backup has; the copy gets nothing of it:"
        add = "Lines to add below `tables:`, each to be read and changed where it is wrong (docs/data.md):"
        return "\n".join([head, *(f"  {line}" for line in found), add, *self._proposals()])

    def _proposals(self) -> Iterator[str]:
        for table, columns in self._problems.items():
            named = {column: kind for column, (_, kind) in columns.items() if column}
            if "" in columns and DERIVED.fullmatch(table):
                yield f"  {table}: {DROP_ROWS}"
            elif not named:
                yield f"  {table}: {{}}"
            else:
                yield f"  {table}:"
                yield from _proposed(named)


def _proposed(named: dict[str, str]) -> Iterator[str]:
    inside: dict[str, list[str]] = {}
    for column, kind in named.items():
        name, _, path = column.partition("\0")
        inside.setdefault(name, []).append(f"      {path}: {kind}" if path else f"    {name}: {kind}")
    for name, lines in inside.items():
        if lines[0].startswith("      "):
            yield f"    {name}:"
        yield from lines


class _Memory(dict[str, str]):
    """Literals and what they became; the whole of it is forgotten when it grows too large."""

    def keep(self, literal: str, made: str) -> None:
        if len(self) >= REMEMBERED:
            self.clear()
        self[literal] = made


def _row(row: Sequence[str], changes: list[tuple[int, Change]]) -> str:
    values = list(row)
    for at, change in changes:
        values[at] = change(values[at])
    return f"({','.join(values)})"


def _kind_of(column: Column) -> tuple[str, str] | None:
    """Why a column needs a rule before any value of it is seen, and the kind to propose."""
    if kind := kind_by_name(column.name, column.type):
        return f"is called like {_words(kind)}", kind
    if OPAQUE.match(column.type):
        return f"can hold anything ({column.type.split()[0]})", "text"
    return None


def _words(kind: str) -> str:
    return {"email": "an e-mail address", "ip": "an IP address", "name": "a name or what a person wrote"}.get(
        kind, f"what is personal ({kind})"
    )


def _place(table: Structure, column: Column) -> Place:
    return Place(column.room, column.name in table.unique)


def _look_inside(name: str, value: Any) -> str | None:
    """The kind that a value of JSON looks like, by its key and by itself."""
    if isinstance(value, str) and value:
        return kind_by_name(name, "varchar") or kind_by_value(value)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return kind_by_name(name, "int") if is_number else None

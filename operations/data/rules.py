"""The rules by which data become anonymous: a YAML file, read with the line of every rule (docs/data.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from ..errors import ConfigurationError

# What may stand at a column, and what it does.
KINDS = {
    "email": "another address at example.com, the same one for the same address in whatever letters",
    "name": "another name of as many words, in Arabic where it was in Arabic",
    "phone": "another number of the same shape and country",
    "token": "other characters of the same kinds, as many of them: tokens, keys, numbers of documents",
    "password": "the hash of the one password that all accounts of copies have",
    "text": "neutral text of the same length",
    "ip": "an address that leads nowhere",
    "date": "another day of the same year",
    "null": "NULL",
    "keep": "the value itself",
}
DROP_ROWS = "drop rows"
# What may stand at a pattern of files.
FILE_KINDS = ("keep", "placeholder", "drop")
PATH = re.compile(r"\$(\.[^.\[\]]+|\[\*\])+")


@dataclass(frozen=True)
class Table:
    """What becomes of a table.

    drop     its rows stay behind
    columns  kinds by column
    paths    kinds by path, `$.address.phone` or `$.members[*].email`, of columns that hold JSON
    """

    drop: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class FileRule:
    """What becomes of the files that a pattern names."""

    pattern: str
    kind: str

    def matches(self, path: str) -> bool:
        """Whether it names a path; `*` is a part of a name, `**` any number of folders."""
        parts = re.split(r"(\*\*/?|\*|\?)", self.pattern)
        words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        return bool(re.fullmatch("".join(words.get(part, re.escape(part)) for part in parts), path))


@dataclass(frozen=True)
class Rules:
    """All rules; a table that is not among them is not known."""

    tables: Mapping[str, Table]
    files: tuple[FileRule, ...] = ()

    def file_kind(self, path: str) -> str:
        """What becomes of a file: by the first pattern that names it; without one it stays behind."""
        return next((rule.kind for rule in self.files if rule.matches(path)), "drop")


def read_rules(path: Path) -> Rules:
    """The rules in a file. Raises ConfigurationError with a line for each mistake."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path.name}: no such file; it says what becomes of each table and column (docs/data.md). "
            f"With `tables: {{}}` in it, the next run proposes all lines"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path.name}: cannot be read: {error}") from None
    return parse_rules(text, path.name)


def parse_rules(text: str, name: str) -> Rules:
    """The rules in a text.

    Arguments: `name`, what messages call it.
    Raises ConfigurationError with a line for each mistake: file, line, what was found, what is allowed.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{name}:{line}: no YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{name}: no YAML: {error}") from None
    reader = _Reader()
    rules = reader.rules(root)
    if reader.problems:
        lines = [f"{name}:{line}: {what}" for line, what in sorted(reader.problems)]
        raise ConfigurationError("\n  ".join(["the rules for data are not usable:", *lines]))
    return rules


class _Reader:
    """Goes through the nodes of the YAML, which know their lines, and notes every mistake."""

    def __init__(self) -> None:
        self.problems: list[tuple[int, str]] = []

    def rules(self, root: yaml.Node | None) -> Rules:
        tables: dict[str, Table] = {}
        files: list[FileRule] = []
        for key, node in self._pairs(root, "the file", "tables, files"):
            if key == "tables":
                tables = {name: self._table(name, value) for name, value in self._pairs(node, key, "tables")}
            elif key == "files":
                for pattern, value in self._pairs(node, key, "patterns of paths"):
                    files.append(FileRule(pattern, self._word(value, pattern, FILE_KINDS)))
            else:
                self._note(node, f"{key}: allowed: tables, files")
        return Rules(tables, tuple(files))

    def _table(self, table: str, node: yaml.Node) -> Table:
        if isinstance(node, yaml.ScalarNode):
            if node.value == DROP_ROWS:
                return Table(drop=True)
            self._note(
                node,
                f"{table}: {node.value or 'nothing'}: allowed: {DROP_ROWS}, or columns with kinds, or {{}}",
            )
            return Table()
        columns: dict[str, str] = {}
        paths: dict[str, dict[str, str]] = {}
        for column, value in self._pairs(node, table, "columns"):
            where = f"{table}.{column}"
            if isinstance(value, yaml.MappingNode):
                paths[column] = dict(self._paths(where, value))
            else:
                columns[column] = self._word(value, where, tuple(KINDS))
        return Table(columns=columns, paths=paths)

    def _paths(self, where: str, node: yaml.Node) -> Iterator[tuple[str, str]]:
        for path, value in self._pairs(node, where, "paths such as $.address.phone"):
            if not PATH.fullmatch(path):
                self._note(
                    value, f"{where}: {path}: allowed: a path such as $.address.phone or $.list[*].email"
                )
            yield path, self._word(value, f"{where} {path}", tuple(KINDS))

    def _word(self, node: yaml.Node, where: str, allowed: tuple[str, ...]) -> str:
        # a YAML reader takes `null` for nothing; here it is the kind
        word = str(node.value) if isinstance(node, yaml.ScalarNode) else "a list or an object"
        if word not in allowed:
            self._note(node, f"{where}: {word or 'nothing'}: allowed: {', '.join(allowed)}")
        return word

    def _pairs(self, node: yaml.Node | None, where: str, what: str) -> Iterator[tuple[str, yaml.Node]]:
        """Keys and values of an object, each key once."""
        if not isinstance(node, yaml.MappingNode):
            self._note(node, f"{where}: allowed: an object of {what}")
            return
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "a list or an object"
            if name in seen:
                self._note(key, f"{where}: {name} stands twice")
            seen.add(name)
            yield name, value

    def _note(self, node: yaml.Node | None, what: str) -> None:
        self.problems.append((node.start_mark.line + 1 if node else 1, what))

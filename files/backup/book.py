"""What is known of backups: counted while they are written, noted in a manifest, compared, kept by a rule.

itqan-backup-book measure database|files|bytes FILE   passes standard input on; what went by is told in FILE
itqan-backup-book manifest FOLDER KEY <FACTS          the manifest, of `KEY value` lines; KEY's MAC on it
itqan-backup-book value MANIFEST KEY                  what stands at a dotted key; nothing where nothing does
itqan-backup-book check FOLDER NAME [KEY]             what is wrong with files or KEY's MAC, a line each
itqan-backup-book compare MANIFEST KIND FILE          what differs from a measure, a line each
itqan-backup-book whole FOLDER                        names of the backups that are complete, the newest first
itqan-backup-book loose FOLDER                        files of this program's that no complete backup has
itqan-backup-book drop DAILY WEEKLY MONTHLY <NAMES    those that the rule does not keep

Needs Python 3.10, nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, BinaryIO

NAME = re.compile(r"backup_(\d{8}T\d{6}Z)_[0-9a-f]{12}")
FILE = re.compile(rf"\.?({NAME.pattern})\.(?:json|(?:database\.sql|files\.tar)\.gz\.age)(?:\.part)?")
PIECE = 1 << 20
# What is this much older than the newest is not yet a day's, a week's or a month's: a backup by hand, or the
# one before a restore, must not drive out that of the night before.
YOUNG = timedelta(hours=48)
# A sum of digests does not depend on the order that rows come in.
MODULUS = 1 << 128

INSERT = re.compile(rb"INSERT INTO `((?:[^`]|``)+)` (?:\((?:[^`)]|`(?:[^`]|``)*`)*\) )?VALUES\s*")
CREATE = re.compile(rb"CREATE TABLE (?:IF NOT EXISTS )?`((?:[^`]|``)+)`")
ROW = re.compile(rb"\((?:[^'()]+|'(?:[^'\\]+|\\.|'')*')*\)", re.DOTALL)
TOOL = re.compile(rb"-- (\w+ dump .*)")
POSITION = re.compile(rb"-- CHANGE .*_LOG_FILE='([^']+)', \w+_LOG_POS=(\d+)")


class Unreadable(Exception):
    """What went by is not what was expected; the message says what."""


def moment(name: str) -> datetime | None:
    """When a backup was made, by its name; None for what is no backup's name."""
    found = NAME.fullmatch(name)
    try:
        return datetime.strptime(found[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc) if found else None
    except ValueError:
        return None


def kept(names: Iterable[str], daily: int, weekly: int, monthly: int) -> set[str]:
    """The backups that stay: the newest of each of the last days, ISO weeks and months (UTC) that have one.

    Periods without a backup do not count, so that nothing goes only because no new one comes. The newest
    always stays, with all that are at most 48 hours older. Names that are no backup's are not in the answer:
    nobody here says what becomes of them.
    """
    known = {name: made for name in names if (made := moment(name))}
    newest_first = sorted(known, reverse=True)
    stay = {name for name in newest_first if known[newest_first[0]] - known[name] <= YOUNG}
    for count, period in ((daily, "%Y-%m-%d"), (weekly, "%G-%V"), (monthly, "%Y-%m")):
        newest: dict[str, str] = {}
        for name in newest_first:
            newest.setdefault(known[name].strftime(period), name)
        stay |= set(list(newest.values())[:count])
    return stay


def dropped(names: Iterable[str], daily: int, weekly: int, monthly: int) -> list[str]:
    """The backups that the rule does not keep, the oldest first."""
    known = {name for name in names if moment(name)}
    return sorted(known - kept(known, daily, weekly, monthly))


@dataclass
class Sum:
    """Bytes that went by, and their digest."""

    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def add(self, piece: bytes) -> None:
        """Counts a piece."""
        self.size += len(piece)
        self.digest.update(piece)

    def told(self) -> dict[str, object]:
        """As in a manifest."""
        return {"bytes": self.size, "sha256": self.digest.hexdigest()}


@dataclass
class Bag:
    """How many things there were, and a digest of them that does not depend on their order."""

    count: int = 0
    sum: int = 0

    def add(self, thing: bytes) -> None:
        """Counts a thing."""
        self.count += 1
        self.sum = (
            self.sum + int.from_bytes(hashlib.blake2b(thing, digest_size=16).digest(), "big")
        ) % MODULUS

    def told(self, counted: str) -> dict[str, object]:
        """As in a manifest."""
        return {counted: self.count, "digest": f"{self.sum:032x}"}


class Dump:
    """A dump of mysqldump's, line by line: its rows are those of its one transaction."""

    def __init__(self) -> None:
        self.tables: dict[str, Bag] = {}
        self.position: dict[str, object] | None = None
        self.tool = ""
        self._rows: Bag | None = None
        self._is_code = False  # inside DELIMITER: the body of a trigger or a routine
        self._last = b""

    def take(self, line: bytes) -> None:
        """Reads the next line. Raises Unreadable."""
        if line.strip():
            self._last = line
        if line.startswith(b"DELIMITER "):
            self._is_code = line.strip() != b"DELIMITER ;"
        elif self._is_code:
            return
        elif self._rows is not None:
            self._take_rows(line, 0)
        elif begun := INSERT.match(line):
            self._rows = self.tables.setdefault(_identifier(begun[1]), Bag())
            self._take_rows(line, begun.end())
        elif made := CREATE.match(line):
            self.tables.setdefault(_identifier(made[1]), Bag())
        elif line.startswith(b"-- "):
            self._take_remark(line)

    def _take_rows(self, line: bytes, at: int) -> None:
        """The rows of a line; after its last row a statement ends in a semicolon."""
        assert self._rows is not None
        while line[at:].strip():
            row = ROW.match(line, at)
            if not row or line[row.end() : row.end() + 1] not in (b",", b";"):
                raise Unreadable(f"the dump has a row that cannot be read, near {line[at : at + 40]!r}")
            self._rows.add(row[0])
            at = row.end() + 1
            if line[row.end() : at] == b";":
                self._rows = None
                return

    def _take_remark(self, line: bytes) -> None:
        if not self.tool and (tool := TOOL.match(line)):
            self.tool = " ".join(tool[1].decode(errors="replace").split())
        elif found := POSITION.match(line):
            self.position = {"file": found[1].decode(), "position": int(found[2])}

    def told(self) -> dict[str, object]:
        """As in a manifest. Raises Unreadable for a dump that did not get to its end."""
        if not self._last.startswith(b"-- Dump completed"):
            raise Unreadable("the dump did not get to its end")
        return {
            "tool": self.tool,
            "rows": sum(bag.count for bag in self.tables.values()),
            "tables": {name: bag.told("rows") for name, bag in sorted(self.tables.items())},
            "binlog": self.position,
        }


def _identifier(quoted: bytes) -> str:
    return quoted.replace(b"``", b"`").decode()


def measure_database(source: BinaryIO, target: BinaryIO) -> dict[str, object]:
    """Passes a dump on. Returns what it has. Raises Unreadable."""
    dump, total = Dump(), Sum()
    for line in source:
        target.write(line)
        total.add(line)
        dump.take(line)
    return {**dump.told(), "plain": total.told()}


class Passing:
    """A file that is read by somebody and passed on."""

    def __init__(self, source: BinaryIO, target: BinaryIO) -> None:
        self.total = Sum()
        self._source, self._target = source, target

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`."""
        piece = self._source.read(size)
        self._target.write(piece)
        self.total.add(piece)
        return piece

    def pieces(self) -> Iterator[bytes]:
        """All that is left."""
        while piece := self.read(PIECE):
            yield piece


def measure_files(source: BinaryIO, target: BinaryIO) -> dict[str, object]:
    """Passes a tar archive on. Returns what it has. Raises Unreadable."""
    passing, bag, content = Passing(source, target), Bag(), 0
    try:
        with tarfile.open(fileobj=passing, mode="r|") as archive:  # type: ignore[call-overload]
            for member in archive:
                bag.add(f"{member.name}\0{_said(archive, member)}".encode("utf-8", "surrogateescape"))
                content += member.size if member.isreg() else 0
    except tarfile.TarError as error:
        raise Unreadable(f"the archive of the files cannot be read: {error}") from None
    for _ in passing.pieces():
        pass
    return {**bag.told("count"), "content": content, "plain": passing.total.told()}


def _said(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    """What a member is: the digest of a file, where a link leads, else its kind."""
    if not member.isreg():
        return f"{member.type.decode()} {member.linkname}"
    total, reading = Sum(), archive.extractfile(member)
    assert reading is not None
    while piece := reading.read(PIECE):
        total.add(piece)
    return str(total.told()["sha256"])


def measure_bytes(source: BinaryIO, target: BinaryIO) -> dict[str, object]:
    """Passes anything on. Returns how much it was, and its digest."""
    passing = Passing(source, target)
    for _ in passing.pieces():
        pass
    return passing.total.told()


MEASURES: dict[str, Callable[[BinaryIO, BinaryIO], dict[str, object]]] = {
    "database": measure_database,
    "files": measure_files,
    "bytes": measure_bytes,
}
# Of each part of a backup: the name of its file.
PARTS = {"database": "{name}.database.sql.gz.age", "files": "{name}.files.tar.gz.age"}
LISTS = ("recipients", "migrations", "paths")


def manifest(folder: Path, facts: Iterable[str]) -> dict[str, object]:
    """What is known of a backup.

    Arguments: `folder`, which has KIND.json and KIND.sealed.json of each part; `facts`, lines `KEY value`.
    """
    known: dict[str, object] = {}
    for line in facts:
        key, _, value = line.rstrip("\n").partition(" ")
        known[key] = value.split() if key in LISTS else value
    name = str(known["name"])
    made = moment(name)
    assert made is not None
    known = {"format": 1, "made": made.isoformat().replace("+00:00", "Z"), **known}
    for kind, file in PARTS.items():
        if (folder / f"{kind}.json").exists():
            sealed = {"file": file.format(name=name), **_read(folder / f"{kind}.sealed.json")}
            known[kind] = {**_read(folder / f"{kind}.json"), "sealed": sealed}
    return known


def _read(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text())
    if not isinstance(found, dict):
        raise ValueError(path)
    return found


def mac(known: dict[str, Any], key: Path) -> str:
    """HMAC-SHA256 (RFC 2104) of a manifest, and so of the files whose digests it has."""
    said = json.dumps({name: known[name] for name in known if name != "mac"}, sort_keys=True)
    return hmac.new(key.read_bytes().strip(), said.encode(), "sha256").hexdigest()


def authentic(known: dict[str, Any], key: Path) -> dict[str, Any]:
    """A manifest with its MAC, if there is a key."""
    return {**known, "mac": mac(known, key)} if key.exists() else known


def value(known: dict[str, Any], key: str) -> str:
    """What stands at a dotted key; lists word by word; empty where nothing does."""
    found: Any = known
    for word in key.split("."):
        found = found.get(word) if isinstance(found, dict) else None
    if isinstance(found, list):
        return " ".join(map(str, found))
    return "" if found is None else str(found)


def sealed_parts(known: dict[str, Any]) -> list[dict[str, Any]]:
    """The files of a backup beside its manifest."""
    return [known[kind]["sealed"] for kind in PARTS if kind in known]


def wrong(folder: Path, name: str, *, digests: bool, key: Path | None = None) -> list[str]:
    """What is wrong with the files of a backup, a line each; none: it is whole.

    Arguments: `digests`, whether all is read, or only sizes are looked at; `key`, a file: its manifest has to
    have that key's MAC.
    """
    path = folder / f"{name}.json"
    if not NAME.fullmatch(name):
        return [f"{name} is no name of a backup"]
    try:
        known = _read(path)
        parts = sealed_parts(known)
        if known["name"] != name or not parts:
            return [f"{path} is the manifest of something else"]
        if key and not hmac.compare_digest(str(known.get("mac")).encode(), mac(known, key).encode()):
            return [f"{path} is not authentic: made by somebody else, or under another itqan:backupMacKey"]
        return [line for part in parts if (line := _wrong_part(folder, part, digests=digests))]
    except FileNotFoundError as error:
        return [f"{error.filename} is not there"]
    except (ValueError, KeyError, TypeError, UnicodeDecodeError):
        return [f"{path} cannot be read"]


def _wrong_part(folder: Path, part: dict[str, Any], *, digests: bool) -> str:
    path = folder / Path(part["file"]).name
    if not path.is_file():
        return f"{path} is not there"
    if (size := path.stat().st_size) != part["bytes"]:
        return f"{path} has {size} bytes and not {part['bytes']}"
    if not digests:
        return ""
    total = Sum()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            total.add(piece)
    return (
        ""
        if total.told()["sha256"] == part["sha256"]
        else f"{path} is not as it was written: another SHA-256"
    )


def whole(folder: Path) -> list[str]:
    """The complete backups of a folder, by the sizes of their files, the newest first."""
    names = [path.stem for path in folder.glob("backup_*.json") if moment(path.stem)]
    return sorted((name for name in names if not wrong(folder, name, digests=False)), reverse=True)


def loose(folder: Path) -> list[str]:
    """Files by this program's names without a manifest, or not complete: what a killed run left.

    Those of a manifest that is there stay, whatever is wrong with them: a person should see them.
    """
    made = []
    for path in folder.iterdir():
        found = FILE.fullmatch(path.name)
        if found and (path.name.endswith(".part") or not (folder / f"{found[1]}.json").exists()):
            made.append(path.name)
    return sorted(made)


def differences(known: dict[str, Any], kind: str, measured: dict[str, Any]) -> list[str]:
    """What differs between a part as it was backed up and as it was measured again, a line each."""
    before = known[kind]
    if kind == "files":
        return [] if _bag(before) == _bag(measured) else [_files_words(before, measured)]
    lines = []
    # another program writes the same value in other letters: then rows are counted only
    same_tool = before["tool"] == measured["tool"]
    for table in sorted({*before["tables"], *measured["tables"]}):
        was, now = before["tables"].get(table), measured["tables"].get(table)
        if was is None or now is None:
            lines.append(f"table {table} {'is missing' if now is None else 'was not in the backup'}")
        elif was["rows"] != now["rows"]:
            lines.append(f"table {table} has {now['rows']} rows, the backup {was['rows']}")
        elif same_tool and was["digest"] != now["digest"]:
            lines.append(f"table {table} has other contents than the backup")
    return lines


def _bag(told: dict[str, Any]) -> tuple[object, object]:
    return told["count"], told["digest"]


def _files_words(before: dict[str, Any], now: dict[str, Any]) -> str:
    was, found = (f"{told['count']} entries with {told['content']} bytes" for told in (before, now))
    return f"of the files there are {found}, in the backup {was}, or their contents differ"


def main(words: list[str]) -> int:
    """Runs a command. Returns its exit status."""
    command, *rest = words
    if command == "measure":
        told = MEASURES[rest[0]](sys.stdin.buffer, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        Path(rest[1]).write_text(json.dumps(told))
        return 0
    answers: dict[str, Callable[[], Iterable[str]]] = {
        "manifest": lambda: [
            json.dumps(
                authentic(manifest(Path(rest[0]), sys.stdin), Path(rest[1])), indent=1, ensure_ascii=False
            )
        ],
        "value": lambda: [value(_read(Path(rest[0])), rest[1])],
        "check": lambda: wrong(Path(rest[0]), rest[1], digests=True, key=Path(rest[2]) if rest[2:] else None),
        "compare": lambda: differences(_read(Path(rest[0])), rest[1], _read(Path(rest[2]))),
        "whole": lambda: whole(Path(rest[0])),
        "loose": lambda: loose(Path(rest[0])),
        "drop": lambda: dropped(sys.stdin.read().split(), *map(int, rest)),
    }
    for line in answers[command]():
        print(line)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Unreadable as error:
        sys.exit(f"itqan-backup-book: {error}")
    except BrokenPipeError:
        os._exit(1)  # whoever read it has failed, and says so itself

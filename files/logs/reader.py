"""Reads logs of this host and prints their entries, merged by time, as lines of JSON.

Runs on the host with its own Python 3.10 or later. The first line of standard input is the request
(components/logs.py); when that input ends, whoever asked is gone, and so is this.
"""

from __future__ import annotations

import gzip
import heapq
import json
import os
import re
import select
import stat
import subprocess
import sys
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LINE = 16384  # bytes of a line that are kept
ENTRY = 262144  # and of an entry
BLOCK = 65536
WINDOW = 262144  # what is read from the end of a log where no time is given
PERIOD = 0.2  # seconds between two looks at files that are followed
QUIET = 0.4  # seconds after which an entry that nobody goes on with is complete
FOLDERS_PERIOD = 2.0  # seconds between two looks for files that are new
JOURNALCTL = ("setpriv", "--pdeathsig", "KILL", "journalctl", "-q", "--no-pager", "-o", "json")
ROTATED = re.compile(r"[.-]\d[\d-]*(\.gz)?")
DAY = r"\d{4}-\d\d-\d\d"
CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d+)?"
OFFSET = r"(?:Z|[+-]\d\d:?\d\d)?"


@dataclass(frozen=True)
class Form:
    """How a kind of log is written.

    head     matches the first line of an entry: its time is the group `at`, and what the group `stamp` has is
             left out of the text; None: the log has no times
    layouts  of the time (strptime); none: ISO 8601
    zone     of a time that says none: the application's, or the host's
    joined   whether lines that are no head belong to the entry before them
    """

    head: re.Pattern[str] | None
    layouts: tuple[str, ...] = ()
    zone: str = "host"
    joined: bool = True


def _head(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


FORMS = {
    # Monolog's LineFormatter
    "laravel": Form(_head(rf"(?P<stamp>\[(?P<at>{DAY}[T ]{CLOCK}{OFFSET})\] )"), zone="application"),
    # queue:work, schedule:work: `  2026-11-29 12:00:00 App\Jobs\…`, before 9.21 `[2026-11-29 12:00:00][id] …`
    "worker": Form(_head(rf"(?P<stamp> *\[?(?P<at>{DAY} {CLOCK})\]? ?)"), zone="application"),
    "plain": Form(None, joined=False),
    "nginx-access": Form(
        _head(r'\S+ .*?\[(?P<at>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "'),
        ("%d/%b/%Y:%H:%M:%S %z",),
        joined=False,
    ),
    "nginx-error": Form(
        _head(r"(?P<stamp>(?P<at>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) )"), ("%Y/%m/%d %H:%M:%S",), joined=False
    ),
    # FPM's own, and PHP's error_log, which names a zone
    "php": Form(
        _head(
            rf"(?P<stamp>\[(?P<at>\d\d-[A-Z][a-z]{{2}}-\d{{4}} {CLOCK})(?: (?P<zone>[A-Za-z][\w/+-]*))?\] )"
        ),
        ("%d-%b-%Y %H:%M:%S", "%d-%b-%Y %H:%M:%S.%f"),
    ),
    # MySQL 8 (log_timestamps=UTC) with a Z, MariaDB with the host's time and an hour that may have one digit
    "mysql": Form(
        _head(rf"(?P<stamp>(?P<at>{DAY}[T ] ?\d{{1,2}}:\d\d:\d\d(?:\.\d+)?{OFFSET}) )"),
        ("%Y-%m-%d %H:%M:%S",),
    ),
    "redis": Form(
        _head(r"\d+:[A-Z] (?P<stamp>(?P<at>\d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d\.\d+) )"),
        ("%d %b %Y %H:%M:%S.%f",),
    ),
    "supervisor": Form(_head(rf"(?P<stamp>(?P<at>{DAY} {CLOCK}) )")),
    "release": Form(_head(r'\{"when": "(?P<at>[^"]+)"'), joined=False),
}


def moment(form: Form, line: str, application: tzinfo) -> tuple[float, str] | None:
    """The time of an entry's first line, in seconds since 1970, and the line without it; None: it is no head.

    Arguments: `application`, the zone of the application's own times.
    """
    found = form.head.match(line) if form.head else None
    if found is None:
        return None
    groups = found.groupdict()
    at = _read(form, groups["at"])
    if at is None:
        return None
    if at.tzinfo is None:
        zone = _zone(groups.get("zone")) or (application if form.zone == "application" else None)
        at = at.replace(tzinfo=zone) if zone else at.astimezone()
    text = line if groups.get("stamp") is None else line[: found.start("stamp")] + line[found.end("stamp") :]
    return at.timestamp(), text


def _read(form: Form, text: str) -> datetime | None:
    for layout in form.layouts:
        try:
            return datetime.strptime(text, layout)
        except ValueError:
            continue
    try:
        return datetime.fromisoformat(_iso(text))
    except ValueError:
        return None


def _iso(text: str) -> str:
    """As Python 3.10 reads it: a point, six digits or none, a colon in the offset."""
    whole, rest = text[:19], text[19:].replace(",", ".").replace("Z", "+00:00")
    fraction = re.match(r"\.\d+", rest)
    if fraction:
        rest = f"{fraction.group()[:7]:0<7}{rest[fraction.end() :]}"
    return whole + re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", rest)


def _zone(name: str | None) -> tzinfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@dataclass
class Entry:
    """What was said at once: its source, its time (None: not known), its order among others, its text."""

    source: str
    at: float | None
    order: float
    text: str


class Lines:
    """Bytes as lines; of a line that is too long the beginning, and how much more there was."""

    def __init__(self) -> None:
        self._rest = b""
        self._dropped = 0

    def of(self, block: bytes) -> Iterator[str]:
        """The lines that are complete with this block."""
        *whole, rest = block.split(b"\n")
        for line in whole:
            yield self._line(self._rest + line)
            self._rest, self._dropped = b"", 0
        self._rest += rest
        if len(self._rest) > LINE:
            self._dropped += len(self._rest) - LINE
            self._rest = self._rest[:LINE]

    def left(self) -> Iterator[str]:
        """What has no end yet."""
        if self._rest:
            yield self._line(self._rest)
            self._rest, self._dropped = b"", 0

    def _line(self, line: bytes) -> str:
        more = self._dropped + max(len(line) - LINE, 0)
        text = line[:LINE].rstrip(b"\r").decode(errors="backslashreplace")
        return f"{text} … and {more} bytes more" if more else text


class Entries:
    """Lines as entries: each with the lines that belong to it."""

    def __init__(self, source: str, form: Form, application: tzinfo, order: float) -> None:
        """Arguments: `order`, the time that counts for what has none."""
        self._source, self._form, self._application = source, form, application
        self._order = order
        self._open: Entry | None = None
        self.waits = False  # for a first head: what comes before belongs to an entry that was not asked for

    def of(self, line: str) -> Iterator[Entry]:
        """The entry that this line ends, if it does."""
        found = moment(self._form, line, self._application)
        if found:
            yield from self.left()
            self.waits = False
            # never before the one before it, so that the log stays in its own order
            self._order = max(self._order if self._form.head else 0.0, found[0])
            self._open = Entry(self._source, found[0], self._order, found[1])
        elif self.waits or not (line.strip() or self._open):
            return
        elif self._open and self._form.joined:
            if len(self._open.text) < ENTRY:
                self._open.text += f"\n{line}"
        else:
            yield from self.left()
            self._open = Entry(self._source, None, self._order, line)

    def left(self) -> Iterator[Entry]:
        """The entry that nothing has ended yet."""
        if self._open and self._open.text.strip():
            self._open.text = self._open.text.rstrip()
            yield self._open
        self._open = None

    def seen_at(self, now: float) -> None:
        """From now on, what has no time is as old as its being seen."""
        if self._form.head is None:
            self._order = now


@dataclass
class Asked:
    """What was asked for.

    application  the zone of the application's own times
    since        seconds since 1970; None: the last entries
    wanted       what the text of an entry has to match
    problem      is told what cannot be read
    """

    application: tzinfo
    since: float | None
    wanted: re.Pattern[str] | None
    problem: Callable[[str, str], None]

    def has(self, entry: Entry) -> bool:
        """Whether an entry was asked for."""
        at = entry.order if entry.at is None else entry.at
        if self.since is not None and at < self.since:
            return False
        return self.wanted is None or bool(self.wanted.search(entry.text))


def opened(path: str) -> int | None:
    """A regular file; None for anything else: who writes logs may put links and pipes there."""
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    return None


@dataclass
class Log:
    """A log under its own name, and what it was called before."""

    source: str
    path: str
    form: Form
    asked: Asked
    file: int | None = None
    at: int = 0
    lines: Lines = field(default_factory=Lines)
    entries: Entries = field(init=False)
    heard: float = 0.0

    def __post_init__(self) -> None:
        self.entries = self._entries(0.0)

    def _entries(self, order: float) -> Entries:
        return Entries(self.source, self.form, self.asked.application, order)

    # -- what was written before

    def before(self, gone: Callable[[], bool]) -> Iterator[Entry]:
        """The entries that are there, the oldest first."""
        order = 0.0
        for path in (*self._rotated(), self.path):
            file = self._open(path)
            if file is None:
                continue
            changed = os.fstat(file).st_mtime
            if path == self.path:
                self.file = file
            elif self.asked.since is not None and changed < self.asked.since:
                os.close(file)
                continue
            entries = self._entries(order if self.form.head else changed)
            for entry in self._all_of(path, file, entries, gone):
                order = max(order, entry.order)
                if self.asked.has(entry):
                    yield entry
            if path != self.path:
                os.close(file)
        self.entries = self._entries(order)

    def _rotated(self) -> list[str]:
        """What this log was before, the oldest first; without a time, only the last, if it is needed."""
        own = Path(self.path)
        found = [
            (there.st_mtime, str(path))
            for path in own.parent.glob(f"{own.name}[.-]*")
            if ROTATED.fullmatch(path.name[len(own.name) :]) and (there := _state(path))
        ]
        paths = [path for _, path in sorted(found)]
        if self.asked.since is not None:
            return paths
        there = _state(own)
        is_short = there is None or there.st_size < WINDOW // 4
        return [path for path in paths[-1:] if is_short and not path.endswith(".gz")]

    def _open(self, path: str) -> int | None:
        try:
            file = opened(path)
        except FileNotFoundError:
            if path == self.path:
                self.asked.problem(self.source, f"{path} is not there")
            return None
        except OSError as error:
            self.asked.problem(self.source, f"{path}: {error.strerror}")
            return None
        if file is None:
            self.asked.problem(self.source, f"{path} is no regular file; it is left out")
        return file

    def _all_of(self, path: str, file: int, entries: Entries, gone: Callable[[], bool]) -> Iterator[Entry]:
        lines = Lines()
        start = 0 if path.endswith(".gz") else self._start(file)
        if start:
            entries.waits = self.form.joined and self.form.head is not None
            start = _next_line(file, start)
        try:
            for block in self._blocks(path, file, start):
                if gone():
                    return
                for line in lines.of(block):
                    yield from entries.of(line)
        except (OSError, EOFError, zlib.error) as error:
            self.asked.problem(self.source, f"{path} is damaged: {error}")
        for line in lines.left():
            yield from entries.of(line)
        yield from entries.left()

    def _blocks(self, path: str, file: int, start: int) -> Iterator[bytes]:
        if path.endswith(".gz"):
            with os.fdopen(os.dup(file), "rb") as packed, gzip.GzipFile(fileobj=packed) as unpacked:
                while block := unpacked.read(BLOCK):
                    yield block
            return
        at = start
        while block := os.pread(file, BLOCK, at):
            at += len(block)
            yield block
        if path == self.path:
            self.at = at

    def _start(self, file: int) -> int:
        """Where reading begins: near the time that was asked for, or near the end."""
        size = os.fstat(file).st_size
        if self.asked.since is None or self.form.head is None:
            return max(size - WINDOW, 0)
        low, high = 0, size
        while high - low > BLOCK:
            middle = (low + high) // 2
            at = self._time_after(file, middle)
            if at is not None and at < self.asked.since:
                low = middle
            else:
                high = middle
        return low

    def _time_after(self, file: int, at: int) -> float | None:
        for size in (LINE, WINDOW):
            for line in os.pread(file, size, at).split(b"\n")[1:-1]:
                found = moment(self.form, line[:LINE].decode(errors="replace"), self.asked.application)
                if found:
                    return found[0]
        return None

    # -- what is written from now on

    def new(self, now: float) -> Iterator[Entry]:
        """The entries that are complete by now, through rotation and truncation."""
        self.entries.seen_at(now)
        found = [*self._read(now)]
        if self._is_another():
            found += self.entries.left()
            self._reopen()
            found += self._read(now)
        if now - self.heard > QUIET:
            found += [entry for line in self.lines.left() for entry in self.entries.of(line)]
            found += self.entries.left()
        for entry in found:
            if entry.at is None and self.form.head is None:
                entry.at = now
            if self.asked.has(entry):
                yield entry

    def _read(self, now: float) -> Iterator[Entry]:
        if self.file is None:
            return
        if os.fstat(self.file).st_size < self.at:
            self.at = 0  # emptied
        while block := os.pread(self.file, BLOCK, self.at):
            self.at += len(block)
            self.heard = now
            for line in self.lines.of(block):
                yield from self.entries.of(line)

    def _is_another(self) -> bool:
        try:
            there = os.lstat(self.path)
        except FileNotFoundError:
            return False
        if self.file is None:
            return stat.S_ISREG(there.st_mode)
        ours = os.fstat(self.file)
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)

    def _reopen(self) -> None:
        if self.file is not None:
            os.close(self.file)
        try:
            self.file = opened(self.path)
        except OSError:
            self.file = None
        self.at, self.lines = 0, Lines()


def _state(path: Path) -> os.stat_result | None:
    """Of the name itself, which another process may be changing."""
    try:
        return path.lstat()
    except OSError:
        return None


def _next_line(file: int, at: int) -> int:
    """Where the line ends that a place is in the middle of."""
    while block := os.pread(file, BLOCK, at):
        end = block.find(b"\n")
        if end >= 0:
            return at + end + 1
        at += len(block)
    return at


class Journal:
    """What systemd's journal has of services, in one process of journalctl at a time."""

    def __init__(self, units: dict[str, tuple[str, str, bool]], asked: Asked) -> None:
        """Arguments: `units`, by name: source, form of its messages, whether only systemd's words count."""
        self._units, self._asked = units, asked
        self._from = ["--since", f"@{int(time.time())}"]
        self._lines = Lines()
        self.process: subprocess.Popen[bytes] | None = None

    def _start(self, *options: str) -> subprocess.Popen[bytes]:
        units = [word for unit in self._units for word in ("-u", unit)]
        # ends with this process, however that ends
        return subprocess.Popen(
            [
                "setpriv",
                "--pdeathsig",
                "KILL",
                "journalctl",
                "-q",
                "--no-pager",
                "-o",
                "json",
                *units,
                *options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def before(self, last: int) -> Iterator[Entry]:
        """The entries that are there, the oldest first."""
        if not self._units:
            return
        since = self._asked.since
        with self._start(*(["-n", str(last)] if since is None else ["--since", f"@{int(since)}"])) as process:
            assert process.stdout is not None
            for line in process.stdout:
                yield from self._entry(line)

    def follow(self) -> None:
        """Goes on after what was read."""
        if self._units:
            self.process = self._start("-f", *self._from)

    @property
    def waits_at(self) -> list[int]:
        """Where something new is to be seen."""
        return [self.process.stdout.fileno()] if self.process and self.process.stdout else []

    def new(self) -> Iterator[Entry]:
        """What has come in."""
        while ready := select.select(self.waits_at, [], [], 0)[0]:
            block = os.read(ready[0], BLOCK)
            if not block:
                self.process = None
                return
            for line in self._lines.of(block):
                yield from self._entry(line.encode())

    def _entry(self, line: bytes) -> Iterator[Entry]:
        try:
            said = json.loads(line)
            at = int(said["__REALTIME_TIMESTAMP"]) / 1e6
            self._from = ["--after-cursor", said["__CURSOR"]]
        except (ValueError, KeyError):
            return
        unit = next(
            (name for name in (said.get("UNIT"), said.get("_SYSTEMD_UNIT")) if name in self._units), None
        )
        message = said.get("MESSAGE")
        if isinstance(message, list):  # bytes that are no text
            message = bytes(message).decode(errors="backslashreplace")
        if unit is None or not isinstance(message, str):
            return
        source, form, is_quiet = self._units[unit]
        if is_quiet and said.get("SYSLOG_IDENTIFIER") != "systemd":
            return
        own = moment(FORMS[form], message, self._asked.application)
        entry = Entry(source, at, at, own[1] if own else message)
        if self._asked.has(entry):
            yield entry


class Reader:
    """One request, from its first entry to the end."""

    def __init__(self, request: dict[str, object]) -> None:
        self._request = request
        self._looked = 0.0
        since = request["since"]
        if isinstance(request["ago"], (int, float)):
            since = time.time() - request["ago"]
        grep = request["grep"]
        self._asked = Asked(
            application=_zone(str(request["zone"])) or timezone.utc,
            since=float(since) if isinstance(since, (int, float)) else None,
            wanted=re.compile(grep) if isinstance(grep, str) else None,
            problem=lambda source, text: _print({"source": source, "problem": text}),
        )
        self._sources: list[dict[str, object]] = request["sources"]  # type: ignore[assignment]
        self._logs: dict[str, Log] = {}
        self._journal = Journal(self._units(), self._asked)

    def _units(self) -> dict[str, tuple[str, str, bool]]:
        return {
            str(unit): (str(source["name"]), str(source["messages"]), bool(source["quiet"]))
            for source in self._sources
            for unit in source["units"]  # type: ignore[attr-defined]
        }

    def run(self) -> None:
        """Prints what is there, then, where that was asked for, what comes."""
        self._find(first=True)
        last = int(self._request["last"])  # type: ignore[call-overload]
        streams = [log.before(self._gone) for log in self._logs.values()]
        merged = heapq.merge(*streams, self._journal.before(last), key=lambda entry: entry.order)
        for entry in merged if self._asked.since is not None else deque(merged, last):
            _print_entry(entry)
        sys.stdout.flush()
        if self._request["follow"]:
            self._journal.follow()
            self._follow()

    def _find(self, *, first: bool = False) -> None:
        """The logs that are there, and those that should be."""
        for source in self._sources:
            for pattern, form in source["files"]:  # type: ignore[attr-defined]
                there = Path(pattern)
                paths = sorted(str(path) for path in there.parent.glob(there.name))
                for path in paths or ([pattern] if first else []):
                    if path not in self._logs:
                        self._logs[path] = Log(str(source["name"]), path, FORMS[form], self._asked)

    def _follow(self) -> None:
        while True:
            select.select([0, *self._journal.waits_at], [], [], PERIOD)
            if self._gone():
                return
            now = time.time()
            if now - self._looked > FOLDERS_PERIOD:
                self._looked = now
                self._find()
            found = [entry for log in self._logs.values() for entry in log.new(now)]
            found += self._journal.new()
            for entry in sorted(found, key=lambda entry: entry.order):
                _print_entry(entry)
            sys.stdout.flush()

    @staticmethod
    def _gone() -> bool:
        """Whether nobody listens any more."""
        return bool(select.select([0], [], [], 0)[0]) and not os.read(0, 4096)


def _print_entry(entry: Entry) -> None:
    _print({"source": entry.source, "at": entry.at, "text": entry.text})


def _print(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")


def _request() -> dict[str, object]:
    """The first line of standard input, unbuffered: what comes after it is none of ours."""
    line = b""
    while not line.endswith(b"\n"):
        block = os.read(0, BLOCK)
        if not block:
            raise SystemExit("itqan: the request was cut short")
        line += block
    request: dict[str, object] = json.loads(line)
    return request


def main() -> None:
    """Answers one request."""
    try:
        Reader(_request()).run()
        sys.stdout.flush()
    except BrokenPipeError:
        pass
    # not waiting for threads and buffers: whoever listened may be gone
    os._exit(0)


if __name__ == "__main__":
    main()

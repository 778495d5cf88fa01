"""`./itqan logs`: each log's lines as entries, near a time, through rotation, and harmless on a terminal."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from components.logs import Question, Source, command, request, sources, told
from components.observation import Endpoint
from components.platform import load_platform
from components.render import FILES
from files.logs.reader import ENTRY, FORMS, LINE, Asked, Entries, Lines, Log, moment
from operations import cli, host_cli, logs
from operations.errors import OperationError
from operations.harmless import harmless
from settings import Settings

READER = FILES / "logs" / "reader.py"
RIYADH = ZoneInfo("Asia/Riyadh")
NOON = datetime(2026, 11, 29, 12, 0, 0, tzinfo=timezone.utc).timestamp()

# Lines as the programs write them: the form, the line, when that is (the host is in UTC), what is left of it.
REAL = [
    (
        "laravel",
        "[2026-11-29 15:00:00] production.ERROR: SQLSTATE[HY000] [2002] Connection refused",
        NOON,
        "production.ERROR: SQLSTATE[HY000] [2002] Connection refused",
    ),
    ("laravel", "[2026-11-29T12:00:00.250000+00:00] production.INFO: x", NOON + 0.25, "production.INFO: x"),
    (
        "worker",
        "  2026-11-29 15:00:00 App\\Jobs\\RecordVisit ............ 12.34ms DONE",
        NOON,
        "App\\Jobs\\RecordVisit ............ 12.34ms DONE",
    ),
    (
        "worker",
        "[2026-11-29 15:00:00][a1b2] Processing: App\\Jobs\\X",
        NOON,
        "[a1b2] Processing: App\\Jobs\\X",
    ),
    (
        "nginx-access",
        '192.0.2.7 - - [29/Nov/2026:12:00:00 +0000] "GET / HTTP/2.0" 200 1366 "-" "curl/8.1"',
        NOON,
        '192.0.2.7 - - [29/Nov/2026:12:00:00 +0000] "GET / HTTP/2.0" 200 1366 "-" "curl/8.1"',
    ),
    (
        "nginx-access",
        '2001:db8::1 - a b [29/Nov/2026:15:00:00 +0300] "GET / HTTP/1.1" 502 157 "-" "-"',
        NOON,
        '2001:db8::1 - a b [29/Nov/2026:15:00:00 +0300] "GET / HTTP/1.1" 502 157 "-" "-"',
    ),
    (
        "nginx-error",
        "2026/11/29 12:00:00 [crit] 812#812: *3 connect() to unix:/run/php/php8.4-fpm.sock failed",
        NOON,
        "[crit] 812#812: *3 connect() to unix:/run/php/php8.4-fpm.sock failed",
    ),
    (
        "php",
        "[29-Nov-2026 12:00:00] WARNING: [pool www] server reached pm.max_children",
        NOON,
        "WARNING: [pool www] server reached pm.max_children",
    ),
    ("php", "[29-Nov-2026 12:00:00.500000] DEBUG: pid 7", NOON + 0.5, "DEBUG: pid 7"),
    ("php", "[29-Nov-2026 15:00:00 Asia/Riyadh] PHP Fatal error:  x", NOON, "PHP Fatal error:  x"),
    # MySQL 8.0 of Ubuntu, MariaDB of Debian
    (
        "mysql",
        "2026-11-29T12:00:00.123456Z 0 [System] [MY-010931] [Server] ready for connections.",
        NOON + 0.123456,
        "0 [System] [MY-010931] [Server] ready for connections.",
    ),
    ("mysql", "2026-11-29 12:00:00 6 [Warning] Access denied", NOON, "6 [Warning] Access denied"),
    ("mysql", "2026-11-29  9:00:00 0 [Note] Starting", NOON - 3 * 3600, "0 [Note] Starting"),
    (
        "redis",
        "43:M 29 Nov 2026 12:00:00.250 * Ready to accept connections",
        NOON + 0.25,
        "43:M * Ready to accept connections",
    ),
    (
        "supervisor",
        "2026-11-29 12:00:00,250 INFO spawned: 'reverb' with pid 41",
        NOON + 0.25,
        "INFO spawned: 'reverb' with pid 41",
    ),
    (
        "release",
        '{"when": "2026-11-29T12:00:00Z", "result": "released"}',
        NOON,
        '{"when": "2026-11-29T12:00:00Z", "result": "released"}',
    ),
]


@pytest.fixture(autouse=True)
def _host_in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("form", "line", "at", "text"), REAL)
def test_an_entry_begins_with_its_time(form: str, line: str, at: float, text: str) -> None:
    found = moment(FORMS[form], line, RIYADH)
    assert found
    assert found[0] == pytest.approx(at)
    assert found[1] == text


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("laravel", "[stacktrace]"),
        ("laravel", "#0 /var/www/itqan-platform/vendor/x.php(12): y()"),
        ("laravel", "[2026-13-45 99:00:00] production.ERROR: no such time"),
        ("worker", "   INFO  Processing jobs from the [default] queue."),
        ("nginx-access", "\x16\x03\x01"),
        ("redis", "                _.-``__ ''-._"),
        ("plain", "  INFO  Starting server on 0.0.0.0:8080."),
    ],
)
def test_other_lines_begin_none(form: str, line: str) -> None:
    assert moment(FORMS[form], line, RIYADH) is None


def entries(form: str, text: str) -> list[str]:
    made = Entries("x", FORMS[form], RIYADH, 0.0)
    found = [entry for line in text.splitlines() for entry in made.of(line)]
    return [entry.text for entry in [*found, *made.left()]]


def test_a_stack_trace_stays_with_its_entry() -> None:
    text = (
        "[2026-11-29 15:00:00] production.ERROR: boom\n[stacktrace]\n#0 a\n\n#1 b\n"
        "[2026-11-29 15:00:01] production.ERROR: next\n"
    )
    assert entries("laravel", text) == [
        "production.ERROR: boom\n[stacktrace]\n#0 a\n\n#1 b",
        "production.ERROR: next",
    ]


def test_what_has_no_times_is_an_entry_for_each_line() -> None:
    assert entries("plain", "\n  INFO  Starting.\n\nReceived\n") == ["  INFO  Starting.", "Received"]


def test_an_entry_without_an_end_has_one() -> None:
    lines = "".join(f"#{number} {'x' * 100}\n" for number in range(2 * ENTRY // 100))
    [found] = entries("laravel", f"[2026-11-29 15:00:00] production.ERROR: boom\n{lines}")
    assert len(found) < ENTRY + LINE


def test_a_line_without_an_end_is_cut_whatever_blocks_it_comes_in() -> None:
    whole = b"y" * (LINE + 500) + b"\nnext\n"
    for size in (1, 4096, len(whole)):
        made = Lines()
        found = [line for at in range(0, len(whole), size) for line in made.of(whole[at : at + size])]
        assert found == [f"{'y' * LINE} … and 500 bytes more", "next"]


def test_bytes_that_are_no_text_are_spelled_out() -> None:
    assert list(Lines().of(b"\xff\x00caf\xc3\xa9\n")) == ["\\xff\x00café"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("a\rb\x08c\x00", "a\\rb\\x08c\\x00"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("مرحبا\u200cبك", "مرحبا\u200cبك"),
        ("a\tb", "a    b"),
    ],
)
def test_a_terminal_obeys_nothing_of_it(text: str, shown: str) -> None:
    assert harmless(text) == shown


# -- the reader itself, as a host runs it


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "logs"
    made.mkdir()
    return made


def asked(folder: Path, form: str = "laravel", name: str = "laravel*.log", **changes: Any) -> str:
    source = {
        "name": "app",
        "files": [[str(folder / name), form]],
        "units": [],
        "messages": "plain",
        "quiet": True,
    }
    request = {
        "zone": "UTC",
        "ago": None,
        "since": None,
        "last": 50,
        "grep": None,
        "follow": False,
        "sources": [source],
        **changes,
    }
    return json.dumps(request) + "\n"


def start(request: str) -> subprocess.Popen[str]:
    program = [sys.executable, "-I", "-c", READER.read_text()]
    made = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert made.stdin
    made.stdin.write(request)
    made.stdin.flush()
    return made


def read(request: str) -> list[dict[str, Any]]:
    process = start(request)
    assert process.stdout
    found = [json.loads(line) for line in process.stdout]
    assert process.wait(10) == 0
    return found


def texts(request: str) -> list[str]:
    return [answer.get("text") or f"problem {answer['problem']}" for answer in read(request)]


def line(second: float, text: str) -> str:
    return f"[{datetime.fromtimestamp(second, timezone.utc):%Y-%m-%d %H:%M:%S}] x.INFO: {text}\n"


def test_entries_of_several_logs_are_merged_by_time(folder: Path) -> None:
    (folder / "laravel-1.log").write_text(line(NOON, "one") + "more of one\n" + line(NOON + 2, "three"))
    (folder / "laravel-2.log").write_text(line(NOON + 1, "two") + line(NOON + 3, "four"))
    assert texts(asked(folder)) == [
        "x.INFO: one\nmore of one",
        "x.INFO: two",
        "x.INFO: three",
        "x.INFO: four",
    ]


def test_the_last_entries_reach_into_the_log_before(folder: Path) -> None:
    (folder / "laravel.log-20261128-1").write_text("".join(line(NOON + n, str(n)) for n in range(100)))
    (folder / "laravel.log").write_text(line(NOON + 200, "new"))
    found = texts(asked(folder, last=3))
    assert found == ["x.INFO: 98", "x.INFO: 99", "x.INFO: new"]


def test_since_reads_what_was_rotated_and_packed(folder: Path) -> None:
    for number, ending in enumerate(("-20261126-1.gz", "-20261127-2.gz", "-20261128-3", ".1", "")):
        path = folder / f"laravel.log{ending}"
        at = NOON + 1000 * number
        content = (line(at, f"{number}a") + line(at + 500, f"{number}b")).encode()
        path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
        os.utime(path, (at + 500, at + 500))
    found = texts(asked(folder, since=NOON + 1200))
    assert found == [f"x.INFO: {word}" for word in ("1b", "2a", "2b", "3a", "3b", "4a", "4b")]


def test_since_does_not_read_a_great_log_from_its_beginning(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "laravel.log"
    path.write_text("".join(line(NOON + number, f"{number:060}") for number in range(50000)))
    taken: list[int] = []

    def pread(file: int, size: int, at: int, original: Callable[..., bytes] = os.pread) -> bytes:
        block = original(file, size, at)
        taken.append(len(block))
        return block

    monkeypatch.setattr(os, "pread", pread)
    wanted = Asked(timezone.utc, NOON + 49995, None, lambda *_: None)
    found = list(Log("app", str(path), FORMS["laravel"], wanted).before(lambda: False))
    assert [int(entry.text.split()[1]) for entry in found] == list(range(49995, 50000))
    assert sum(taken) < path.stat().st_size / 10


def test_what_stands_before_the_first_time_is_not_of_the_last_minutes(folder: Path) -> None:
    (folder / "laravel.log").write_text(
        "#7 the rest of a trace\n" + line(NOON, "old") + line(NOON + 9, "new")
    )
    assert texts(asked(folder, since=NOON + 5)) == ["x.INFO: new"]


def test_grep_keeps_whole_entries(folder: Path) -> None:
    (folder / "laravel.log").write_text(line(NOON, "boom") + "#0 Mailer->send()\n" + line(NOON + 1, "fine"))
    assert texts(asked(folder, grep="Mail(er|box)->")) == ["x.INFO: boom\n#0 Mailer->send()"]


def test_what_is_missing_or_no_log_is_named_and_the_others_are_read(folder: Path) -> None:
    (folder / "laravel-1.log").symlink_to("/etc/passwd")
    os.mkfifo(folder / "laravel-2.log")
    (folder / "laravel-3.log").write_text(line(NOON, "there"))
    (folder / "laravel-3.log-20261128-1.gz").write_bytes(b"\x1f\x8b no archive")
    found = texts(asked(folder, since=NOON - 10))
    assert found[-1] == "x.INFO: there"
    assert len(found) == 4
    assert any("laravel-1.log: Too many levels of symbolic links" in text for text in found)
    assert any("laravel-2.log is no regular file" in text for text in found)
    assert any("laravel-3.log-20261128-1.gz is damaged" in text for text in found)
    assert texts(asked(folder, name="worker.log")) == [f"problem {folder}/worker.log is not there"]


class Follower:
    """A reader that goes on, and what it has said so far."""

    def __init__(self, request: str) -> None:
        self.process = start(request)

    def next(self) -> str:
        assert self.process.stdout
        return str(json.loads(self.process.stdout.readline())["text"])


@pytest.fixture
def follow(folder: Path) -> Iterator[Callable[[], Follower]]:
    """A function: a reader that follows, once it has read the line that is there."""
    started: list[Follower] = []

    def begin() -> Follower:
        (folder / "laravel.log").write_text(line(NOON, "first"))
        started.append(Follower(asked(folder, follow=True)))
        assert started[-1].next() == "x.INFO: first"
        return started[-1]

    yield begin
    for follower in started:
        follower.process.kill()
        follower.process.wait()


def test_following_goes_through_a_rotation_and_a_truncation(
    folder: Path, follow: Callable[[], Follower]
) -> None:
    path, follower = folder / "laravel.log", follow()
    writer = path.open("a")
    path.rename(folder / "laravel.log-20261129-1")
    path.write_text(line(NOON + 2, "in the new one"))
    writer.write(line(NOON + 1, "late, in the old one"))
    writer.close()
    found = {follower.next(), follower.next()}
    assert "x.INFO: in the new one" in found
    path.write_text(line(NOON + 3, "x"))  # shorter: emptied and begun anew
    assert follower.next() == "x.INFO: x"
    (folder / "laravel-2026-11-30.log").write_text(line(NOON + 4, "a new day"))
    assert follower.next() == "x.INFO: a new day"


def test_an_entry_that_is_still_written_is_waited_for(folder: Path, follow: Callable[[], Follower]) -> None:
    follower = follow()
    with (folder / "laravel.log").open("a") as file:
        file.write(line(NOON + 1, "boom").rstrip("\n"))
        file.flush()
        file.write("\n#0 a\n")
        file.flush()
        file.write(line(NOON + 2, "next"))
    assert follower.next() == "x.INFO: boom\n#0 a"
    assert follower.next() == "x.INFO: next"


def test_it_ends_with_whoever_asked(follow: Callable[[], Follower]) -> None:
    process = follow().process
    assert process.stdin
    process.stdin.close()
    assert process.wait(10) == 0


# -- what is asked, and what is shown


def test_every_log_of_the_document_is_a_source(prod: Settings) -> None:
    """Section "Monitoring & Logs"."""
    found = sources(prod, load_platform("ubuntu-22.04"))
    paths = {path for source in found.values() for path, _ in source.files}
    root = "/var/www/itqan-platform/storage/logs"
    assert {
        f"{root}/laravel*.log",
        f"{root}/worker.log",
        f"{root}/reverb.log",
        "/var/log/nginx/access.log",
        "/var/log/nginx/error.log",
        "/var/log/mysql/error.log",
    } <= paths
    assert tuple(found) == host_cli.SOURCES
    assert all(form in FORMS for source in found.values() for _, form in source.files)


def test_a_program_of_supervisors_is_a_source(stack: Callable[..., Settings]) -> None:
    settings = stack("prod", scheduler="supervisor")
    [found] = logs.chosen_sources(settings, ["scheduler"])
    assert found.files == (("/var/www/itqan-platform/storage/logs/scheduler.log", "worker"),)
    with pytest.raises(OperationError, match=r"^nginy: prod has the logs app, worker, reverb, sched"):
        logs.chosen_sources(settings, ["app", "nginy"])


def test_the_request_is_one_line_and_the_command_shows_none_of_it(prod: Settings) -> None:
    wanted = logs.chosen_sources(prod, ["mysql", "app"])
    line = request(prod, wanted, Question(600.0, None, 50, "geheim\nx", follow=True))
    assert line.count("\n") == 1
    assert [source["name"] for source in json.loads(line)["sources"]] == ["app", "mysql"]
    assert json.loads(line)["zone"] == "Asia/Riyadh"
    started = command(Endpoint.of(prod))
    assert started.startswith("sudo -n python3 -I -c ")
    assert "geheim" not in started


def test_what_the_host_gets_is_the_reader_and_the_request(prod: Settings, folder: Path) -> None:
    """sudo logs the words of a command, so that they are few."""
    [source] = [replace(one, files=((str(folder / "laravel.log"), "laravel"),)) for one in _app(prod)]
    (folder / "laravel.log").write_text("[2026-11-29 15:00:00] x.INFO: مرحبا\n")
    started = shlex.split(command(Endpoint.of(prod)))[2:]
    assert len(" ".join(started)) < 500
    words = told(prod, [source], Question(None, None, 50, None, follow=False))
    with subprocess.Popen(started, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        process.stdin.write(words)
        process.stdin.flush()  # and open: its end would say that nobody listens
        found = json.loads(process.stdout.readline())
    assert found == {"source": "app", "at": NOON, "text": "x.INFO: مرحبا"}
    cut = subprocess.run(started, input=words[:100], capture_output=True, text=True, check=False)
    assert (cut.returncode, cut.stderr) == (1, "itqan: the program was cut short\n")


def _app(settings: Settings) -> list[Source]:
    return logs.chosen_sources(settings, ["app"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10m", (600.0, None)),
        ("2h", (7200.0, None)),
        ("1w", (604800.0, None)),
        ("2026-11-29", (None, NOON - 12 * 3600)),
        ("2026-11-29 11:00", (None, NOON - 3600)),
        ("2026-11-29T15:00:00+03:00", (None, NOON)),
        ("2026-11-29T12:00:00Z", (None, NOON)),
        ("9:30", (None, NOON - 2.5 * 3600)),
    ],
)
def test_times_that_can_be_typed(text: str, found: tuple[float | None, float | None]) -> None:
    back, at = logs.moment(text, NOON)
    assert (back, at if at is None else at // 60) == (
        found[0],
        found[1] if found[1] is None else found[1] // 60,
    )


@pytest.mark.parametrize("text", ["", "10", "10 m", "yesterday", "25:00", "2026-02-30", "-5m"])
def test_other_times_are_one_clear_error(text: str) -> None:
    with pytest.raises(OperationError, match=r"--since .*: allowed: 10m, 2h"):
        logs.moment(text)


def printed(*answers: dict[str, Any], terminal: bool = False) -> tuple[str, str]:
    out, errors = io.StringIO(), io.StringIO()
    out.isatty = lambda: terminal  # type: ignore[method-assign]
    wanted = [Source(name, ()) for name in ("app", "nginx", "release")]
    printer = logs.Printer(wanted, out, errors)
    for answer in answers:
        printer.answer(json.dumps(answer).encode())
    return out.getvalue(), errors.getvalue()


def test_lines_have_time_and_source() -> None:
    out, errors = printed(
        {"source": "app", "at": NOON, "text": "boom\n#0 \x1b[2J"},
        {"source": "nginx", "at": None, "text": "x" * 5000},
        {"source": "release", "at": NOON, "text": '{"when": "x", "commit": "c", "backup": "", "by": "me"}'},
        {"source": "app", "problem": "a is not there"},
    )
    first, second, third, fourth = out.splitlines()
    assert first == "2026-11-29 12:00:00 app     │ boom"
    assert second == f"{'':19} {'':7} │ #0 \\x1b[2J"
    assert third.startswith("------------------- nginx   │ xxx")
    assert third.endswith("x … and 1000 characters more")
    assert fourth == "2026-11-29 12:00:00 release │ commit c, by me"
    assert errors == "itqan: app: a is not there\n"


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [{"source": name, "at": NOON, "text": "x"} for name in ("app", "nginx")]
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    colours = re.findall("\x1b\\[(\\d+)m.*\x1b\\[0m", printed(*answers, terminal=True)[0])
    assert len(set(colours)) == 2
    assert "\x1b" not in printed(*answers)[0]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in printed(*answers, terminal=True)[0]


@pytest.mark.parametrize(
    "words",
    ["prod app nginx -f --since 1h", "-f prod app nginx --since 1h", "prod -f app --since 1h nginx"],
)
def test_options_may_stand_anywhere(words: str) -> None:
    found = cli.command_line().parse_args(["logs", *words.split()])
    assert (found.stack, found.sources, found.follow, found.since) == ("prod", ["app", "nginx"], True, "1h")

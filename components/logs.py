"""The logs of a server: where each source writes, and in which form (files/logs/reader.py reads them)."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from settings import Program, Settings

from .observation import Endpoint
from .platform import Platform
from .release import LOG
from .render import text
from .supervisor import programs

READER = "logs/reader.py"


@dataclass(frozen=True)
class Source:
    """A source of entries.

    files     patterns of its logs, each with its form
    units     services whose lines in systemd's journal belong to it
    messages  the form of those lines
    quiet     whether only what systemd says of them counts: the services' own words are in the files
    """

    name: str
    files: tuple[tuple[str, str], ...]
    units: tuple[str, ...] = ()
    messages: str = "plain"
    quiet: bool = True


def sources(settings: Settings, platform: Platform) -> dict[str, Source]:
    """Section "Monitoring & Logs" of the document, and what else writes, by name."""
    root, php = settings.application.path, f"php{settings.php.version}-fpm"
    found = [
        Source("app", ((f"{root}/storage/logs/laravel*.log", "laravel"),)),
        *(_of_program(root, program) for program in programs(settings)),
        Source(
            "nginx",
            (("/var/log/nginx/access.log", "nginx-access"), ("/var/log/nginx/error.log", "nginx-error")),
            ("nginx.service",),
        ),
        Source("php", ((f"/var/log/{php}.log", "php"),), (f"{php}.service",)),
        _database(platform.database_service),
        Source("redis", (("/var/log/redis/redis-server.log", "redis"),), ("redis-server.service",)),
        Source(
            "supervisor", (("/var/log/supervisor/supervisord.log", "supervisor"),), ("supervisor.service",)
        ),
        Source("release", ((LOG, "release"),)),
    ]
    return {source.name: source for source in found}


def _of_program(root: str, program: Program) -> Source:
    """Reverb writes no times."""
    form = "plain" if "reverb:start" in program.command else "worker"
    return Source(program.name.removeprefix("itqan-"), ((f"{root}/{program.log}", form),))


def _database(service: str) -> Source:
    """Debian's MariaDB writes to the journal, MySQL to a file."""
    files = (("/var/log/mysql/error.log", "mysql"),) if service == "mysql" else ()
    return Source("mysql", files, (f"{service}.service",), "mysql", quiet=service == "mysql")


@dataclass(frozen=True)
class Question:
    """What is asked of the logs.

    ago, since  how many seconds back, or from which second since 1970; both None: the last entries
    last        how many these are
    grep        a regular expression (Python's) that the text of an entry has to match
    follow      whether what comes later is wanted, too
    """

    ago: float | None
    since: float | None
    last: int
    grep: str | None
    follow: bool


# sudo writes the words of a command to the host's log: the program, which is long, comes on standard input.
START = """
import os
program = b""
while len(program) < {length}:
    block = os.read(0, {length} - len(program))
    if not block:
        raise SystemExit("itqan: the program was cut short")
    program += block
exec(compile(program, "reader", "exec"))
"""


def told(settings: Settings, wanted: Sequence[Source], question: Question) -> str:
    """What the host gets on standard input: the reader, then the line with the request."""
    return text(READER) + request(settings, wanted, question)


def request(settings: Settings, wanted: Sequence[Source], question: Question) -> str:
    """The line that the reader is told."""
    asked = {
        "zone": settings.environment.get("APP_TIMEZONE", "UTC"),
        "ago": question.ago,
        "since": question.since,
        "last": question.last,
        "grep": question.grep,
        "follow": question.follow,
        "sources": [
            {
                "name": source.name,
                "files": source.files,
                "units": source.units,
                "messages": source.messages,
                "quiet": source.quiet,
            }
            for source in wanted
        ],
    }
    return json.dumps(asked) + "\n"


def command(endpoint: Endpoint) -> str:
    """What starts the reader on a host, as root: some logs are nobody else's to read."""
    program = ["python3", "-I", "-c", START.format(length=len(text(READER).encode()))]
    return shlex.join(["sudo", "-n", *program] if endpoint.sudo else program)

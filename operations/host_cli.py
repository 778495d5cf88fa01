"""The commands of daily life with a stack's host: its health, runbooks, logs, sessions."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from .command import AS_EXPECTED, DIFFERENT, FAILED, Parser, add_command, write
from .errors import OperationError
from .stack import STAGING
from .steps import Steps

# Of `logs`, those of every stack (components/logs.py, which is not loaded for each command line).
SOURCES = ("app", "worker", "reverb", "nginx", "php", "mysql", "redis", "supervisor", "release")
# As `components.runbooks.runbooks` has them, which takes long to load.
RUNBOOKS = (
    *("errors-500", "queue", "websocket", "permissions", "nginx", "php", "certificate"),
    *("database", "redis", "disk"),
)
# Seconds between the beginnings of two looks of `health --watch`.
WATCH_PERIOD = 5.0


def health(arguments: argparse.Namespace) -> int:
    """Make every check of a stack at once, changing nothing; exit status 2 if any is not good"""
    from .health import Health, health_of, unmade_line, watch

    def show(found: Health) -> None:
        if arguments.html:
            from .pages import health_page

            write(arguments.html, health_page(found))
        if arguments.form == "table":
            print(found.table(colours=sys.stdout.isatty()))
        else:
            print(found.line() if arguments.form == "line" else found.to_json())

    if arguments.watch is not None:
        watch(arguments.stack, Steps(), show, arguments.watch)
    try:
        found = health_of(arguments.stack, Steps(), show)
    except OperationError as error:
        if arguments.form != "line":
            raise
        print(unmade_line(arguments.stack, error))
        return FAILED
    return DIFFERENT if found.failed else AS_EXPECTED


def fix(arguments: argparse.Namespace) -> int:
    """Work through a runbook, the document's steps until it is cured; exit status 1 if it is not"""
    from .fix import fix as work

    outcome = work(
        arguments.stack,
        arguments.runbook,
        Steps(),
        lambda line: print(line, flush=True),
        dry_run=arguments.dry_run,
        retry=arguments.retry_failed,
    )
    if outcome.cured:
        return AS_EXPECTED
    return DIFFERENT if arguments.dry_run else FAILED


def logs(arguments: argparse.Namespace) -> int:
    """Show what a stack's programs wrote, merged by time; changes nothing"""
    from .logs import show_logs

    show_logs(arguments.stack, arguments.sources, arguments.since, arguments.grep, follow=arguments.follow)
    return AS_EXPECTED


def caught(arguments: argparse.Namespace) -> int:
    """Show the mail and the requests that a copy's application sent out and that went no further"""
    from .caught import caught_by, caught_text

    if arguments.number is not None:
        print(caught_text(arguments.stack, arguments.number, Steps()))
        return AS_EXPECTED
    found = caught_by(arguments.stack, Steps())
    print(found.to_json() if arguments.json else found.table())
    return AS_EXPECTED


def shell(arguments: argparse.Namespace) -> int:
    """Open a login shell of the deploy user in the application's folder, or run one command there"""
    from .session import open_session

    open_session(arguments.stack, "shell", arguments.words)


def artisan(arguments: argparse.Namespace) -> int:
    """Run artisan as the web user, with the arguments as they are"""
    from .session import open_session

    open_session(arguments.stack, "artisan", arguments.words)


def mysql(arguments: argparse.Namespace) -> int:
    """Open the database's client with the application's account"""
    from .session import open_session

    open_session(arguments.stack, "mysql", arguments.words)


def redis(arguments: argparse.Namespace) -> int:
    """Open Redis' client, logged in"""
    from .session import open_session

    open_session(arguments.stack, "redis", arguments.words)


def add_host_commands(commands: Any) -> None:
    """Adds them to what argparse's add_subparsers returned."""
    _health_options(add_command(commands, health, of_stack=True))
    _fix_options(add_command(commands, fix))
    _logs_options(add_command(commands, logs))
    mail = add_command(commands, caught)
    mail.add_argument("stack", nargs="?", default=os.environ.get("PULUMI_STACK") or STAGING, metavar="STACK")
    mail.add_argument("number", nargs="?", type=int, metavar="NUMBER", help="one of them, whole")
    mail.add_argument("--json", action="store_true", help="all of them, as one JSON object")
    _session_words(add_command(commands, shell), "[COMMAND…]")
    _session_words(add_command(commands, artisan), "[ARGUMENT…]")
    _session_words(add_command(commands, mysql), "[ARGUMENT…]")
    _session_words(add_command(commands, redis), "[ARGUMENT…]")


def _health_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stack", nargs="?", default=argparse.SUPPRESS, metavar="STACK", help="as --stack")
    form = parser.add_mutually_exclusive_group()
    text = "as one JSON object"
    form.add_argument("--json", dest="form", action="store_const", const="json", default="table", help=text)
    text = "as one line of text, for a monitoring system"
    form.add_argument("--line", dest="form", action="store_const", const="line", help=text)
    text = "look again every so many seconds, until it is interrupted (default: %(const)s)"
    parser.add_argument("--watch", nargs="?", type=_seconds, const=WATCH_PERIOD, metavar="SECONDS", help=text)
    parser.add_argument("--html", metavar="FILE", type=Path, help="also as a status page, in one file")


def _fix_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stack", metavar="STACK", help="for example prod")
    parser.add_argument("runbook", choices=RUNBOOKS, metavar="RUNBOOK", help=", ".join(RUNBOOKS))
    text = "say what is wrong and what would be done, and touch nothing; exit status 2 if anything is wrong"
    parser.add_argument("--dry-run", action="store_true", help=text)
    text = "with queue: try the jobs again that failed for good"
    parser.add_argument("--retry-failed", action="store_true", help=text)


def _seconds(text: str) -> float:
    """A number of seconds, one or more. Raises argparse.ArgumentTypeError."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed: seconds, 1 to 86400")
    return seconds


def _logs_options(parser: Parser) -> None:
    parser.mixed = True
    parser.add_argument("stack", metavar="STACK", help="for example prod")
    text = f"any of {', '.join(SOURCES)}, and each further program of Supervisor's (default: all)"
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help=text)
    text = "and what is written from now on, until it is interrupted"
    parser.add_argument("-f", "--follow", action="store_true", help=text)
    text = "10m, 2h, 3d, 14:30, 2026-11-29, '2026-11-29 14:30' (default: the last entries)"
    parser.add_argument("--since", metavar="TIME", help=text)
    text = "only entries that match, stack traces and all: a regular expression of Python's"
    parser.add_argument("--grep", metavar="EXPRESSION", help=text)


def _session_words(parser: Parser, words: str) -> None:
    parser.add_argument("stack", metavar="STACK", help="for example prod")
    text = "passed on as they are, options too"
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar=words, help=text)

"""The commands of `./itqan`."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from .branch_cli import add_branch_commands, add_trace_option
from .ci.cli import add_ci_commands
from .errors import OperationError
from .machine import ready_engine
from .questions import QUESTIONS
from .stack import PRODUCTION, STAGING, ready_stack
from .steps import Steps

# Exit statuses that scripts can rely on.
AS_EXPECTED, FAILED, DIFFERENT = 0, 1, 2
INTERRUPTED = 130
# Seconds between the beginnings of two looks of `health --watch`.
WATCH_PERIOD = 5.0

Command = Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are ours: argparse's exit status 2 means `differences found` here."""

    def error(self, message: str) -> NoReturn:
        """Raises OperationError with the message and the line that helps."""
        raise OperationError(f"{message}\nitqan: for help type: ./{self.prog} --help")


def up(arguments: argparse.Namespace) -> int:
    """Bring the stack up; change only what is not as it should be"""
    from .run import run_up
    from .stopped import start_stopped
    from .summary import close_run

    start, steps = time.monotonic(), Steps()
    with close_run(steps, start, arguments.trace) as closing:
        stack = ready_stack(arguments.stack, steps)
        if stack.is_copy:
            start_stopped(stack.name, steps)
        closing(stack, run_up(stack))
    return AS_EXPECTED


def preview(arguments: argparse.Namespace) -> int:
    """Show what `up` would change; exit status 2 if anything"""
    from .run import run_preview

    stack = ready_stack(arguments.stack, Steps())
    record = run_preview(stack, ["--diff"] if arguments.diff else [])
    return DIFFERENT if record.differs else AS_EXPECTED


def audit(arguments: argparse.Namespace) -> int:
    """Compare every unit with the host, without the engine, changing nothing; exit status 2 if any differs"""
    from .audit import audit_stack
    from .observed import audit_with_key

    key = arguments.observer_key
    report = audit_with_key(arguments.stack, key) if key else audit_stack(arguments.stack, Steps())
    if arguments.html:
        from .pages import audit_page

        _write(arguments.html, audit_page(report))
    print(report.to_json() if arguments.json else report.table())
    return DIFFERENT if report.failed else AS_EXPECTED


def health(arguments: argparse.Namespace) -> int:
    """Make every check of a stack at once, changing nothing; exit status 2 if any is not good"""
    from .health import Health, health_of, unmade_line, watch

    def show(found: Health) -> None:
        if arguments.html:
            from .pages import health_page

            _write(arguments.html, health_page(found))
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


def parity(arguments: argparse.Namespace) -> int:
    """Compare two stacks' hosts; exit status 2 for drift, or for a difference that nothing asks for"""
    from .parity import compare_stacks

    if arguments.first == arguments.second:
        raise OperationError(f"parity compares two stacks; both are {arguments.first}")
    comparison = compare_stacks(arguments.first, arguments.second, Steps())
    if arguments.html:
        from .pages import parity_page

        _write(arguments.html, parity_page(comparison))
    print(comparison.to_json() if arguments.json else comparison.table())
    return DIFFERENT if comparison.failed else AS_EXPECTED


def init(arguments: argparse.Namespace) -> int:
    """Point a stack at a real server: host key, connection, secrets; exit status 2 if any is missing"""
    from .init import Request, init_stack, parsed_secrets

    given = {q.option: getattr(arguments, q.key) for q in QUESTIONS if getattr(arguments, q.key) is not None}
    request = Request(
        stack=arguments.stack,
        answers=given,
        fingerprint=arguments.host_key,
        key=arguments.key,
        new_key=arguments.new_key,
        secrets=parsed_secrets(sys.stdin.read()) if arguments.secrets else {},
        extends=arguments.extends,
    )
    missing = init_stack(request, Steps())
    if missing:
        print("\n  ".join([f"itqan {request.stack}: still missing:", *missing]))
        return DIFFERENT
    print(f"itqan {request.stack} has all that it needs; next: ./itqan up --stack {request.stack}")
    return AS_EXPECTED


def adopt(arguments: argparse.Namespace) -> int:
    """Store the secrets of a server that already runs; exit status 2 if any is open"""
    from .adopt import adopt_stack

    adoption = adopt_stack(arguments.stack, Steps(), take=arguments.take, choice=arguments.choice)
    print(adoption.text())
    return DIFFERENT if adoption.is_open else AS_EXPECTED


def rotate(arguments: argparse.Namespace) -> int:
    """Change a secret while everything goes on: old and new are valid until the new one is in use"""
    from .rotate import rotate_secret

    print(rotate_secret(arguments.stack, arguments.secret, Steps()))
    return AS_EXPECTED


def deploy(arguments: argparse.Namespace) -> int:
    """Release a branch, a tag or a commit, and make it what the stack asks for"""
    from .deploy import deploy as release

    print(release(arguments.stack, arguments.ref, arguments.options or [], Steps()))
    return AS_EXPECTED


def rollback(arguments: argparse.Namespace) -> int:
    """Release the last good commit before the one that runs, or the one that is named, again"""
    from .deploy import roll_back

    print(roll_back(arguments.stack, arguments.ref, Steps()))
    return AS_EXPECTED


def releases(arguments: argparse.Namespace) -> int:
    """Show what was released on a stack's host: when, what, from where, by whom, with which result"""
    from .releases import releases_of

    found = releases_of(arguments.stack, Steps())
    print(found.to_json() if arguments.json else found.table())
    return AS_EXPECTED


def backup(arguments: argparse.Namespace) -> int:
    """Make a backup now; list them; test the newest one in a copy; make the key that they are encrypted to"""
    from .backups import list_backups, make_backup, make_key

    if arguments.action == "list":
        found = list_backups(arguments.stack, Steps())
        print(found.to_json() if arguments.json else found.table())
    elif arguments.action == "key":
        if arguments.file is None:
            raise OperationError(
                "name the file that is to have the private key: ./itqan backup key STACK FILE"
            )
        print(make_key(arguments.stack, arguments.file, Steps()))
    elif arguments.action == "verify":
        from .verify import verify

        tested = verify(arguments.stack, arguments.identity, Steps())
        print(tested.line())
        return AS_EXPECTED if tested.passed else DIFFERENT
    else:
        print(make_backup(arguments.stack, Steps()))
    return AS_EXPECTED


def restore(arguments: argparse.Namespace) -> int:
    """Restore a backup into the server that it is of, or into a copy; asks for the database's name"""
    from .restore import restore as restore_backup

    a = arguments
    print(restore_backup(a.stack, a.backup, a.into, a.identity, a.until, Steps()))
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


def down(arguments: argparse.Namespace) -> int:
    """Remove everything that the stack made"""
    from .down import take_down

    _confirm(arguments.stack, arguments.yes)
    take_down(arguments.stack, Steps(), images=arguments.images)
    print(f"itqan {arguments.stack} is down")
    return AS_EXPECTED


def outputs(arguments: argparse.Namespace) -> int:
    """Print what the stack tells of itself: url, address, ssh, …"""
    engine = ready_engine(Steps())
    found = json.loads(engine.call("stack", "output", "--json", "--stack", arguments.stack))
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            print(f"{name:<16} {value if isinstance(value, str) else json.dumps(value)}")
    return AS_EXPECTED


def env(arguments: argparse.Namespace) -> int:
    """Print exports for a shell, for plain `pulumi up`: eval "$(./itqan env)\""""
    engine = ready_engine(Steps())
    print(f'export PATH={shlex.quote(str(engine.path.parent))}:"$PATH"')
    for name, value in {**engine.variables, "PULUMI_STACK": arguments.stack}.items():
        print(f"export {name}={shlex.quote(value)}")
    return AS_EXPECTED


def test(arguments: argparse.Namespace) -> int:
    """Run the tests: all tiers but soak and parity, or those that are named"""
    from .tiers import run_tests

    steps = Steps()
    return run_tests(arguments.words, ready_engine(steps).environment, steps)


def command_line() -> Parser:
    """The parser of all commands."""
    parser = Parser(prog="itqan", description="The Itqan server as units: copies on Docker, and production.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(run: Command, *, of_stack: bool = True) -> argparse.ArgumentParser:
        added = commands.add_parser(run.__name__, help=run.__doc__, description=run.__doc__)
        added.set_defaults(run=run)
        if of_stack:
            default = os.environ.get("PULUMI_STACK") or STAGING
            text = "a new name is a further copy (default: %(default)s)"
            added.add_argument("-s", "--stack", default=default, help=text)
        return added

    add_trace_option(command(up))
    command(preview).add_argument("--diff", action="store_true", help="show each change line by line")
    comparison = command(audit)
    # Suppressed, so that its absence leaves the option's value.
    comparison.add_argument("stack", nargs="?", default=argparse.SUPPRESS, metavar="STACK", help="as --stack")
    text = "compare with what the last `up` left, with the observer's key alone (- for standard input)"
    comparison.add_argument("--observer-key", metavar="FILE", type=Path, help=text)
    _as_page(comparison)
    _health_options(command(health))
    pair = command(parity, of_stack=False)
    pair.add_argument("first", metavar="STACK", help="for example prod")
    pair.add_argument("second", metavar="STACK", help="for example staging")
    _as_page(pair)
    _init_options(command(init, of_stack=False))
    adoption = command(adopt, of_stack=False)
    adoption.add_argument("stack", nargs="?", default=os.environ.get("PULUMI_STACK") or PRODUCTION)
    text = "the host's plain values become the settings', in the stack's own file"
    adoption.add_argument("--take", action="store_true", help=text)
    either = adoption.add_mutually_exclusive_group()
    text = "where a secret is stored with another value than the host's: the host's counts"
    either.add_argument("--replace", dest="choice", action="store_const", const="host", default="", help=text)
    text = "there the stored one counts, and `up` brings it to the host"
    either.add_argument("--keep", dest="choice", action="store_const", const="stored", help=text)
    change = command(rotate, of_stack=False)
    change.add_argument("stack", metavar="STACK", help="for example prod")
    change.add_argument("secret", choices=("db", "app-key", "redis", "ssh"), help="what is changed")
    _deploy_options(command(deploy, of_stack=False))
    back = command(rollback, of_stack=False)
    back.add_argument("stack", metavar="STACK", help="for example prod")
    text = "a commit, or its beginning as `releases` shows it (default: the last good one)"
    back.add_argument("ref", nargs="?", metavar="REF", help=text)
    log = command(releases, of_stack=False)
    log.add_argument("stack", nargs="?", default=os.environ.get("PULUMI_STACK") or STAGING, metavar="STACK")
    log.add_argument("--json", action="store_true", help="all of them, as one JSON object")
    _backup_options(command(backup, of_stack=False))
    _restore_options(command(restore, of_stack=False))
    mail = command(caught, of_stack=False)
    mail.add_argument("stack", nargs="?", default=os.environ.get("PULUMI_STACK") or STAGING, metavar="STACK")
    mail.add_argument("number", nargs="?", type=int, metavar="NUMBER", help="one of them, whole")
    mail.add_argument("--json", action="store_true", help="all of them, as one JSON object")
    removal = command(down)
    removal.add_argument("--images", action="store_true", help="also remove the images of this project")
    removal.add_argument("-y", "--yes", action="store_true", help="do not ask")
    command(outputs).add_argument("--json", action="store_true", help="as one JSON object")
    command(env)
    add_branch_commands(commands)
    add_ci_commands(commands)
    words = command(test, of_stack=False)
    words.add_argument("words", nargs=argparse.REMAINDER, metavar="[TIER…] [PYTEST ARGUMENT…]")
    return parser


def _as_page(comparison: argparse.ArgumentParser) -> None:
    """The forms of a report beside the table."""
    comparison.add_argument("--json", action="store_true", help="as one JSON object")
    comparison.add_argument("--html", metavar="FILE", type=Path, help="also as a page, in one file")


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


def _seconds(text: str) -> float:
    """A number of seconds, one or more. Raises argparse.ArgumentTypeError."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed: seconds, 1 to 86400")
    return seconds


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OperationError(f"--html {path}: cannot be written: {error.strerror}") from None


def _init_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stack", nargs="?", default=os.environ.get("PULUMI_STACK") or PRODUCTION)
    for question in QUESTIONS:
        parser.add_argument(f"--{question.option}", dest=question.key, metavar="VALUE", help=question.text)
    text = "the host key that has to be there; without a terminal it must be given"
    parser.add_argument("--host-key", metavar="SHA256:…", help=text)
    login = parser.add_mutually_exclusive_group()
    login.add_argument("--key", type=Path, metavar="FILE", help="the private SSH key that logs in")
    login.add_argument("--new-key", action="store_true", help="make that key, and say where to put it")
    text = "read further secrets from standard input: a JSON object of strings by name"
    parser.add_argument("--secrets", action="store_true", help=text)
    text = "the stack that a new one is laid over (default: %(default)s)"
    parser.add_argument("--extends", default=PRODUCTION, metavar="STACK", help=text)


def _deploy_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stack", metavar="STACK", help="for example prod")
    text = "a branch, a tag or a commit (default: the one that is configured)"
    parser.add_argument("ref", nargs="?", metavar="REF", help=text)
    # the words as itqan-release on the host takes them
    kind = parser.add_mutually_exclusive_group()
    texts = {
        "--quick": "without maintenance mode, Composer, npm and migrations, if nothing asks for them",
        "--full": "all nine steps of the document",
    }
    for word, meaning in texts.items():
        kind.add_argument(word, dest="options", action="append_const", const=word, help=meaning)
    text = "the assets that are there are right: npm is left out"
    parser.add_argument("--skip-npm", dest="options", action="append_const", const="--skip-npm", help=text)
    text = "DANGER: drops all tables; only for copies, asks for the database's name"
    parser.add_argument("--fresh", dest="options", action="append_const", const="--fresh", help=text)


def _backup_options(parser: argparse.ArgumentParser) -> None:
    text = "without one a backup is made"
    parser.add_argument("action", nargs="?", choices=("list", "verify", "key"), help=text)
    parser.add_argument("stack", metavar="STACK", help="for example prod")
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="key: takes the private key")
    parser.add_argument("--json", action="store_true", help="list: with all manifests, as one JSON object")
    _identity_option(parser)


def _restore_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stack", metavar="STACK", help="the stack that the backup is of, for example prod")
    text = (
        "its name, as `backup list` shows it (default: a restore that stopped is continued, else the newest)"
    )
    parser.add_argument("backup", nargs="?", metavar="BACKUP", help=text)
    parser.add_argument("--into", metavar="COPY", help="restore into this copy, and leave the stack alone")
    text = "with the database's binary log up to this time, such as 2026-11-29T12:30:00Z"
    parser.add_argument("--until", default="", metavar="TIME", help=text)
    _identity_option(parser)


def _identity_option(parser: argparse.ArgumentParser) -> None:
    text = "the private key of age, which stays on this machine (- for standard input; else it is asked for)"
    parser.add_argument("--identity", metavar="FILE", type=Path, help=text)


def _confirm(stack: str, yes: bool) -> None:
    """Asks before something is removed; for production, by its name."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise OperationError(f"this removes stack {stack}; to say so without a terminal: ./itqan down --yes")
    word = stack if stack == PRODUCTION else "yes"
    if input(f"Remove everything that stack {stack} made? Type {word}: ") != word:
        raise OperationError("nothing was removed")


def main() -> int:
    """Runs the command line. Returns its exit status; a user's mistake is one message, not a traceback."""
    try:
        arguments = command_line().parse_args()
        status: int = arguments.run(arguments)
        return status
    except OperationError as error:
        print(f"itqan: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("itqan: interrupted", file=sys.stderr)
        return INTERRUPTED

"""The commands of `./itqan`."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from pathlib import Path

from .backup_cli import add_backup_commands
from .branch_cli import add_branch_commands, add_trace_option
from .ci.cli import add_ci_commands
from .command import AS_EXPECTED, DIFFERENT, FAILED, INTERRUPTED, Parser, add_command
from .errors import OperationError
from .examples import illustrate
from .host_cli import SOURCES, add_host_commands
from .look_cli import add_look_commands
from .machine import ready_engine
from .questions import QUESTIONS
from .release_cli import add_release_commands
from .stack import PRODUCTION, ready_stack
from .steps import Steps


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


def completion(arguments: argparse.Namespace) -> int:
    """Print what makes bash or zsh complete commands, options, stacks and the sources of logs"""
    from .completion import completion as script

    print(script(command_line(), arguments.shell, SOURCES))
    return AS_EXPECTED


def reference(_: argparse.Namespace) -> int:
    """Print the reference of all commands as Markdown"""
    from .reference import reference as made

    os.environ.pop("PULUMI_STACK", None)  # defaults are those of everybody
    print(made(command_line()))
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

    add_trace_option(add_command(commands, up, of_stack=True))
    add_command(commands, preview, of_stack=True).add_argument(
        "--diff", action="store_true", help="show each change line by line"
    )
    add_look_commands(commands)
    add_host_commands(commands)
    _init_options(add_command(commands, init))
    adoption = add_command(commands, adopt)
    adoption.add_argument("stack", nargs="?", default=os.environ.get("PULUMI_STACK") or PRODUCTION)
    text = "the host's plain values become the settings', in the stack's own file"
    adoption.add_argument("--take", action="store_true", help=text)
    either = adoption.add_mutually_exclusive_group()
    text = "where a secret is stored with another value than the host's: the host's counts"
    either.add_argument("--replace", dest="choice", action="store_const", const="host", default="", help=text)
    text = "there the stored one counts, and `up` brings it to the host"
    either.add_argument("--keep", dest="choice", action="store_const", const="stored", help=text)
    change = add_command(commands, rotate)
    change.add_argument("stack", metavar="STACK", help="for example prod")
    change.add_argument("secret", choices=("db", "app-key", "redis", "ssh"), help="what is changed")
    add_release_commands(commands)
    add_backup_commands(commands)
    removal = add_command(commands, down, of_stack=True)
    removal.add_argument("--images", action="store_true", help="also remove the images of this project")
    removal.add_argument("-y", "--yes", action="store_true", help="do not ask")
    add_command(commands, outputs, of_stack=True).add_argument(
        "--json", action="store_true", help="as one JSON object"
    )
    add_command(commands, env, of_stack=True)
    add_branch_commands(commands)
    add_ci_commands(commands)
    add_command(commands, completion).add_argument("shell", choices=("bash", "zsh"))
    add_command(commands, reference)
    words = add_command(commands, test)
    words.add_argument("words", nargs=argparse.REMAINDER, metavar="[TIER…] [PYTEST ARGUMENT…]")
    illustrate(parser)
    return parser


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

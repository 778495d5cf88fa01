"""The commands of `./itqan branch`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from .errors import OperationError
from .machine import ready_engine
from .steps import Steps


def up(arguments: argparse.Namespace) -> int:
    """Bring the copy of a branch up, at its newest commit"""
    from .branch import bring_up
    from .summary import close_run

    start, steps = time.monotonic(), Steps()
    with close_run(steps, start, arguments.trace) as closing:
        closing(*bring_up(arguments.branch, steps, arguments.data, arguments.identity))
    return 0


def down(arguments: argparse.Namespace) -> int:
    """Remove the copy of a branch, whether the branch is still there or not"""
    from .branch import take_branch_down

    take_branch_down(arguments.branch, Steps())
    print(f"itqan: the copy of {arguments.branch} is down")
    return 0


def list(arguments: argparse.Namespace) -> int:
    """Show the copies of branches: commit, time since the last up, health, address, memory"""
    from .copies import found_copies, rows, table, to_json

    steps = Steps()
    engine = ready_engine(steps)
    listed = rows(found_copies(engine), engine, steps)
    print(to_json(listed) if arguments.json else table(listed))
    return 0


def open(arguments: argparse.Namespace) -> int:
    """Print where the copy of a branch is, and how its certificate is trusted"""
    from .branch import places

    print(places(arguments.branch, Steps()))
    return 0


def sweep(arguments: argparse.Namespace) -> int:
    """Remove copies whose branch is gone or that are too old (itqan:staging.ttl) and what broken runs left"""
    from .sweep import carry_out, look

    steps = Steps()
    found = look(steps)
    for line in found.left:
        print(f"left alone: {line}", file=sys.stderr)
    if arguments.dry_run:
        for removal in found.removals:
            print(f"would remove {removal.what}: {removal.why}")
    elif failed := carry_out(found, steps):
        raise OperationError("\n  ".join(["not everything could be removed:", *failed]))
    if not found.removals:
        print("itqan: nothing to sweep")
    return 0


def add_branch_commands(commands: argparse._SubParsersAction[Any]) -> None:
    """Adds `branch` and its own commands to the command line's."""
    about = "A copy per branch: up, down, list, open, sweep"
    branch = commands.add_parser("branch", help=about, description=about)
    words = branch.add_subparsers(metavar="COMMAND", required=True)
    for run in (up, down, list, open, sweep):
        parser = words.add_parser(run.__name__, help=run.__doc__, description=run.__doc__)
        parser.set_defaults(run=run)
        if run in (up, down, open):
            parser.add_argument("branch", metavar="BRANCH", help="a branch of itqan:release.repository")
        if run is up:
            add_trace_option(parser)
            _data_options(parser)
        if run is list:
            parser.add_argument("--json", action="store_true", help="as a JSON list")
        if run is sweep:
            parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")


def add_trace_option(parser: argparse.ArgumentParser) -> None:
    """The option of every command that brings something up."""
    text = "write the run's timings, unit by unit, for ui.perfetto.dev or chrome://tracing"
    parser.add_argument("--trace", metavar="FILE", type=Path, help=text)


def _data_options(parser: argparse.ArgumentParser) -> None:
    text = "the newest backup of that stack takes the place of the copy's data, anonymous (docs/data.md)"
    parser.add_argument("--data", metavar="STACK", help=text)
    text = "the private key that opens the backup (-: standard input; without it, it is asked for)"
    parser.add_argument("--identity", metavar="FILE", type=Path, help=text)

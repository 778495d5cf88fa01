"""The commands that compare a stack with its host, or with another, and change nothing."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .command import AS_EXPECTED, DIFFERENT, add_command, as_page, write, write_or_print
from .errors import OperationError
from .steps import Steps


def audit(arguments: argparse.Namespace) -> int:
    """Compare every unit with the host, without the engine, changing nothing; exit status 2 if any differs"""
    from .audit import audit_stack
    from .observed import audit_with_key

    key = arguments.observer_key
    report = audit_with_key(arguments.stack, key) if key else audit_stack(arguments.stack, Steps())
    if arguments.html:
        from .pages import audit_page

        write(arguments.html, audit_page(report))
    print(report.to_json() if arguments.json else report.table())
    return DIFFERENT if report.failed else AS_EXPECTED


def parity(arguments: argparse.Namespace) -> int:
    """Compare two stacks' hosts; exit status 2 for drift, or for a difference that nothing asks for"""
    from .parity import compare_stacks

    if arguments.first == arguments.second:
        raise OperationError(f"parity compares two stacks; both are {arguments.first}")
    comparison = compare_stacks(arguments.first, arguments.second, Steps())
    if arguments.html:
        from .pages import parity_page

        write(arguments.html, parity_page(comparison))
    print(comparison.to_json() if arguments.json else comparison.table())
    return DIFFERENT if comparison.failed else AS_EXPECTED


def graph(arguments: argparse.Namespace) -> int:
    """Draw a stack's units by their parts, in their order, with their state; exit status 2 if any differs"""
    from .audit import audit_stack
    from .graph import graph as drawn

    found = audit_stack(arguments.stack, Steps())
    write_or_print(arguments.svg, drawn(found), "--svg")
    return DIFFERENT if found.failed else AS_EXPECTED


def report(arguments: argparse.Namespace) -> int:
    """Put all that is known of a stack on one page; exit status 2 if anything is not good"""
    from .overview import whole_of
    from .pages import report_page

    found = whole_of(arguments.stack, arguments.beside, Steps())
    write_or_print(arguments.html, report_page(found), "--html")
    return DIFFERENT if found.failed else AS_EXPECTED


def add_look_commands(commands: Any) -> None:
    """Adds them to what argparse's add_subparsers returned."""
    comparison = add_command(commands, audit, of_stack=True)
    # Suppressed, so that its absence leaves the option's value.
    comparison.add_argument("stack", nargs="?", default=argparse.SUPPRESS, metavar="STACK", help="as --stack")
    text = "compare with what the last `up` left, with the observer's key alone (- for standard input)"
    comparison.add_argument("--observer-key", metavar="FILE", type=Path, help=text)
    as_page(comparison)
    pair = add_command(commands, parity)
    pair.add_argument("first", metavar="STACK", help="for example prod")
    pair.add_argument("second", metavar="STACK", help="for example staging")
    as_page(pair)
    picture = add_command(commands, graph)
    picture.add_argument("stack", metavar="STACK", help="for example prod")
    picture.add_argument("--svg", metavar="FILE", type=Path, help="where to (default: standard output)")
    whole = add_command(commands, report)
    whole.add_argument("stack", metavar="STACK", help="for example prod")
    text = "what it is compared with (default: prod, or for that staging, if it can be)"
    whole.add_argument("--beside", metavar="STACK", help=text)
    whole.add_argument("--html", metavar="FILE", type=Path, help="where to (default: standard output)")

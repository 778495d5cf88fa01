"""What the commands of `./itqan` share: the parser, exit statuses, a command of its own."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from .errors import OperationError
from .stack import STAGING

# Exit statuses that scripts can rely on.
AS_EXPECTED, FAILED, DIFFERENT = 0, 1, 2
INTERRUPTED = 130

Command = Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are ours: argparse's exit status 2 means `differences found` here.

    With `mixed`, options may stand between the words of a list: argparse ends a list at the first option.
    """

    mixed = False

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """As argparse has it, which comes back here for each half of what is mixed."""
        if not self.mixed:
            return super().parse_known_args(args, namespace)
        self.mixed = False
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self.mixed = True

    def error(self, message: str) -> NoReturn:
        """Raises OperationError with the message and the line that helps."""
        raise OperationError(f"{message}\nitqan: for help type: ./{self.prog} --help")


def add_command(commands: Any, run: Command, *, of_stack: bool = False) -> Parser:
    """A command named as its function, with that one's docstring as its help.

    Arguments: `commands`, what argparse's add_subparsers returned; `of_stack`, whether it takes --stack.
    """
    added: Parser = commands.add_parser(run.__name__, help=run.__doc__, description=run.__doc__)
    added.set_defaults(run=run)
    if of_stack:
        default = os.environ.get("PULUMI_STACK") or STAGING
        text = "a new name is a further copy (default: %(default)s)"
        added.add_argument("-s", "--stack", default=default, help=text)
    return added


def as_page(comparison: argparse.ArgumentParser) -> None:
    """The forms of a report beside the table."""
    comparison.add_argument("--json", action="store_true", help="as one JSON object")
    comparison.add_argument("--html", metavar="FILE", type=Path, help="also as a page, in one file")


def write(path: Path, text: str, option: str = "--html") -> None:
    """Writes a file that an option names. Raises OperationError."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OperationError(f"{option} {path}: cannot be written: {error.strerror}") from None


def write_or_print(path: Path | None, text: str, option: str) -> None:
    """Writes a file that an option names, or to standard output without one. Raises OperationError."""
    if path:
        write(path, text, option)
    else:
        print(text)

"""The commands for backups."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .command import AS_EXPECTED, DIFFERENT, add_command
from .errors import OperationError
from .steps import Steps


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


def add_backup_commands(commands: Any) -> None:
    """Adds them to what argparse's add_subparsers returned."""
    _backup_options(add_command(commands, backup))
    _restore_options(add_command(commands, restore))


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

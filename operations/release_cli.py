"""The commands for releases."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from .command import AS_EXPECTED, DIFFERENT, add_command
from .stack import STAGING
from .steps import Steps


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


def deployment(arguments: argparse.Namespace) -> int:
    """Write deploy.sh and Supervisor's templates into an application's repository, for deployments by hand"""
    from .deployment import write_deployment

    differing = write_deployment(arguments.stack, arguments.folder, Steps(), check=arguments.check)
    if arguments.check and differing:
        return DIFFERENT
    return AS_EXPECTED


def add_release_commands(commands: Any) -> None:
    """Adds them to what argparse's add_subparsers returned."""
    _deploy_options(add_command(commands, deploy))
    back = add_command(commands, rollback)
    back.add_argument("stack", metavar="STACK", help="for example prod")
    text = "a commit, or its beginning as `releases` shows it (default: the last good one)"
    back.add_argument("ref", nargs="?", metavar="REF", help=text)
    log = add_command(commands, releases)
    log.add_argument("stack", nargs="?", default=os.environ.get("PULUMI_STACK") or STAGING, metavar="STACK")
    log.add_argument("--json", action="store_true", help="all of them, as one JSON object")
    scripts = add_command(commands, deployment)
    scripts.add_argument("stack", metavar="STACK", help="for example prod")
    scripts.add_argument("folder", metavar="FOLDER", type=Path, help="a checkout of the application")
    scripts.add_argument("--check", action="store_true", help="write nothing; exit status 2 if any differs")


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

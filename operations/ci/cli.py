"""The commands of `./itqan ci`."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from ..errors import OperationError
from ..steps import Steps

AS_EXPECTED, FAILED, DIFFERENT = 0, 1, 2
PRODUCTION = "prod"


def preview(arguments: argparse.Namespace) -> int:
    """Tell in one comment what a pull request would change; differences are no failure"""
    from .context import Context
    from .preview import preview_pull_request

    preview_pull_request(arguments.stack, Context.of(os.environ), Steps())
    return AS_EXPECTED


def staging(arguments: argparse.Namespace) -> int:
    """Keep a copy for a pull request's branch while it is open, and a comment that says where it is"""
    from .context import Context
    from .staging import follow

    follow(arguments.branch, Context.of(os.environ), Steps(), compared=not arguments.no_parity)
    return AS_EXPECTED


def production(arguments: argparse.Namespace) -> int:
    """Bring a stack up, audit it, try its site; fails when one of them is not well"""
    from .context import Context
    from .production import release

    release(arguments.stack, Context.of(os.environ), Steps(), arguments.tenant)
    return AS_EXPECTED


def drift(arguments: argparse.Namespace) -> int:
    """Audit a stack and keep one issue about it; exit status 2 for drift that no issue could be told"""
    from .context import Context
    from .drift import watch

    context = Context.of(os.environ)
    healthy = watch(arguments.stack, context, Steps(), arguments.observer_key)
    return AS_EXPECTED if healthy or context.github else DIFFERENT


def sweep(_: argparse.Namespace) -> int:
    """Remove copies whose branch is gone or that are too old, and what interrupted runs left"""
    from .context import Context
    from .sweep import sweep as sweep_copies

    sweep_copies(Context.of(os.environ), Steps())
    return AS_EXPECTED


def smoke(arguments: argparse.Namespace) -> int:
    """Try a stack's site as its visitors do: HTTPS, the application, WebSocket, a tenant's page"""
    from .smoke import smoke as try_site

    tried = try_site(arguments.stack, Steps(), arguments.tenant)
    print(tried.to_json() if arguments.json else tried.table())
    return FAILED if tried.failed else AS_EXPECTED


def units(arguments: argparse.Namespace) -> int:
    """Print a stack's units as JSON, from its plain settings, with stand-ins for all that is secret"""
    from .units import plain_units

    print(json.dumps(plain_units(arguments.stack), indent=1, ensure_ascii=False))
    return AS_EXPECTED


def add_ci_commands(commands: argparse._SubParsersAction[Any]) -> None:
    """Adds `ci` and its own commands to the command line's."""
    about = "What pipelines do: preview, staging, production, drift, sweep, smoke, units"
    group = commands.add_parser("ci", help=about, description=about)
    words = group.add_subparsers(metavar="COMMAND", required=True)
    for run in (preview, staging, production, drift, sweep, smoke, units):
        parser = words.add_parser(run.__name__, help=run.__doc__, description=run.__doc__)
        parser.set_defaults(run=run)
        if run in (preview, production, drift, smoke, units):
            parser.add_argument("stack", metavar="STACK", nargs="?", default=PRODUCTION)
        if run is staging:
            parser.add_argument("--branch", help="without a pull request: the branch")
            parser.add_argument("--no-parity", action="store_true", help="do not look at production")
        if run in (production, smoke):
            text = "a tenant whose page has to be there (default: an unknown one, which may have none)"
            parser.add_argument("--tenant", metavar="NAME", type=_tenant, help=text)
        if run is drift:
            text = (
                "compare with what the last `up` left, with the observer's key alone (- for standard input)"
            )
            parser.add_argument("--observer-key", metavar="FILE", type=Path, help=text)
        if run is smoke:
            parser.add_argument("--json", action="store_true", help="as one JSON object")


def _tenant(word: str) -> str:
    if not (word.isascii() and word.replace("-", "").isalnum() and word == word.strip("-")):
        raise OperationError(f"--tenant {word}: allowed: one label of a domain: letters, digits, dashes")
    return word

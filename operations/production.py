"""What is production, and what is asked before data there is destroyed."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .errors import OperationError

if TYPE_CHECKING:
    from settings import Settings

# Commands of Laravel, and of its packages for tenants, that drop tables or rows or what waits to be done.
DESTROYING = (
    "db:wipe",
    "migrate:fresh",
    "migrate:refresh",
    "migrate:reset",
    "migrate:rollback",
    "model:prune",
    "queue:clear",
    "queue:flush",
    "tenants:migrate-fresh",
    "tenants:rollback",
)


def is_production(settings: Settings) -> bool:
    """Whether a stack is more than a copy that can be made again."""
    return settings.target == "host" or settings.environment.get("APP_ENV") == "production"


def destroying(words: Sequence[str]) -> str | None:
    """The command among artisan's words that destroys data; None: there is none.

    artisan takes a beginning of each part for the whole, if there is no other (Symfony's
    Console\\Application::find): `mig:f` is migrate:fresh.
    """
    if words[:1] in (["help"], ["list"]):
        return None
    for word in words:
        if not re.fullmatch(r"[A-Za-z:-]+", word) or word.startswith("-"):
            continue
        beginnings = "[^:]*:".join(map(re.escape, word.split(":"))) + "[^:]*"
        for command in DESTROYING:
            if re.fullmatch(beginnings, command, re.IGNORECASE):
                return command
    return None


def require_meant(settings: Settings, command: str) -> None:
    """Raises OperationError unless the database's name is typed."""
    what = f"{command} destroys data of {settings.stack}"
    ask_for_database(settings, what, f"{what}; it asks for a name on a terminal", "nothing was started")


def ask_for_database(settings: Settings, what: str, unasked: str, otherwise: str) -> None:
    """Raises OperationError unless the database's name is typed.

    Arguments: `what`, the sentence of what comes; `unasked`, the error where there is no terminal;
    `otherwise`, the error after any other answer.
    """
    name = settings.database.name
    if not sys.stdin.isatty():
        raise OperationError(unasked)
    if input(f"{what}. Type the database's name, {name}: ") != name:
        raise OperationError(otherwise)

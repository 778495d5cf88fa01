"""Hosts looked at, all of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .errors import OperationError

if TYPE_CHECKING:
    from components.observation import Endpoint, State
    from components.unit import Unit
    from settings import Settings


class UnseenHost(OperationError):
    """A host could not be looked at."""


def copy_hint(settings: Settings) -> str:
    """A further line for a copy that is out of reach: it may be down; nothing for a server."""
    return f"\n  is the copy up? ./itqan up --stack {settings.stack}" if settings.target == "docker" else ""


def look(hosts: Sequence[tuple[Endpoint, list[Unit]]], limit: int | None = None) -> list[list[State]]:
    """What is found of each host's units, all hosts at once.

    Arguments: `limit`, seconds after which a probe is ended. Raises UnseenHost.
    """
    from components.observation import Unreachable, observe

    async def all_hosts() -> list[list[State]]:
        return await asyncio.gather(*(observe(endpoint, units, limit=limit) for endpoint, units in hosts))

    try:
        return asyncio.run(all_hosts())
    except Unreachable as error:
        raise UnseenHost(str(error)) from None

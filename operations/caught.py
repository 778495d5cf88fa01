"""`caught`: the mail and the requests that a copy's application sent out, and that went no further."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .backups import configured
from .errors import ConfigurationError, OperationError
from .steps import Steps
from .table import grouped

HEAD = ("number", "when", "kind", "to", "what")
SHOWN = 20  # of the newest, in the table


@dataclass(frozen=True)
class Caught:
    """All that a copy caught, the oldest first."""

    stack: str
    entries: Sequence[Mapping[str, Any]]

    def table(self) -> str:
        """The newest as text, below their days."""
        if not self.entries:
            return f"itqan {self.stack}: nothing was caught yet"
        shown = self.entries[-SHOWN:]
        rows = [(entry["when"].partition("T")[0], _cells(entry)) for entry in shown]
        older = len(self.entries) - len(shown)
        closing = f"itqan {self.stack}: {len(self.entries)} caught" + (
            f", {older} older ones with --json" if older else ""
        )
        return "\n".join(
            [*grouped(HEAD, rows), "", f"{closing}; one of them whole: ./itqan caught {self.stack} NUMBER"]
        )

    def to_json(self) -> str:
        """All of them as one JSON object."""
        return json.dumps({"stack": self.stack, "caught": list(self.entries)}, indent=2, ensure_ascii=False)


def _cells(entry: Mapping[str, Any]) -> tuple[str, ...]:
    when = entry["when"].partition("T")[2].removesuffix("Z")
    return (str(entry["number"]), when, entry["kind"], entry["to"], entry["what"])


def caught_by(name: str, steps: Steps) -> Caught:
    """What a copy caught; changes nothing. Raises ConfigurationError, OperationError."""
    lines = _ask(name, "list", steps).splitlines()
    return Caught(name, [json.loads(line) for line in lines])


def caught_text(name: str, number: int, steps: Steps) -> str:
    """One thing that a copy caught, whole. Raises as `caught_by`."""
    return str(json.loads(_ask(name, f"show {number}", steps))["text"])


def _ask(name: str, words: str, steps: Steps) -> str:
    from components.catcher import PROGRAM
    from components.observation import Unreachable
    from components.streams import converse

    settings, endpoint = configured(name, steps)
    if settings.target != "docker":
        raise ConfigurationError(f"stack {name} is a server: what it sends out goes out; only copies catch")
    try:
        done = asyncio.run(converse(endpoint, f"{PROGRAM} {words}", b"", lambda _: None))
    except Unreachable as error:
        raise OperationError(str(error)) from None
    if done.status:
        raise OperationError(f"{name}: {done.words.removeprefix('itqan-catcher: ')}")
    return done.output.decode()

"""The engine's events: what happened to each resource, how long it took, what the stack says of itself."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_PREFIX = "pulumi:providers:"
# The engine's last word after an error that it has told already.
CLOSING_WORDS = frozenset({"update failed", "preview failed"})
# Before a line of a command that somebody has to act on while it waits (files/dns/client.py).
ASK = "! "
UNCHANGED = frozenset({"same", "read", "refresh"})
# The engine's own colour marks, as in `<{%fg 1%}>`.
COLOUR_MARK = re.compile(r"<\{%.*?%\}>")
# The command plugin quotes the whole script of a failed command before its output.
QUOTED_SCRIPT = re.compile(r'running ".*":(?=\n|$)', re.DOTALL)


@dataclass(frozen=True)
class Resource:
    """A resource as its URN names it."""

    name: str
    type: str
    part: str

    @classmethod
    def of(cls, urn: str) -> Resource:
        """The resource of `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`; part: the outermost parent."""
        _, _, types, name = urn.split("::", 3)
        chain = [kind for kind in types.split("$") if kind != STACK_TYPE]
        return cls(name, types.rpartition("$")[2], chain[0].rpartition(":")[2] if chain else "")


@dataclass
class Change:
    """What the engine did to a resource, when it began (time.monotonic), and how long it took in seconds."""

    resource: Resource
    operation: str
    began: float
    seconds: float
    failed: bool = False


@dataclass
class Record:
    """All that a run's events say. Changes are those of real things, not of the parts that group them."""

    outputs: dict[str, Any] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)
    stayed: list[Change] = field(default_factory=list)
    running: dict[str, float] = field(default_factory=dict)
    errors: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    asks: list[str] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        """Whether anything at all was changed, or is to be."""
        return any(count for operation, count in self.counts.items() if operation not in UNCHANGED)

    @property
    def unchanged(self) -> int:
        """How many things stayed as they were."""
        return len(self.stayed)

    @property
    def changed(self) -> int:
        """How many things were made, changed or removed; a replacement is one."""
        return len({change.resource for change in self.changes})

    def part_seconds(self) -> dict[str, float]:
        """Seconds of work for each part of the stack that changed, longest first."""
        seconds: Counter[str] = Counter()
        for change in self.changes:
            seconds[change.resource.part] += change.seconds  # type: ignore[assignment]
        return dict(seconds.most_common())

    def take(self, event: dict[str, Any]) -> Change | None:
        """Takes in one event; a Change if it says that an operation ended."""
        now = time.monotonic()
        if "resourcePreEvent" in event:
            metadata = event["resourcePreEvent"]["metadata"]
            if is_thing(metadata):
                self.running[metadata["urn"]] = now
        elif "resOutputsEvent" in event:
            return self._ended(event["resOutputsEvent"]["metadata"], now, failed=False)
        elif "resOpFailedEvent" in event:
            return self._ended(event["resOpFailedEvent"]["metadata"], now, failed=True)
        elif "diagnosticEvent" in event:
            self._diagnostic(event["diagnosticEvent"])
        elif "summaryEvent" in event:
            self.counts.update(event["summaryEvent"]["resourceChanges"] or {})
        return None

    def _ended(self, metadata: dict[str, Any], now: float, failed: bool) -> Change | None:
        urn, operation = metadata["urn"], metadata["op"]
        began = self.running.pop(urn, now)
        if metadata["type"] == STACK_TYPE:
            self.outputs = (metadata.get("new") or {}).get("outputs") or {}
            return None
        if not is_thing(metadata):
            return None
        change = Change(Resource.of(urn), operation, began, now - began, failed)
        if operation in UNCHANGED and not failed:
            self.stayed.append(change)
            return None
        self.changes.append(change)
        return change

    def _diagnostic(self, event: dict[str, Any]) -> None:
        if event["message"].strip() in CLOSING_WORDS and self.errors:
            return
        message = QUOTED_SCRIPT.sub("running its script:", COLOUR_MARK.sub("", event["message"])).strip()
        urn = event.get("urn") or ""
        resource = Resource.of(urn) if urn else Resource("", "", "")
        of_stack = not urn or resource.type == STACK_TYPE
        if event["severity"] == "error":
            self.errors.append(("" if of_stack else f"{resource.part} {resource.name}".strip(), message))
        elif message.startswith(ASK):
            self.asks.append(message.removeprefix(ASK))
        elif event["severity"] == "warning" or (of_stack and event["severity"] == "info"):
            self.notes.append(message)


def is_thing(metadata: dict[str, Any]) -> bool:
    """Whether a resource is something outside the engine: no part that groups others, no provider."""
    state = metadata.get("new") or metadata.get("old") or {}
    return bool(state.get("custom")) and not metadata["type"].startswith(PROVIDER_PREFIX)


class EventLog:
    """A file that the engine appends events to, one JSON document a line."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        self.path = path
        self._stream = path.open(encoding="utf-8")
        self._partial = ""

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def new_events(self) -> Iterator[dict[str, Any]]:
        """The events that were written since the last call."""
        while line := self._stream.readline():
            self._partial += line
            if line.endswith("\n"):
                complete, self._partial = self._partial, ""
                yield json.loads(complete)

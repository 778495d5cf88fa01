"""What a preview's events say is to be done: changes of the program told apart from drift of the host."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..events import UNCHANGED, Record, Resource, is_thing

# The line that components/ledger.py adds to a unit's `update` when the host is not as expected.
HEALED = re.compile(r"\n# healed (?:once|\d+ times); (.*)\Z")
# How the engine marks a secret value in an event (pulumi/sdk: Special.SIG).
SECRET_SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "(secret)"
PROGRAM, DRIFT, BOTH = "program", "drift", "program and drift"
# What the inputs of a unit's command are called here.
INPUTS = {"stdin": "content", "create": "probe, expected state, commands", "delete": "removal"}


@dataclass(frozen=True)
class Planned:
    """A resource that `up` would touch.

    operation   the engine's word: create, update, delete, …
    cause       whether the program asks for another thing, the host shows another one, or both
    note        of drift: what was expected and what was found
    changed     which of its inputs differ, in words
    diffs       for each of them its lines before and after
    """

    resource: Resource
    operation: str
    cause: str
    note: str
    changed: tuple[str, ...]
    diffs: Mapping[str, str]


@dataclass
class Plan:
    """A whole preview: what it would change, and what the run said."""

    record: Record = field(default_factory=Record)
    planned: list[Planned] = field(default_factory=list)

    @classmethod
    def read(cls, events: Path) -> Plan:
        """The plan that an engine's event log tells."""
        plan = cls()
        for line in events.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            plan.record.take(event)
            if "resourcePreEvent" in event:
                metadata = event["resourcePreEvent"]["metadata"]
                if metadata["op"] not in UNCHANGED and is_thing(metadata):
                    plan.planned.append(planned(metadata))
        return plan

    def caused_by(self, *causes: str) -> list[Planned]:
        """The changes with one of these causes."""
        return [change for change in self.planned if change.cause in causes]


def planned(metadata: Mapping[str, Any]) -> Planned:
    """One planned change, as its event's metadata has it."""
    before, after = (_inputs(metadata, side) for side in ("old", "new"))
    note = _new_note(before, after)
    names = sorted({*before, *after} if not (before and after) else metadata.get("diffs") or ())
    # Only the comment of a heal tells `update` from `create`.
    names = sorted((name for name in names if name != "update"), key=_place)
    by_program = metadata["op"] != "update" or bool(names)
    cause = BOTH if by_program and note else PROGRAM if by_program else DRIFT
    diffs = {
        INPUTS.get(name, name): text
        for name in names
        if (text := difference(_text(before.get(name)), _text(after.get(name))))
    }
    changed = tuple(INPUTS.get(name, name) for name in names) if before and after else ()
    return Planned(Resource.of(metadata["urn"]), metadata["op"], cause, note, changed, diffs)


def difference(before: str, after: str) -> str:
    """The lines of two texts that differ, with three lines around them."""
    if SECRET in (before, after):
        return ""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3)
    return "\n".join(list(lines)[2:])


def _place(name: str) -> int:
    """Where an input is told: what a file holds before the commands that bring it there."""
    return list(INPUTS).index(name) if name in INPUTS else len(INPUTS)


def _inputs(metadata: Mapping[str, Any], side: str) -> dict[str, Any]:
    return dict((metadata.get(side) or {}).get("inputs") or {})


def _new_note(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The comment of a heal that this run adds."""
    said = [HEALED.search(str(inputs.get("update", ""))) for inputs in (before, after)]
    if said[1] is None or (said[0] and said[0].group() == said[1].group()):
        return ""
    return said[1][1]


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping) and SECRET_SIGNATURE in value:
        return SECRET
    return value if isinstance(value, str) else json.dumps(_without_secrets(value), indent=1, sort_keys=True)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        if SECRET_SIGNATURE in value:
            return SECRET
        return {key: _without_secrets(entry) for key, entry in value.items()}
    return [_without_secrets(entry) for entry in value] if isinstance(value, list) else value

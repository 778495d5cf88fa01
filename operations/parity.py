"""Parity of two stacks: both hosts looked at side by side, every difference with its class and reason."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .audit import look, read_settings, side_of
from .machine import ready_engine
from .steps import Steps
from .table import grouped

if TYPE_CHECKING:
    from components.parity import Row
    from components.platform import Substitution

# The classes that a pipeline must not pass.
BAD = frozenset({"drift", "unexplained"})
CLASSES = ("same", "explained", "drift", "unexplained")


@dataclass(frozen=True)
class Comparison:
    """Two stacks compared.

    hosts           how they were reached
    seconds         how long the look at both took
    rows            every unit and surrounding
    substitutions   for each stack, what the document names and its platform cannot give
    """

    stacks: tuple[str, str]
    hosts: tuple[str, str]
    seconds: float
    rows: Sequence[Row]
    substitutions: tuple[Sequence[Substitution], Sequence[Substitution]]

    @property
    def counts(self) -> dict[str, int]:
        """How many rows are in each class."""
        counted: Counter[str] = Counter(row.state for row in self.rows)
        return {name: counted[name] for name in CLASSES}

    @property
    def failed(self) -> bool:
        """Whether there is drift, or a difference that nothing asks for."""
        return any(row.state in BAD for row in self.rows)

    def table(self) -> str:
        """The whole as text: what is the same is only counted."""
        head = ("unit", "class", *self.stacks, "why")
        shown = [row for row in self.rows if row.state != "same"]
        rows = [(row.part, (row.name, row.state, *row.cells, row.why)) for row in shown]
        body = [*grouped(head, rows), ""] if rows else []
        return "\n".join([*body, self.closing_line()])

    def closing_line(self) -> str:
        """What was found, in one line."""
        words = ", ".join(f"{count} {name}" for name, count in self.counts.items())
        pair = " and ".join(f"{s} ({h})" for s, h in zip(self.stacks, self.hosts, strict=True))
        return f"itqan parity of {pair} in {self.seconds:.2f} s: {words}"

    def to_json(self) -> str:
        """The whole as one JSON object."""
        shown = {
            "stacks": self.stacks,
            "hosts": self.hosts,
            "seconds": round(self.seconds, 3),
            "counts": self.counts,
            "rows": [
                {
                    "name": row.name,
                    "class": row.state,
                    **dict(zip(self.stacks, row.cells, strict=True)),
                    "why": row.why,
                }
                for row in self.rows
            ],
            "substitutions": {
                stack: [other.model_dump() for other in found]
                for stack, found in zip(self.stacks, self.substitutions, strict=True)
            },
        }
        return json.dumps(shown, indent=2, ensure_ascii=False)


def compare_stacks(first: str, second: str, steps: Steps) -> Comparison:
    """Compares two stacks.

    Raises ConfigurationError for a wrong configuration, OperationError when a host cannot be looked at.
    """
    ours, theirs = (side_of(settings) for settings in read_settings([first, second], ready_engine(steps)))
    from components.parity import compare  # it loads the settings' model, as in audit_stack

    started = time.monotonic()
    mine, others = look([(side, side.looked_in_parity) for side in (ours, theirs)])
    return Comparison(
        stacks=(first, second),
        hosts=(ours.host, theirs.host),
        seconds=time.monotonic() - started,
        rows=compare((ours, theirs), (mine, others)),
        substitutions=(ours.platform.substitutions, theirs.platform.substitutions),
    )

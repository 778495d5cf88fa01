"""A part of the server: the units of one component as resources, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from .connection import Target


class Part:
    """A component whose units follow one another; parts that do not depend on each other run side by side."""

    part: ClassVar[str]

    def __init__(self, target: Target, depends_on: Sequence[Part] = ()) -> None:
        """Arguments: `target`, the host; `depends_on`, the parts that have to be there before."""
        import pulumi  # here, because whoever only wants the units does without its third of a second

        self.resource = pulumi.ComponentResource(f"itqan:server:{type(self).__name__}", self.part)
        units = [unit for unit in target.side.units if unit.part == self.part]
        target.add(self.resource, units, [part.resource for part in depends_on])
        self.resource.register_outputs({})

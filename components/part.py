"""A part of the server: the units of one component as resources, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import pulumi

    from .connection import Target


class Part:
    """A component whose units follow one another; parts that do not depend on each other run side by side."""

    part: ClassVar[str]

    def __init__(self, target: Target, depends_on: Sequence[Part | pulumi.Resource] = ()) -> None:
        """Arguments: `target`, the host; `depends_on`, what has to be there before: parts, or units of them
        (`until`)."""
        import pulumi  # here, because whoever only wants the units does without its third of a second

        self.resource = pulumi.ComponentResource(f"itqan:server:{type(self).__name__}", self.part)
        units = [unit for unit in target.side.units if unit.part == self.part]
        before = [other.resource if isinstance(other, Part) else other for other in depends_on]
        target.add(self.resource, units, before)
        self.resource.register_outputs({})
        self._target = target

    def until(self, unit: str) -> pulumi.Resource:
        """One of the part's units, and so those before it: for whoever needs no more of the part."""
        return self._target.command(unit)

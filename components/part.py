"""A part of the server: the units of one component as resources, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import pulumi

if TYPE_CHECKING:
    from .connection import Target


class Part(pulumi.ComponentResource):
    """A component whose units follow one another; parts that do not depend on each other run side by side."""

    part: ClassVar[str]

    def __init__(self, target: Target, depends_on: Sequence[pulumi.Resource] = ()) -> None:
        """Arguments: `target`, the host; `depends_on`, the parts that have to be there before."""
        super().__init__(f"itqan:server:{type(self).__name__}", self.part)
        units = [unit for unit in target.units if unit.part == self.part]
        target.add(self, units, depends_on)
        self.register_outputs({})

"""How the properties of a resource are described: kind, default, and what a change of each needs."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Tells what is wrong with a value, or None.
Validator = Callable[[Any], str | None]


@dataclass(frozen=True)
class Field:
    """One property of a resource or of a block in it.

    Args:
        kind: string, bool, int, map, list, set (a list without order), or object (a block that there
            is one of).
        block: the properties of each element of a list or set, or of the object; None: elements are strings.
        required: the program has to give it.
        computed: the daemon chooses a value where the program gives none.
        output: the program cannot give it.
        replaces: a change makes a new resource; otherwise it is an update in place.
        default: the value where the program gives none.
        validator: what else a given value has to be like.
        argument: its name in error messages; "": the property's name with underscores.
    """

    kind: str = "string"
    block: "Fields | None" = None
    required: bool = False
    computed: bool = False
    output: bool = False
    replaces: bool = True
    default: Any = None
    validator: Validator | None = None
    argument: str = ""

    @property
    def is_sequence(self) -> bool:
        """Whether the value is a list."""
        return self.kind in ("list", "set")

    def name_in_messages(self, name: str) -> str:
        """Return what error messages call it."""
        return self.argument or re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


Fields = dict[str, Field]

# Where the lists of a property map's defaulted properties, and a block's, are kept.
DEFAULTS = "__defaults"

LABELS: Fields = {"label": Field(required=True), "value": Field(required=True)}


def zero(field: Field) -> Any:
    """Return the value that means the same as none."""
    if field.is_sequence:
        return []
    return {"string": "", "bool": False, "int": 0}.get(field.kind)

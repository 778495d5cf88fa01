"""Diff of resources that are described by fields, and the state that a create or update will have."""

import json
import re
from typing import Any

from tools.plugins.common.diff import differences
from tools.plugins.common.provider import Difference
from tools.plugins.common.values import UNKNOWN, Properties, has_unknown
from tools.plugins.docker.fields import DEFAULTS, Field, Fields, zero


def compare(
    fields: Fields, state: Properties, news: Properties, ignore: list[str], delete_first: bool
) -> Difference:
    """Compare the state with new inputs.

    Args:
        ignore: paths of properties whose difference does not count.
        delete_first: a replaced resource has to go before the new one is made.
    """
    ignored = {re.split(r"[.\[]", path)[0] for path in ignore}
    changed = sorted(
        name
        for name, described in fields.items()
        if name not in ignored and _differs(described, state.get(name), news.get(name))
    )
    detailed: dict[str, str] = {}
    for name in changed:
        suffix = "_REPLACE" if fields[name].replaces else ""
        found = _paths(fields[name], name, state.get(name), news.get(name))
        detailed.update({path: kind + suffix for path, kind in found.items()})
    replaces = [name for name in changed if fields[name].replaces]
    return Difference(
        changes=bool(changed),
        diffs=changed,
        replaces=replaces,
        detailed=detailed,
        delete_before_replace=bool(replaces) and delete_first,
    )


def _paths(described: Field, name: str, old: Any, new: Any) -> dict[str, str]:
    """Return where in a property the difference is: as deep as the engine can show it."""
    if _is_nothing(described, old):
        return {name: "ADD"}
    if new is None:
        return {name: "DELETE"}
    if new is UNKNOWN:
        return {name: "UPDATE"}
    before, after = _in_order(described, old), _in_order(described, new)
    if described.kind == "set" and not _are_aligned(before, after):
        return {name: "UPDATE"}
    return differences({name: before}, {name: after})


def _are_aligned(before: list[Any], after: list[Any]) -> bool:
    """Tell whether the elements of two sets that are equal stand at the same places."""
    kept = [element for element in before if element in after]
    return kept == [old for old, new in zip(before, after, strict=False) if old == new]


def _differs(described: Field, old: Any, new: Any) -> bool:
    if new is None and described.default is not None:
        new = described.default
    if described.computed and _is_nothing(described, new):
        # A create that failed half way leaves lists that the daemon never told: they are still open.
        return described.kind == "list" and old is None
    if has_unknown(new):
        return True
    return bool(_normal(described, old) != _normal(described, _with_chosen(described, old, new)))


def _with_chosen(described: Field, old: Any, new: Any) -> Any:
    """Return a list of blocks with what the daemon chose for the elements that leave it open."""
    if described.kind != "list" or described.block is None or not old or not new:
        return new
    chosen = [name for name, inner in described.block.items() if inner.computed]
    return [
        {**{name: before.get(name) for name in chosen}, **element}
        for before, element in zip(old, new, strict=False)
    ] + new[len(old) :]


def _is_nothing(described: Field, value: Any) -> bool:
    return value is None or value in ("", [], {}) or (described.output and value is UNKNOWN)


def _normal(described: Field, value: Any) -> Any:
    """Return a value in a form in which what means the same is equal."""
    ordered = _in_order(described, value)
    return sorted(ordered, key=_sortable) if described.kind == "set" else ordered


def _in_order(described: Field, value: Any) -> Any:
    """Return a normal value in which the elements of a set keep their places."""
    if described.is_sequence:
        return [_normal_element(described, element) for element in value or []]
    if described.block is not None:
        return _normal_element(described, value or {})
    if described.kind == "map":
        return {key: element for key, element in (value or {}).items() if key != DEFAULTS}
    return zero(described) if value is None else value


def _normal_element(described: Field, element: Any) -> Any:
    if described.block is None or element is UNKNOWN:
        return element
    return {
        name: _normal(inner, _with_default(inner, element.get(name)))
        for name, inner in described.block.items()
    }


def _with_default(described: Field, value: Any) -> Any:
    return described.default if value is None else value


def _sortable(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def planned_creation(fields: Fields, inputs: Properties) -> Properties:
    """Return the state that a create will have; UNKNOWN is what the daemon chooses."""
    state: Properties = {}
    for name, described in fields.items():
        value = _with_default(described, inputs.get(name))
        if described.computed and _is_nothing(described, value):
            state[name] = UNKNOWN
        else:
            state[name] = _filled(described, value, zero_numbers=False)
    return state


def planned_update(fields: Fields, olds: Properties, news: Properties) -> Properties:
    """Return the state that an update in place will have."""
    state: Properties = {}
    for name, described in fields.items():
        value = _with_default(described, news.get(name))
        if described.computed and _is_nothing(described, value):
            state[name] = olds.get(name)
        elif value is None:
            state[name] = olds.get(name) if _is_nothing(described, olds.get(name)) else zero(described)
        else:
            state[name] = _filled(described, value, zero_numbers=True)
    return state


def _filled(described: Field, value: Any, zero_numbers: bool) -> Any:
    """Return a value whose blocks have all of their properties.

    Args:
        zero_numbers: a number or boolean that is not given is 0 or false, not null: what the official plugin
            writes from the first update on.
    """
    if value is None:
        return [] if described.is_sequence else None
    if has_unknown(value) and described.kind == "set":
        return UNKNOWN
    if described.block is None or value is UNKNOWN:
        return value
    if described.is_sequence:
        return [_filled_block(described.block, element, zero_numbers) for element in value]
    return _filled_block(described.block, value, zero_numbers)


def _filled_block(block: Fields, value: Any, zero_numbers: bool) -> Any:
    if value is UNKNOWN:
        return value
    state: Properties = {}
    for name, described in block.items():
        inner = _with_default(described, value.get(name))
        if inner is None and (zero_numbers or described.kind not in ("bool", "int")):
            inner = zero(described)
        state[name] = _filled(described, inner, zero_numbers)
    return state

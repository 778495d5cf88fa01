"""The inputs that Read returns (ExtractInputsFromOutputs of pulumi-terraform-bridge)."""

from typing import Any

from tools.plugins.common.values import Properties
from tools.plugins.docker.fields import DEFAULTS, Field, Fields


def refreshed(inputs: Properties, state: Properties) -> Properties:
    """Return the inputs of a known resource, or a block of them, with what the state says about them now."""
    values = {
        name: _refreshed(value, state[name])
        for name, value in inputs.items()
        if name != DEFAULTS and state.get(name) is not None
    }
    if DEFAULTS not in inputs:
        return values
    defaults = [name for name in inputs[DEFAULTS] if values.get(name) == inputs.get(name)]
    return {**values, DEFAULTS: defaults}


def _refreshed(value: Any, now: Any) -> Any:
    if isinstance(value, list) and isinstance(now, list):
        return [_refreshed(old, new) for old, new in zip(value, now, strict=False)]
    if isinstance(value, dict) and isinstance(now, dict):
        return refreshed(value, now)
    return now


def imported(fields: Fields, state: Properties) -> Properties:
    """Return the inputs of a resource that was not known before: what is neither default nor zero."""
    values = {
        name: _imported(described, state[name])
        for name, described in fields.items()
        if not described.output and _says_something(described, state.get(name))
    }
    return {**values, DEFAULTS: []}


def _says_something(described: Field, value: Any) -> bool:
    if described.required:
        return value is not None
    if described.default is not None:
        return bool(value != described.default and value is not None)
    return value not in (None, "", [], {}, 0, False)


def _imported(described: Field, value: Any) -> Any:
    if described.block is None:
        return value
    if described.is_sequence:
        return [imported(described.block, element) for element in value]
    return imported(described.block, value)

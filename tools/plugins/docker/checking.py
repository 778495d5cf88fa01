"""Check of resources that are described by fields: types, defaults, names."""

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any

from tools.plugins.common.provider import Checked, CheckOptions, ProviderError, Resource
from tools.plugins.common.values import UNKNOWN, Properties, reveal
from tools.plugins.docker.fields import DEFAULTS, Field, Fields

_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")
_RANDOM_DIGITS = 7


class _Wrong(Exception):
    """A value cannot be used. The text is for the user."""


@dataclass(frozen=True)
class _Place:
    """Where a value stands: for the user as a path, and as the argument that messages name."""

    path: str
    argument: str = ""

    def property(self, name: str, described: Field | None) -> "_Place":
        argument = described.name_in_messages(name) if described else name
        return _Place(f"{self.path}.{name}", f"{self.argument}.{argument}" if self.argument else argument)

    def element(self, index: int, sequence: Field) -> "_Place":
        # An element of a set has no index of its own: the path stays that of the set.
        path = f"{self.path}[{index}]" if sequence.kind == "list" else self.path
        return _Place(path, f"{self.argument}.{index}")

    def inside(self, described: Field, name: str, inner: Field | None) -> "_Place":
        """Return the place of a property of a block here."""
        place = self.property(name, inner)
        return _Place(self.path, place.argument) if described.kind == "set" else place


@dataclass
class _Failures:
    found: list[tuple[str, str]] = field(default_factory=list)

    def add(self, text: str, place: _Place) -> None:
        self.found.append(("", f"{text}. Examine values at '{place.path}'."))


def check(
    fields: Fields, resource: Resource, olds: Properties, news: Properties, options: CheckOptions
) -> Checked:
    """Validate a program's inputs.

    Args:
        fields: what the resource may have; "name" gets a name if it has none.
        olds: the previous inputs, whose generated name is kept.

    Returns:
        The inputs with values of the right type and with defaults, or what is wrong with them.

    Raises:
        ProviderError: a name is missing and the engine's settings forbid to generate one.
    """
    failures = _Failures()
    given = reveal(news)
    named = dict(given)
    if named.get("name") is None:
        named["name"] = _name(resource, olds, options)
    inputs = _check_properties(fields, named, _Place(resource.name), failures, None)
    if "name" not in given:
        inputs[DEFAULTS] = sorted([*inputs[DEFAULTS], "name"])
    return Checked(failures=failures.found) if failures.found else Checked(inputs)


def _name(resource: Resource, olds: Properties, options: CheckOptions) -> str:
    """Return the name of a resource that the program does not name."""
    if olds.get("name") and "name" in olds.get(DEFAULTS, []):
        return str(olds["name"])
    proposed, mode = options.autonaming or ("", "PROPOSE")
    if mode == "DISABLE":
        raise ProviderError("automatic naming is disabled but no explicit name was provided")
    if proposed:
        return proposed
    seed = options.random_seed or secrets.token_bytes()
    digest = hashlib.sha256(seed + resource.urn.encode()).hexdigest()
    return f"{resource.name}-{digest[:_RANDOM_DIGITS]}"


def _check_properties(
    fields: Fields, given: Properties, place: _Place, failures: _Failures, parent: Field | None
) -> Properties:
    """Check the properties of a resource, or of a block if `parent` is its field."""

    def where(name: str, described: Field | None) -> _Place:
        return place.inside(parent, name, described) if parent else place.property(name, described)

    inputs: Properties = {}
    for name in given.keys() - fields.keys() - {DEFAULTS}:
        failures.add("Invalid or unknown key", where(name, None))
    for name, described in fields.items():
        value = given.get(name)
        if value is not None and described.output:
            failures.add("Invalid or unknown key", where(name, None))
        elif value is not None:
            inputs[name] = _check_value(described, value, where(name, described), failures)
        elif described.required:
            at = where(name, described)
            failures.add(
                "Missing required argument. The argument "
                f'"{at.argument}" is required, but no definition was found.',
                at,
            )
    defaults = {
        name: described.default
        for name, described in fields.items()
        if described.default and name not in inputs
    }
    return {**inputs, **defaults, DEFAULTS: sorted(defaults)}


def _check_value(described: Field, value: Any, place: _Place, failures: _Failures) -> Any:
    if value is UNKNOWN:
        return value
    try:
        if described.is_sequence:
            return _check_sequence(described, value, place, failures)
        if described.block is not None:
            return _check_block(described, value, place, failures)
        plain = _PLAIN[described.kind](value)
        _validate(described, plain)
    except _Wrong as error:
        failures.add(str(error), place)
        return None
    return plain


def _validate(described: Field, value: Any) -> None:
    text = described.validator(value) if described.validator else None
    if text:
        # The official plugin prints the summary and the detail of a finding, which are the same here.
        raise _Wrong(f"{text}. {text}")


def _check_sequence(described: Field, value: Any, place: _Place, failures: _Failures) -> list[Any]:
    elements = value if isinstance(value, list) else [value]
    if described.block is None:
        return [_as_string(element) for element in elements]
    return [
        element
        if element is UNKNOWN
        else _check_block(described, element, place.element(index, described), failures)
        for index, element in enumerate(elements)
    ]


def _check_block(described: Field, value: Any, place: _Place, failures: _Failures) -> Properties:
    if not isinstance(value, dict):
        raise _Wrong(f"Expected Object Type. Expected object, got {_type_name(value)}")
    assert described.block is not None
    return _check_properties(described.block, value, place, failures, described)


def _type_name(value: Any) -> str:
    names = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _as_string(value: Any) -> Any:
    if value is UNKNOWN or isinstance(value, str):
        return value
    if isinstance(value, (list, dict)):
        raise _Wrong(f"Attribute must be a single value, not a {_collection(value)}")
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _as_bool(value: Any) -> bool:
    text = _as_string(value)
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise _Wrong(f"cannot parse '' as bool: strconv.ParseBool: parsing \"{text}\": invalid syntax")


def _as_int(value: Any) -> int:
    text = _as_string(value)
    try:
        return int(text)
    except ValueError:
        raise _Wrong(
            f"cannot parse '' as int: strconv.ParseInt: parsing \"{text}\": invalid syntax"
        ) from None


def _as_map(value: Any) -> Properties:
    if not isinstance(value, dict):
        raise _Wrong(f"Attribute must be a map, not a {_type_name(value)}")
    return {key: _as_string(element) for key, element in value.items() if key != DEFAULTS}


def _collection(value: Any) -> str:
    return "list" if isinstance(value, list) else "map"


_PLAIN = {"string": _as_string, "bool": _as_bool, "int": _as_int, "map": _as_map}

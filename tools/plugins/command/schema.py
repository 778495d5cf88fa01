"""Inputs of the two resources: types, defaults, secrets, and the wording of what is wrong with them."""

from dataclasses import dataclass
from typing import Any

from tools.plugins.common.values import UNKNOWN, Properties, Secret

Failures = list[tuple[str, str]]

# Names of types as the official plugin, which is written in Go, says them in its errors.
STRING, NUMBER, INTEGER, BOOLEAN = "string", "float64", "int", "bool"
LIST, STRINGS, STRING_MAP = "[]interface {}", "[]string", "map[string]string"


@dataclass(frozen=True)
class Field:
    """One input. `kind` is one of the names above, or the Object that it holds."""

    kind: "str | Object"
    required: bool = False
    default: Any = None
    secret: bool = False


@dataclass(frozen=True)
class Object:
    """A group of inputs."""

    name: str
    fields: dict[str, Field]

    def with_defaults(self, values: Properties) -> Properties:
        """Return the values with the default of each field that has one and is not given."""
        given = {name: value for name, value in values.items() if value is not None}
        defaults = {name: field.default for name, field in self.fields.items() if field.default is not None}
        return {**defaults, **given}

    def check(self, values: Properties) -> tuple[Properties, Failures]:
        """Return the inputs with defaults and secrets filled in, and what is wrong: (property, reason)."""
        values = self.with_defaults(values)
        checked: Properties = {}
        failures: Failures = []
        for name, value in values.items():
            if name in self.fields:
                checked[name] = self._checked(name, self.fields[name], value, failures)
            else:
                failures.append((name, f"Unrecognized field '{name}' on '{self.name}'"))
        failures.extend(
            (name, f"Missing required field '{name}' on '{self.name}'")
            for name, field in self.fields.items()
            if field.required and name not in values
        )
        return checked, failures

    def _checked(self, name: str, field: Field, value: Any, failures: Failures) -> Any:
        secret = field.secret or isinstance(value, Secret)
        value = value.value if isinstance(value, Secret) else value
        if value is not UNKNOWN:
            value = self._converted(name, field.kind, value, failures)
        return Secret(value) if secret else value

    def _converted(self, name: str, kind: "str | Object", value: Any, failures: Failures) -> Any:
        if not _fits(value, kind):
            expected = kind if isinstance(kind, str) else kind.name
            failures.append(
                (
                    name,
                    f"Field '{name}' on '{self.name}' must be a '{expected}'; "
                    f"got '{_go_type(value)}' instead",
                )
            )
        elif isinstance(kind, Object):
            return self._nested(name, kind, value, failures)
        elif kind == INTEGER:
            return int(value)  # a fraction is cut off, as the official plugin does
        elif kind in (STRING_MAP, STRINGS):
            self._check_strings(name, value, failures)
        return value

    def _nested(self, name: str, kind: "Object", value: Properties, failures: Failures) -> Properties:
        checked, inner = kind.check(value)
        if inner:
            place = f"{self.name.rsplit('.', 1)[-1]}.{name}"
            listed = "\n".join(f"\t{member}: {reason}" for member, reason in sorted(inner))
            failures.append(
                (name, f"An error occurred decoding '{place}': {len(inner)} failures decoding:\n" + listed)
            )
        return checked

    def _check_strings(self, name: str, value: Any, failures: Failures) -> None:
        """Check the members of a list or map of strings."""
        named = (
            [(f"{name}[{key}] value", item) for key, item in value.items()]
            if isinstance(value, dict)
            else [(f"{name}[{index}]", item) for index, item in enumerate(value)]
        )
        for member, item in named:
            plain = item.value if isinstance(item, Secret) else item
            if plain is not UNKNOWN:
                self._converted(member, STRING, plain, failures)


_PYTHON: dict[str, Any] = {
    STRING: str,
    NUMBER: (int, float),
    INTEGER: (int, float),
    BOOLEAN: bool,
    LIST: list,
    STRINGS: list,
    STRING_MAP: dict,
}


def _fits(value: Any, kind: str | Object) -> bool:
    if isinstance(value, bool):  # which Python counts as a number
        return kind == BOOLEAN
    return isinstance(value, dict if isinstance(kind, Object) else _PYTHON[kind])


def _go_type(value: Any) -> str:
    for names, kind in ((BOOLEAN, bool), (NUMBER, (int, float)), (STRING, str), (LIST, list)):
        if isinstance(value, kind):
            return names
    return "map[string]interface {}"


def _endpoint() -> dict[str, Field]:
    return {
        "agentSocketPath": Field(STRING),
        "dialErrorLimit": Field(INTEGER, default=10),
        "host": Field(STRING, required=True),
        "hostKey": Field(STRING),
        "password": Field(STRING, secret=True),
        "perDialTimeout": Field(INTEGER, default=15),
        "port": Field(NUMBER, default=22),
        "privateKey": Field(STRING, secret=True),
        "privateKeyPassword": Field(STRING, secret=True),
        "user": Field(STRING, default="root"),
    }


def _command() -> dict[str, Field]:
    return {
        "addPreviousOutputInEnv": Field(BOOLEAN),
        "create": Field(STRING),
        "delete": Field(STRING),
        "environment": Field(STRING_MAP),
        "logging": Field(STRING),
        "stdin": Field(STRING),
        "triggers": Field(LIST),
        "update": Field(STRING),
    }


PROXY = Object("remote.ProxyConnection", _endpoint())
CONNECTION = Object("remote.Connection", {**_endpoint(), "proxy": Field(PROXY)})
REMOTE_COMMAND = Object(
    "remote.CommandInputs", {**_command(), "connection": Field(CONNECTION, required=True, secret=True)}
)
LOCAL_COMMAND = Object(
    "local.CommandInputs",
    {
        **_command(),
        "dir": Field(STRING),
        "interpreter": Field(STRINGS),
        "assetPaths": Field(STRINGS),
        "archivePaths": Field(STRINGS),
    },
)

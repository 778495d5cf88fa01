"""Property values: between the protobuf Struct of the wire and plain Python data.

Plain data is None, bool, int, float, str, list and dict, plus two marks: `Secret` around a value,
and `UNKNOWN` for what a preview does not know. Outputs become the value, `Secret` or `UNKNOWN` they
stand for; assets, archives and resource references stay the dicts with a signature that they are.
Text that is not UTF-8 carries its stray bytes as surrogates (`errors="surrogateescape"`).
The wire format: sdk/go/common/resource/plugin/rpc.go and sdk/go/common/resource/sig of pulumi.
"""

import base64
from dataclasses import dataclass
from typing import Any

from google.protobuf import struct_pb2

SIGNATURE = "4dabf18193072939515e22adb298388d"
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
RESOURCE_REFERENCE = "5cf8f73096256a8f31e491e813e4eb8e"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_BYTE_STRING = "803fd3297a5875dc03ca845dda5d2a98"
# One for each kind of value that may be unknown (string, bool, number, array, …); all mean the same.
_UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWNS = frozenset(
    {
        _UNKNOWN_STRING,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)

Properties = dict[str, Any]


@dataclass(frozen=True)
class Secret:
    """A value that must not be shown; its printed form is masked."""

    value: Any

    def __repr__(self) -> str:
        return "Secret([secret])"


class _Unknown:
    """The type of UNKNOWN, of which there is one."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __copy__(self) -> "_Unknown":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Unknown":
        return self


UNKNOWN = _Unknown()


class ByteStringError(Exception):
    """A property holds text that is not UTF-8 and the receiver takes no byte strings."""


def decode(struct: struct_pb2.Struct) -> Properties:
    """Return the properties of a Struct as plain data."""
    return {key: _decode_value(value) for key, value in struct.fields.items()}


def _decode_value(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value in _UNKNOWNS else value.string_value
    if kind == "struct_value":
        return _decode_object(value.struct_value)
    if kind == "list_value":
        return [_decode_value(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    return None


def _decode_object(struct: struct_pb2.Struct) -> Any:
    properties = decode(struct)
    signature = properties.get(SIGNATURE)
    if signature == _SECRET:
        return Secret(properties.get("value"))
    if signature == _OUTPUT:
        value = properties.get("value", UNKNOWN)
        return Secret(value) if properties.get("secret") else value
    if signature == _BYTE_STRING:
        return base64.b64decode(properties["value"]).decode(errors="surrogateescape")
    return properties


def encode(properties: Properties, byte_strings: bool = False) -> struct_pb2.Struct:
    """Return plain data as a Struct.

    Args:
        properties: plain data with the marks of this module.
        byte_strings: whether the receiver takes text that is not UTF-8.

    Raises:
        ByteStringError: there is such text and it does not.
    """
    struct = struct_pb2.Struct()
    for key, value in properties.items():
        _encode_into(struct.fields[key], key, value, byte_strings)
    return struct


def _encode_into(target: struct_pb2.Value, key: str, value: Any, byte_strings: bool) -> None:
    if value is None:
        target.null_value = struct_pb2.NULL_VALUE
    elif value is UNKNOWN:
        target.string_value = _UNKNOWN_STRING
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, (int, float)):
        target.number_value = value
    elif isinstance(value, str):
        _encode_text(target, key, value, byte_strings)
    elif isinstance(value, Secret):
        target.struct_value.CopyFrom(encode({SIGNATURE: _SECRET, "value": value.value}, byte_strings))
    elif isinstance(value, dict):
        target.struct_value.CopyFrom(encode(value, byte_strings))
    elif isinstance(value, (list, tuple)):
        target.list_value.SetInParent()
        for item in value:
            _encode_into(target.list_value.values.add(), key, item, byte_strings)
    else:
        raise TypeError(f"property {key!r} has a value of type {type(value).__name__}")


def _encode_text(target: struct_pb2.Value, key: str, text: str, byte_strings: bool) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        if not byte_strings:
            raise ByteStringError(
                f'the value of property "{key}" is a string that contains non-UTF8 bytes, '
                "which the receiver does not support"
            ) from None
        raw = base64.b64encode(text.encode(errors="surrogateescape")).decode()
        target.struct_value.CopyFrom(encode({SIGNATURE: _BYTE_STRING, "value": raw}))
    else:
        target.string_value = text


def reveal(value: Any) -> Any:
    """Return a copy of plain data in which every Secret, at any depth, is its value."""
    if isinstance(value, Secret):
        return reveal(value.value)
    if isinstance(value, dict):
        return {key: reveal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [reveal(item) for item in value]
    return value


def has_unknown(value: Any) -> bool:
    """Tell whether UNKNOWN occurs in plain data at any depth."""
    if isinstance(value, Secret):
        return has_unknown(value.value)
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN

"""Differences between two property maps, with paths as the engine writes them."""

import re
from typing import Any

from tools.plugins.common.values import SIGNATURE, Properties

_PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*\Z")


def differences(old: Properties, new: Properties) -> dict[str, str]:
    """Compare two property maps.

    Objects and lists are compared member by member; a secret, an asset or an unknown as a whole.

    Returns:
        The path of each difference (`environment.A`, `triggers[1].x`, `labels["a.b"]`) with its kind:
        ADD, UPDATE or DELETE.
    """
    found: dict[str, str] = {}
    _compare_objects(found, "", old, new)
    return found


def _compare_objects(found: dict[str, str], path: str, old: Properties, new: Properties) -> None:
    for key in sorted(old.keys() | new.keys()):
        where = _member(path, key)
        if key not in new:
            found[where] = "DELETE"
        elif key not in old:
            found[where] = "ADD"
        else:
            _compare(found, where, old[key], new[key])


def _compare_lists(found: dict[str, str], path: str, old: list[Any], new: list[Any]) -> None:
    for index in range(max(len(old), len(new))):
        where = f"{path}[{index}]"
        if index >= len(new):
            found[where] = "DELETE"
        elif index >= len(old):
            found[where] = "ADD"
        else:
            _compare(found, where, old[index], new[index])


def _compare(found: dict[str, str], path: str, old: Any, new: Any) -> None:
    if _is_object(old) and _is_object(new):
        _compare_objects(found, path, old, new)
    elif isinstance(old, list) and isinstance(new, list):
        _compare_lists(found, path, old, new)
    elif isinstance(old, bool) != isinstance(new, bool) or old != new:
        found[path] = "UPDATE"


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and SIGNATURE not in value


def _member(path: str, key: str) -> str:
    if not _PLAIN_KEY.match(key):
        quoted = key.replace("\\", "\\\\").replace('"', '\\"')
        return f'{path}["{quoted}"]'
    return f"{path}.{key}" if path else key

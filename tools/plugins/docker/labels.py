"""Labels: a list of objects in properties, a map at the daemon."""

from typing import Any

from tools.plugins.common.values import Properties


def label_map(labels: list[Properties] | None) -> dict[str, str]:
    """Return labels as the daemon takes them."""
    return {label["label"]: label["value"] for label in labels or []}


def label_list(labels: dict[str, Any] | None) -> list[Properties]:
    """Return labels as properties."""
    return [{"label": name, "value": value} for name, value in (labels or {}).items()]

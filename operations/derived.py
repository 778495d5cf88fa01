"""The configuration of a branch's copy as the last run on this machine derived it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .paths import branch_file


def derived_values(stack: str) -> Mapping[str, Any]:
    """The values of a stack's derived file; empty when it has none."""
    path = branch_file(stack)
    return file_values(path) if path.exists() else {}


def derived_staging(stack: str) -> Mapping[str, Any]:
    """What a derived file says of the copy's place: network, Docker host, backend."""
    return derived_values(stack).get("itqan:staging") or {}


def file_values(path: Path) -> Mapping[str, Any]:
    """The values of a stack's file, encrypted ones as they stand there."""
    return file_document(path).get("config") or {}


def file_document(path: Path) -> dict[str, Any]:
    """A stack's file as data."""
    import yaml

    found = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return found if isinstance(found, dict) else {}

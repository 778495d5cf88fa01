"""Looks through the observer, and the audit that needs its key alone."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .audit import require_file
from .errors import ConfigurationError, OperationError
from .paths import ROOT, stack_file
from .report import Report

if TYPE_CHECKING:
    from components.observation import Endpoint
    from components.record import Record
    from settings import Settings

STANDARD_INPUT = Path("-")


def audit_with_key(name: str, key: Path) -> Report:
    """Compares a server with what the last `up` left there; needs no engine, no state and no other secret.

    Arguments: `key`, the file of the observer's private key, `-` for standard input.
    Raises ConfigurationError, OperationError.
    """
    from components.observation import OBSERVER, Endpoint
    from components.platform import load_platform

    plain = _plain(name)
    connection = plain["connection"]
    host, port, host_key = (
        str(connection["host"]),
        int(connection.get("port", 22)),
        str(connection["hostKey"]),
    )
    endpoint = Endpoint(host, port, OBSERVER, _read(key), host_key, "--observer-key")
    started = time.monotonic()
    record = told(endpoint)
    return Report(
        stack=name,
        accepted=plain.get("accepted") or {},
        host=endpoint.words,
        seconds=time.monotonic() - started,
        states=record.recorded(),
        unknown=record.unknown(),
        obstacles=[],
        findings=[],
        substitutions=load_platform(plain["platform"]).substitutions,
        set_command=f"pulumi config set --stack {name}",
    )


def told(endpoint: Endpoint) -> Record:
    """What the observer is told. Raises OperationError."""
    from components.observation import Unreachable
    from components.record import ask

    try:
        return asyncio.run(ask(endpoint))
    except Unreachable as error:
        raise OperationError(str(error)) from None


def observer_of(settings: Settings) -> Endpoint:
    """How the observer reaches a stack's host. Raises ConfigurationError."""
    from components.keys import UnreadableKey
    from components.record import observer_endpoint

    try:
        return observer_endpoint(settings)
    except UnreadableKey as error:
        raise ConfigurationError(str(error)) from None


def _plain(name: str) -> dict[str, Any]:
    """The plain settings of a server that is set up."""
    from settings import SettingsError, at, merged_config, stack_file_config

    require_file(name)
    try:
        plain = merged_config(stack_file_config(stack_file(name)), ROOT)
    except SettingsError as error:
        raise ConfigurationError(str(error)) from None
    if plain.get("target") != "host":
        raise ConfigurationError(f"--observer-key: stack {name} is a copy; type: ./itqan audit {name}")
    missing = [path for path in ("connection.host", "connection.hostKey", "platform") if not at(plain, path)]
    if missing:
        names = ", ".join(f"itqan:{path}" for path in missing)
        raise ConfigurationError(f"{stack_file(name).name} lacks {names}; type: ./itqan init {name}")
    return plain


def _read(key: Path) -> str:
    try:
        return sys.stdin.read() if key == STANDARD_INPUT else key.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--observer-key: {key}: {error}") from None

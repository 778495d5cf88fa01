"""The audit: every unit of a stack compared with its host, without the engine's preview; changes nothing."""

from __future__ import annotations

import asyncio
import importlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from .engine import Engine
from .errors import ConfigurationError, EngineError, OperationError
from .machine import ready_engine
from .paths import ROOT, stack_file
from .report import Report
from .stack import own_configuration, unusable
from .steps import Steps

if TYPE_CHECKING:
    from settings import Settings

# What the comparison imports, the slowest first; loaded while the engine decrypts the configuration.
MODULES = ("asyncssh", "components.server", "components.findings", "jinja2")


def audit_stack(name: str, steps: Steps) -> Report:
    """Compares a stack with its host.

    Raises ConfigurationError for a wrong configuration, OperationError when the host cannot be looked at.
    """
    return _compare(_settings(name, ready_engine(steps)))


def _settings(name: str, engine: Engine) -> Settings:
    """The validated settings, read while the modules for the comparison load."""
    file = stack_file(name).name
    if not stack_file(name).exists():
        raise ConfigurationError(f"stack {name}: {file} does not exist; type: ./itqan up --stack {name}")
    with ThreadPoolExecutor(1) as beside:
        reading = beside.submit(own_configuration, name, engine)
        for module in MODULES:
            importlib.import_module(module)
    try:
        values = reading.result()
    except EngineError as error:
        if "no stack named" not in str(error):
            raise
        raise ConfigurationError(
            f"stack {name} has no state, which {file} is read with; type: ./itqan preview --stack {name}"
        ) from None
    from settings import SettingsError, load

    try:
        return load(name, values, ROOT)
    except SettingsError as error:
        raise unusable(name, error.problems) from None


def _compare(settings: Settings) -> Report:
    from components.findings import findings, probes
    from components.keys import UnreadableKey
    from components.observation import Endpoint, Unreachable, observe
    from components.platform import load_platform
    from components.preflight import look, obstacles
    from components.release import wanted_commit
    from components.server import server_units
    from settings import SettingsError

    platform = load_platform(settings.platform)
    try:
        endpoint, commit = Endpoint.of(settings), wanted_commit(settings)
        units, further = server_units(settings, platform, commit), probes(settings)
    except (SettingsError, UnreadableKey) as error:
        raise ConfigurationError(str(error)) from None
    started = time.monotonic()
    try:
        seen = asyncio.run(observe(endpoint, [*units, *further, look(settings, platform, time.time())]))
    except Unreachable as error:
        hint = (
            f"\n  is the copy up? ./itqan up --stack {settings.stack}" if settings.target == "docker" else ""
        )
        raise OperationError(f"{error}{hint}") from None
    return Report(
        stack=settings.stack,
        host=f"{endpoint.user}@{endpoint.host} port {endpoint.port}",
        seconds=time.monotonic() - started,
        states=seen[: len(units)],
        obstacles=obstacles(settings, seen),
        findings=findings(settings, seen[:-1]),
        substitutions=platform.substitutions,
    )

"""The audit: every unit of a stack compared with its host, without the engine's preview; changes nothing."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from . import hosts
from .engine import Engine
from .errors import ConfigurationError, NoSuchStack
from .machine import ready_engine
from .paths import ROOT, stack_file
from .report import Report
from .stack import may_be_branch, own_configuration, unusable
from .steps import Steps

if TYPE_CHECKING:
    from components.observation import State
    from components.side import Side
    from components.unit import Unit
    from settings import Settings

# What the comparison imports, the slowest first; loaded while the engine decrypts the configuration.
MODULES = ("asyncssh", "components.side", "components.findings", "jinja2")


def audit_stack(name: str, steps: Steps) -> Report:
    """Compares a stack with its host.

    Raises ConfigurationError for a wrong configuration, UnseenHost when the host cannot be looked at.
    """
    [settings] = read_settings([name], ready_engine(steps))
    # not before: they load the settings' model, for which there is time while the engine decrypts
    from components.findings import findings, probes
    from components.preflight import look as preflight_look
    from components.preflight import obstacles
    from components.surroundings import unknown

    side = side_of(settings)
    looked = [*side.looked, *probes(settings)]
    started = time.monotonic()
    host, unobserved = side.host, list[str]()
    if settings.observe == "observer":
        from .observed import observer_of, told

        endpoint = observer_of(settings)
        record = told(endpoint)
        host, states, unobserved = endpoint.words, record.states(looked), record.unlike(looked)
    else:
        [states] = look([(side, [*looked, preflight_look(settings, side.platform, time.time())])])
    units = {unit.name for unit in side.units}
    return Report(
        stack=name,
        accepted=settings.accepted,
        host=host,
        seconds=time.monotonic() - started,
        states=[state for state in states if state.unit.name in units],
        unknown=unknown(side.judged, states, settings.accepted),
        obstacles=obstacles(settings, states),
        findings=findings(settings, states),
        substitutions=side.platform.substitutions,
        set_command=settings.set_command,
        unobserved=unobserved,
    )


def read_settings(names: Sequence[str], engine: Engine, modules: Sequence[str] = MODULES) -> list[Settings]:
    """The validated settings of stacks, read side by side while `modules`, which are needed next, load.

    Raises ConfigurationError.
    """
    for name in names:
        if may_be_branch(name):
            _derive(name, engine)
        require_file(name)
    with ThreadPoolExecutor(len(names)) as beside:
        reading = [beside.submit(own_configuration, name, engine) for name in names]
        for module in modules:
            importlib.import_module(module)
    return [_settings(name, values.result) for name, values in zip(names, reading, strict=True)]


def _derive(name: str, engine: Engine) -> None:
    """The configuration of a branch's copy, which no file of the project has."""
    from .branches import derive_if_branch

    derive_if_branch(name, engine, Steps())


def require_file(name: str) -> None:
    """Raises ConfigurationError for a stack that has no configuration."""
    file = stack_file(name)
    if not file.exists():
        raise ConfigurationError(f"stack {name}: {file.name} does not exist; type: ./itqan up --stack {name}")


def _settings(name: str, values: Callable[[], dict[str, object]]) -> Settings:
    from settings import SettingsError, load

    try:
        return load(name, values(), ROOT)
    except SettingsError as error:
        raise unusable(name, error.problems) from None
    except NoSuchStack:
        file = stack_file(name).name
        raise ConfigurationError(
            f"stack {name} has no state, which {file} is read with; type: ./itqan preview --stack {name}"
        ) from None


def settings_of(name: str, own: dict[str, object]) -> Settings:
    """A stack's own configuration, read already, as its settings. Raises ConfigurationError."""
    return _settings(name, lambda: own)


def side_of(settings: Settings, commit: str | None = None) -> Side:
    """A stack as something to compare.

    Arguments: `commit`, what is to run; None: what the repository says. Raises ConfigurationError.
    """
    from components.keys import UnreadableKey
    from components.side import Side
    from settings import SettingsError

    try:
        return Side.of(settings, commit)
    except (SettingsError, UnreadableKey) as error:
        raise ConfigurationError(str(error)) from None


def look(sides: Sequence[tuple[Side, list[Unit]]], limit: int | None = None) -> list[list[State]]:
    """What is found of each side's units, all hosts at once.

    Arguments: `limit`, seconds after which a probe is ended. Raises UnseenHost.
    """
    try:
        return hosts.look([(side.endpoint, units) for side, units in sides], limit)
    except hosts.UnseenHost as error:
        hints = "".join(hosts.copy_hint(side.settings) for side, _ in sides)
        raise hosts.UnseenHost(f"{error}{hints}") from None

"""All units of a stack, as pure data: what apply, preview, audit and parity work on."""

from __future__ import annotations

from settings import Settings

from . import (
    backups,
    catcher,
    certificates,
    cron,
    database,
    dns,
    hardening,
    host,
    logrotate,
    nginx,
    observer,
    packages,
    php,
    redis,
    release,
    supervisor,
)
from .platform import Platform
from .unit import Unit

PARTS = (
    host,
    packages,
    hardening,
    catcher,
    database,
    redis,
    php,
    dns,
    certificates,
    nginx,
    supervisor,
    cron,
    logrotate,
    backups,
    observer,
)


def server_units(settings: Settings, platform: Platform, commit: str) -> list[Unit]:
    """Every unit of the server, `commit` being what is to run.

    Raises ValueError when two units have one name.
    """
    units = [host.runner(settings), *(unit for part in PARTS for unit in part.units(settings, platform))]
    units += release.units(settings, platform, commit)
    units += observer.recorder(settings, units)
    names = [unit.name for unit in units]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two units are called {', '.join(twice)}")
    return units

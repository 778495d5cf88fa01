"""What many probes ask, found out once for all of an observation: the counterpart of files/host/facts.sh."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .unit import Unit, call

FILES, SERVICES = ("probe_file",), ("probe_service", "probe_reloaded")
PORTS, PROGRAMS = ("probe_listening", "probe_exposed"), ("probe_program", "probe_groups")
SHARING = re.compile(rf"^({'|'.join((*FILES, *SERVICES, *PORTS, *PROGRAMS))}) ", re.MULTILINE)


def shares(unit: Unit) -> bool:
    """Whether the unit's probe asks for something that others may ask for, too."""
    return SHARING.search(unit.probe) is not None


def questions(units: Iterable[Unit]) -> list[str]:
    """The lines of bash that ask for all of the units.

    What has a name in quotes, as a path with a blank in it, is left to its own probe.
    """
    lines = [line for unit in units for line in unit.probe.splitlines() if SHARING.match(line)]
    calls = [line.split() for line in lines if "'" not in line]
    asked = {function for function, *_ in calls}
    files = {path for function, *paths in calls if function in FILES for path in paths}
    services = {name for function, *names in calls if function == "probe_service" for name in names}
    services |= {service for function, service, *_ in calls if function == "probe_reloaded"}
    return [
        *([call("know_services", *sorted(services))] if services else []),
        *(["know_programs"] if asked.intersection(PROGRAMS) else []),
        *(["know_ports"] if asked.intersection(PORTS) else []),
        *([call("know_files", *sorted(files))] if files else []),
    ]

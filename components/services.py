"""What a service unit looks like; the parts that are services share it."""

from __future__ import annotations

from .unit import Unit, call


def service_unit(name: str, *services: str) -> Unit:
    """A unit whose state is: these systemd units are enabled and active."""
    return Unit(
        name=name,
        probe=call("probe_service", *services),
        expect="\n".join(f"service {service} enabled active" for service in services),
        apply=call("enable_now", *services),
    )

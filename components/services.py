"""What a service unit looks like; the parts that are services share it."""

from __future__ import annotations

from dataclasses import replace

from .unit import Unit, call, file_unit, lines


def service_unit(name: str, *services: str) -> Unit:
    """A unit whose state is: these systemd units are enabled and active."""
    return Unit(
        name=name,
        probe=call("probe_service", *services),
        expect="\n".join(f"service {service} enabled active" for service in services),
        apply=call("enable_now", *services),
    )


def installed_service(name: str, service: str, content: str, then: str = "") -> Unit:
    """A unit whose state is: this systemd unit's own file is there, and it is enabled and active.

    Arguments: `content`, of the file; `then`, bash for after it is enabled.
    """
    state = service_unit(name, service)
    made = file_unit(
        name,
        f"/etc/systemd/system/{service if service.endswith('.timer') else f'{service}.service'}",
        content,
        probe=state.probe,
        expect=state.expect,
        then=lines(state.apply, then),
    )
    stop = f"systemctl disable -q --now {service} || true"
    return replace(made, remove=lines(stop, made.remove or "", "systemctl daemon-reload"))

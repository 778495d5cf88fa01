"""What systemd keeps from a service: a drop-in that the parts which are services share."""

from __future__ import annotations

from dataclasses import replace

from settings import Settings

from .render import render
from .unit import Unit, call, file_unit, lines

READ_ONLY = ("/boot", "/etc", "/home", "/usr")  # by ProtectSystem=full and ProtectHome=read-only


def writable_application(settings: Settings) -> list[str]:
    """A line for the services that run the application: it may write in its own folder, wherever that is."""
    path = settings.application.path
    if not path.startswith(tuple(f"{top}/" for top in READ_ONLY)):
        return []
    return [f"ReadWritePaths={path}", *([f"ReadWritePaths={settings.folders}"] if settings.is_atomic else [])]


def sandbox_unit(name: str, service: str, *further: str, before: str = "") -> Unit:
    """A unit whose state is: the service runs with the drop-in files/hardening/sandbox.conf.j2.

    Arguments: `further`, lines of its own; `before`, bash that must run before the service restarts.
    """
    seen = f"sandbox {service} no-new-privileges=1 read-only /etc /home /usr"
    path = f"/etc/systemd/system/{service}.service.d/itqan.conf"
    made = file_unit(
        name,
        path,
        render("hardening/sandbox.conf.j2", further=further),
        probe=call("probe_sandbox", service),
        expect=seen,
        then=lines(before, call("restart_sandboxed", service, seen, path)),
    )
    undo = lines(made.remove or "", "systemctl daemon-reload", before, call("systemctl", "restart", service))
    return replace(made, remove=undo)

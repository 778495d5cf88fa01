"""Containers of a copy that somebody stopped, or that a restart of the machine left stopped."""

from __future__ import annotations

from urllib.parse import quote

from .docker_hosts import daemon_of
from .labels import stack_label
from .steps import Steps


def start_stopped(stack: str, steps: Steps) -> None:
    """Starts them: the units can only be looked at on a host that runs.

    Raises DockerError with the daemon's words, OSError when no daemon answers.
    """
    daemon = daemon_of(stack)
    stopped = [
        c for c in daemon.objects("containers", stack_label(stack)) if c["State"] in ("exited", "created")
    ]
    for container in stopped:
        name = container["Names"][0].lstrip("/")
        with steps.step(name, f"Starting {name}, which was stopped"):
            daemon.checked("POST", f"/containers/{quote(container['Id'])}/start")

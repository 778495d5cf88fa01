"""What kind of machine this is, and how it gets a package of its distribution."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from pathlib import Path

from ..errors import PreparationError
from ..steps import Steps

# Where Pulumi's own installer and plugins come from.
DOWNLOAD_SITE = ("get.pulumi.com", 443)
# Seconds that the site gets to answer before this machine counts as one that cannot reach it.
PATIENCE = 3.0


def is_root() -> bool:
    """Whether this process may install packages and start daemons."""
    return os.geteuid() == 0


def has_apt() -> bool:
    """Whether this is Debian or one of its descendants."""
    return shutil.which("apt-get") is not None and Path("/etc/debian_version").exists()


def runs_systemd() -> bool:
    """Whether systemd is the init of this machine (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


def require_program(steps: Steps, program: str, packages: tuple[str, ...], purpose: str) -> str:
    """Path of `program`; installs `packages` when it is missing and this is root on Debian or Ubuntu.

    Raises PreparationError that says what to type when it cannot be installed.
    """
    if path := shutil.which(program):
        return path
    if not (is_root() and has_apt()):
        raise PreparationError(
            f"{program} is missing ({purpose}); type: sudo apt-get install {' '.join(packages)}"
            if has_apt()
            else f"{program} is missing ({purpose}); install it and repeat the command"
        )
    apt_install(steps, packages, purpose)
    if path := shutil.which(program):
        return path
    raise PreparationError(f"{' '.join(packages)} brought no {program}; is /usr/sbin on PATH?")


def apt_install(steps: Steps, packages: tuple[str, ...], purpose: str) -> None:
    """Installs packages of the distribution. Raises PreparationError when apt-get fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    lock = ["-o", "DPkg::Lock::Timeout=300"]
    steps.run(
        "apt-update",
        "Reading the package lists (apt-get update)",
        ["apt-get", *lock, "update"],
        environment=environment,
    )
    steps.run(
        f"apt-{packages[0]}",
        f"Installing {' '.join(packages)} ({purpose})",
        ["apt-get", *lock, "install", "-y", "--no-install-recommends", *packages],
        environment=environment,
    )


def reaches_download_site() -> bool:
    """Whether Pulumi's download site accepts a connection within PATIENCE seconds, name look-up included."""
    reached = threading.Event()
    # A thread, because the look-up of a name has no time limit of its own.
    threading.Thread(target=_connect, args=(reached,), daemon=True).start()
    return reached.wait(PATIENCE)


def _connect(reached: threading.Event) -> None:
    try:
        socket.create_connection(DOWNLOAD_SITE, PATIENCE).close()
    except OSError:
        return
    reached.set()

"""The Docker daemon: the one that answers, or on Debian and Ubuntu one that is installed and started here."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from ..daemon import Daemon
from ..errors import PreparationError
from ..paths import LOGS
from ..steps import Steps
from .machine import apt_install, has_apt, is_root, runs_systemd

# docker.io only recommends some: without iptables dockerd does not start, without certificates nothing
# can be pulled.
PACKAGES = ("docker.io", "iptables", "ca-certificates")
MANUAL = "https://docs.docker.com/engine/install/"
# Seconds that a started daemon gets until it answers.
START_LIMIT = 60.0


def ensure_docker(steps: Steps) -> Daemon:
    """A Docker daemon that answers.

    Raises PreparationError with the line to type when there is none and none can be started,
    DockerError when this user may not talk to it.
    """
    daemon = Daemon()
    if daemon.answers():
        return daemon
    if os.environ.get("DOCKER_HOST"):
        raise PreparationError(
            f"no Docker daemon answers at DOCKER_HOST={daemon.host}; start it, or type: unset DOCKER_HOST"
        )
    if not is_root():
        raise PreparationError(
            f"no Docker daemon answers at {daemon.host}; start it (sudo systemctl start docker) "
            f"or install it: {MANUAL}"
        )
    if not shutil.which("dockerd"):
        if not has_apt():
            raise PreparationError(f"Docker is missing; install it: {MANUAL}")
        apt_install(steps, PACKAGES, "no Docker daemon answers")
    if not daemon.answers():
        _start(steps, daemon)
    return daemon


def _start(steps: Steps, daemon: Daemon) -> None:
    if runs_systemd():
        steps.run("dockerd", "Starting Docker (systemctl)", ["systemctl", "enable", "--now", "docker"])
        return
    with steps.step("dockerd", "Starting dockerd; it stays up for later runs"):
        log = _start_detached()
        _wait(daemon, log)


def _start_detached() -> Path:
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / "dockerd.log"
    with log.open("w") as output:
        # Docker's systemd cgroup driver needs systemd as init, which this machine does not have.
        subprocess.Popen(
            ["dockerd", "--exec-opt", "native.cgroupdriver=cgroupfs"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
        )
    return log


def _wait(daemon: Daemon, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT
    while not daemon.answers():
        if time.monotonic() > deadline:
            last = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
            raise PreparationError(f"dockerd was started but does not answer; its log is {log}:\n{last}")
        time.sleep(0.1)

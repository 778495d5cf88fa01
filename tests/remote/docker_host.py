"""A Docker host of the tests: a container with a daemon, an sshd and as much free memory as they say."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
IMAGE = "itqan-remote-docker-host"
# All that a daemon needs of what a privileged container has; the machine of the tests can give no more.
RIGHTS = (
    *("--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--cgroupns=host"),
    *("--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined"),
    *("--security-opt=systempaths=unconfined", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw"),
    *("--volume=/lib/modules:/lib/modules:ro", "--tmpfs=/run", "--volume=/var/lib/docker"),
)
# Seconds that a daemon gets until it answers.
START_LIMIT = 60.0


def docker(*arguments: str) -> str:
    """The answer of this machine's Docker."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def build(base: str) -> None:
    """Makes the image, of a base image with apt."""
    docker("build", "-q", "-t", IMAGE, "--build-arg", f"BASE={base}", str(FOLDER))


@dataclass(frozen=True)
class DockerHost:
    """A running one. `memory`: a file that is its /proc/meminfo."""

    name: str
    memory: Path

    @classmethod
    def start(cls, name: str, folder: Path, shared: Path) -> DockerHost:
        """Starts one that sees the folder `shared` at the same path."""
        memory = folder / f"{name}.meminfo"
        made = cls(name, memory)
        made.has_free(4)
        mounts = (f"--volume={memory}:/proc/meminfo:ro", f"--volume={shared}:{shared}:ro")
        docker("run", "--detach", f"--name={name}", f"--hostname={name}", *RIGHTS, *mounts, IMAGE)
        made.wait()
        return made

    def wait(self) -> None:
        """Until its daemon answers."""
        deadline = time.monotonic() + START_LIMIT
        while self.run("docker version", check=False).returncode:
            assert time.monotonic() < deadline, docker("logs", "--tail=20", self.name)
            time.sleep(0.2)

    def run(self, script: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs bash as root on it."""
        command = ["docker", "exec", "-i", self.name, "bash", "-euo", "pipefail", "-c", script]
        return subprocess.run(command, capture_output=True, text=True, check=check)

    def has_free(self, gigabytes: int) -> None:
        """Says how much memory is free, in gigabytes of 10^9."""
        self.memory.write_text(f"MemTotal: 99000000 kB\nMemAvailable:   {gigabytes * 10**9 // 1024} kB\n")

    @property
    def address(self) -> str:
        """As itqan:staging.docker names it."""
        where = docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", self.name)
        return f"ssh://deploy@{where}"

    @property
    def host_key(self) -> str:
        """The public one."""
        return " ".join(self.run("cat /etc/ssh/ssh_host_ed25519_key.pub").stdout.split()[:2])

    def as_setting(self) -> dict[str, str]:
        """Its entry of itqan:staging.docker."""
        return {"address": self.address, "hostKey": self.host_key}

    def as_deploy(self, line: str) -> None:
        """Runs a line that the user deploy was told to type."""
        self.run(f"su - deploy -c {line!r}" if "'" not in line else f"su - deploy <<'LINE'\n{line}\nLINE")

    def names(self, label: str) -> list[str]:
        """Containers, networks and volumes on it that carry a label."""
        listings = (
            "ps -a --format {{.Names}}",
            "network ls --format {{.Name}}",
            "volume ls --format {{.Name}}",
        )
        script = "; ".join(f"docker {listing} --filter label={label}" for listing in listings)
        return self.run(script).stdout.split()

    def remove(self) -> None:
        """Takes it away, with all that is on it."""
        subprocess.run(["docker", "rm", "--force", "--volumes", self.name], capture_output=True, check=False)

"""A hoster: servers that no stack made, and beside them the name server and the authority of a domain."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network
from pathlib import Path

from components.authority import copy_certificate, copy_key
from components.keys import public_key
from components.platform import load_platform
from components.registrar import certificate, private_key, tsig_clause
from components.server import server_units
from components.staging import base_images, context_files, image_name, write_context
from operations.daemon import Daemon
from operations.prepare.image import choose_base
from operations.steps import Steps
from operations.subnets import free_subnet, taken_subnets
from settings import SECRETS, Settings, load

ROOT = Path(__file__).resolve().parents[2]
PLATFORM = "debian-13"
# another name lets two runs go on side by side
NAME = os.environ.get("ITQAN_TEST_HOSTER", "itqan-vps")
# systemd as the first process of a container.
SYSTEMD = [
    *("--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN", "--security-opt=seccomp=unconfined"),
    *("--security-opt=apparmor=unconfined", "--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp"),
    *("--env=container=docker", "--stop-signal=SIGRTMIN+3", "--tty"),
]
UNIFIED = Path("/sys/fs/cgroup/cgroup.controllers").exists()
CGROUPS = (
    ["--cgroupns=private"] if UNIFIED else ["--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw"]
)


def docker(*arguments: str, check: bool = True) -> str:
    """Standard output of the docker client."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"docker {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


@dataclass(frozen=True)
class Server:
    """A server as its customer gets it: an address, and root's login by key."""

    container: str
    address: str
    host_key: str

    def bash(self, script: str, check: bool = True) -> str:
        """Standard output of bash as root, on the provider's console."""
        return docker("exec", "-i", self.container, "bash", "-euo", "pipefail", "-c", script, check=check)

    def snapshot(self, *without: str) -> set[str]:
        """Every path with inode, size, times, mode and owner, but for what runs by itself and `without`."""
        skipped = ("/proc", "/sys", "/run", "/tmp", "/var/log", "/var/lib/systemd", *without)
        prune = " -o ".join(f"-path {path}" for path in skipped)
        return set(
            self.bash(
                rf"find / -xdev \( {prune} \) -prune -o -printf '%p %i %s %T@ %C@ %m %u\n'"
            ).splitlines()
        )


class Hoster:
    """A network with a registrar; servers are added to it."""

    def __init__(self, login_key: str) -> None:
        """Arguments: `login_key`, the private key whose public half every server lets in as root."""
        self._login_key = login_key
        self.remove()
        daemon = Daemon()
        self._base = choose_base(Steps(), daemon, PLATFORM)
        self.subnet: IPv4Network = free_subnet(taken_subnets(daemon, ""))
        docker("network", "create", f"--subnet={self.subnet}", NAME)
        self._servers = 0
        self._start_registrar()

    @cached_property
    def settings(self) -> Settings:
        """Of a copy with the same network: its registrar's certificate and keys are what this one gets."""
        secrets = {
            name: secret.generate() if secret.generate else "unused"
            for name, secret in SECRETS.items()
            if name != "repositoryToken"  # the sample is no repository over HTTPS
        }
        secrets["deployKey"] = SECRETS["sshPrivateKey"].generate()  # type: ignore[misc]
        own = {"extends": "staging", "platform": PLATFORM, "staging": self._staging()}
        return load("hoster", {**own, **secrets}, ROOT)

    def _staging(self) -> dict[str, str]:
        base = self._base
        return {"subnet": str(self.subnet), "image": base.image, "registrarImage": base.registrar_image}

    @property
    def registrar(self) -> str:
        """The address of the domain's name server."""
        return str(self.settings.registrar_address)

    @property
    def directory(self) -> str:
        """The ACME directory."""
        return f"https://{self.registrar}:14000/dir"

    @property
    def tsig_secret(self) -> str:
        """The secret of the zone's key."""
        assert self.settings.tsig_secret
        return self.settings.tsig_secret.get_secret_value()

    def image(self, target: str) -> str:
        """A stage of files/staging/Dockerfile, the same image as copies use."""
        units = server_units(self.settings, load_platform(PLATFORM), "0" * 40)
        files, bases = context_files(units), base_images(self.settings)
        name = image_name(target, files, bases)
        if not Daemon().has_image(name):
            arguments = [f"--build-arg={key}={value}" for key, value in bases.items()]
            with tempfile.TemporaryDirectory() as folder:
                write_context(files, Path(folder))
                docker("build", "-q", f"--target={target}", f"--tag={name}", *arguments, folder)
        return name

    def _start_registrar(self) -> None:
        name = f"{NAME}-registrar"
        environment = [f"--env=ITQAN_DOMAIN={self.settings.domain}", f"--env=ITQAN_ADDRESS={self.registrar}"]
        place = [f"--network={NAME}", f"--ip={self.registrar}", "--hostname=registrar"]
        docker("create", f"--name={name}", *place, *environment, self.image("registrar"))
        self.copy(name, "/etc/itqan/tsig.key", tsig_clause(self.settings))
        self.copy(name, "/etc/itqan/pebble/tls.pem", certificate(self.settings))
        self.copy(name, "/etc/itqan/pebble/tls.key", private_key(self.settings))
        self.copy(name, "/etc/itqan/pebble/authority.pem", copy_certificate(self.settings))
        self.copy(name, "/etc/itqan/pebble/authority.key", copy_key(self.settings))
        docker("start", name)
        _wait(lambda: _ok("exec", name, "registrar", "healthy"), 30, "the registrar answers")

    def server(self, *, bare: bool = False) -> Server:
        """A new server: only what a provider installs (`bare`), or the packages too, which saves a minute."""
        self._servers += 1
        name = f"{NAME}-{self._servers}"
        address = str(self.subnet[10 + self._servers])
        place = [f"--network={NAME}", f"--ip={address}", f"--dns={self.registrar}", *self._resolvers()]
        # policy-rc.d keeps services from starting while an image is built
        start = ["sh", "-c", "rm -f /usr/sbin/policy-rc.d; exec /sbin/init"]
        image = self.image("host" if bare else "server")
        docker("create", f"--name={name}", "--hostname=vps", *place, *SYSTEMD, *CGROUPS, image, *start)
        host_key = SECRETS["sshHostPrivateKey"].generate
        assert host_key
        key = host_key()
        self.copy(name, "/etc/ssh/ssh_host_ed25519_key", key)
        self.copy(name, "/root/.ssh/authorized_keys", public_key(self._login_key) + "\n")
        self.copy(name, "/usr/local/share/ca-certificates/registrar.crt", certificate(self.settings))
        docker("start", name)
        server = Server(name, address, public_key(key))
        _wait(lambda: _ok("exec", name, "systemctl", "is-active", "-q", "ssh"), 30, "sshd of the server runs")
        # what a real server has from its distribution: the authority that signs the certificates
        server.bash(
            "update-ca-certificates >/dev/null 2>&1\n"
            f"curl -fsS https://{self.registrar}:15000/roots/0 >/usr/local/share/ca-certificates/root.crt\n"
            "update-ca-certificates >/dev/null 2>&1"
        )
        return server

    @staticmethod
    def _resolvers() -> list[str]:
        """This machine's own resolvers, for all that is not in the registrar's zone."""
        words = [line.split() for line in Path("/etc/resolv.conf").read_text().splitlines()]
        return [
            f"--dns={word[1]}"
            for word in words
            if word[:1] == ["nameserver"] and not word[1].startswith("127.")
        ]

    @staticmethod
    def copy(container: str, path: str, content: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "file"
            file.write_text(content)
            file.chmod(0o600)
            docker("cp", str(file), f"{container}:{path}")

    @staticmethod
    def remove() -> None:
        """Everything of a hoster, of an earlier one too."""
        names = docker("ps", "-a", "--format={{.Names}}", f"--filter=name=^{NAME}-").split()
        if names:
            docker("rm", "-f", "-v", *names)
        docker("network", "rm", NAME, check=False)


def _ok(*arguments: str) -> bool:
    return subprocess.run(["docker", *arguments], capture_output=True, check=False).returncode == 0


def _wait(question: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)

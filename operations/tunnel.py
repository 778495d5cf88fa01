"""A Docker host reached over SSH: one connection, through which its daemon answers on a socket here.

The program's provider has a way of its own (components/docker_host.py); both log in with the same files.
"""

from __future__ import annotations

import select
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .daemon import Daemon
from .errors import DockerError
from .paths import ROOT

if TYPE_CHECKING:
    from settings import DockerHost

# Seconds that a host gets until it has answered.
PATIENCE = 15.0
SOCKET = "/var/run/docker.sock"
# Runs there. It says what is missing, or how many kB of memory are free; then the connection stays until this
# process ends, however it ends.
LOOK = f"""
command -v docker >/dev/null || {{ echo "problem no program docker there; install it"; exit; }}
test -S {SOCKET} || {{ echo "problem no Docker daemon answers at {SOCKET} there; start it"; exit; }}
test -w {SOCKET} || {{ echo "problem no right to use Docker: sudo usermod -aG docker $(id -un)"; exit; }}
sed -n "s/^MemAvailable: *\\([0-9]*\\) kB/memory \\1/p" /proc/meminfo
exec cat
"""
# What ssh says, and what that means; else its own words are shown.
REASONS = (
    ("invalid format", "ssh cannot read itqan:dockerPrivateKey: it has to be a key in OpenSSH format"),
    ("error in libcrypto", "ssh cannot read itqan:dockerPrivateKey: it has to be a key in OpenSSH format"),
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "it shows another host key than the pinned one; {pinned}"),
    ("Host key verification failed", "it shows another host key than the pinned one; {pinned}"),
    ("no matching host key type", "it has no host key of the pinned one's kind; {pinned}"),
    ("Permission denied", "it does not let the key of itqan:dockerPrivateKey in; {let_in}"),
)
PINNED = "do not go on before you know why. The pinned one is its hostKey in itqan:staging.docker"


@dataclass(frozen=True)
class Tunnel:
    """A connection that stands: the host, its free memory in bytes, and its daemon."""

    host: DockerHost
    memory: int
    daemon: Daemon


class HostUnreachable(DockerError):
    """A Docker host does not answer; the message is one line with why."""


# Of this process, until it ends (operations/__main__.py).
_open: dict[str, Tunnel] = {}
_processes: list[subprocess.Popen[bytes]] = []
_folders: list[Path] = []


def tunnel_to(host: DockerHost) -> Tunnel:
    """The connection to a host, opened by whoever needs it first; the login has to be written before.

    Raises HostUnreachable.
    """
    if host.address not in _open:
        _open[host.address] = _opened(host)
    return _open[host.address]


def tunnels(hosts: Sequence[DockerHost]) -> tuple[list[Tunnel], list[HostUnreachable]]:
    """The connections to those of several hosts that answer, all asked at once, and why others do not."""

    def attempt(host: DockerHost) -> Tunnel | HostUnreachable:
        try:
            return tunnel_to(host)
        except HostUnreachable as error:
            return error

    with ThreadPoolExecutor(max(len(hosts), 1)) as beside:
        found = list(beside.map(attempt, hosts))
    return (
        [one for one in found if isinstance(one, Tunnel)],
        [one for one in found if isinstance(one, HostUnreachable)],
    )


def close_tunnels() -> None:
    """Ends all connections, and takes away what they left on the disk."""
    _open.clear()
    while _processes:
        process = _processes.pop()
        process.kill()
        process.wait()
    while _folders:
        shutil.rmtree(_folders.pop(), ignore_errors=True)


def dial(host: DockerHost, address: str, port: int) -> socket.socket:
    """A connection to an address that only a Docker host reaches, such as a container's. Raises OSError."""
    here, there = socket.socketpair()
    with there:
        subprocess.Popen(
            _ssh(host, "-W", f"{address}:{port}"),
            stdin=there.fileno(),
            stdout=there.fileno(),
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            start_new_session=True,
        )
    here.settimeout(PATIENCE)
    return here


def forwarded(host: DockerHost, address: str, ports: Sequence[int]) -> list[int]:
    """Ports of this machine (127.0.0.1) that lead to those of an address which only a Docker host reaches.

    Until this process ends. Raises HostUnreachable.
    """
    local = [_free_port() for _ in ports]
    forwards = [
        part
        for here, there in zip(local, ports, strict=True)
        for part in ("-L", f"127.0.0.1:{here}:{address}:{there}")
    ]
    _started(host, forwards, "echo ready; exec cat")
    return local


def _opened(host: DockerHost) -> Tunnel:
    folder = Path(tempfile.mkdtemp(prefix="itqan-"))
    _folders.append(folder)
    path = folder / "docker"
    line = _started(host, ["-L", f"{path}:{SOCKET}"], LOOK)
    kind, _, text = line.partition(" ")
    if kind != "memory":
        reason = text if kind == "problem" else f"it answers {line!r}, and commands of a shell are asked for"
        raise HostUnreachable(f"Docker host {host.address}: {reason}")
    return Tunnel(host, int(text) * 1024, Daemon(f"unix://{path}"))


def _started(host: DockerHost, options: Sequence[str], script: str) -> str:
    """Starts a connection that lives until this process ends. Returns the first line of its script there.

    Raises HostUnreachable when there is none.
    """
    # its input ends with this process, and with that the connection; Ctrl-C is not for it
    try:
        process = subprocess.Popen(
            [*_ssh(host, "-o", "ExitOnForwardFailure=yes", *options), script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise HostUnreachable(
            f"Docker host {host.address}: no program ssh here; type: sudo apt-get install openssh-client"
        ) from None
    _processes.append(process)
    if line := _first_line(process):
        return line
    process.kill()
    said = process.communicate()[1].decode(errors="replace")
    raise HostUnreachable(f"Docker host {host.address}: {_reason(host, said)}")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _ssh(host: DockerHost, *options: str) -> list[str]:
    from components.docker_host import SSH_OPTIONS

    return ["ssh", *SSH_OPTIONS, *options, "-T", "-l", host.user, "-p", str(host.port), "--", host.name]


def _first_line(process: subprocess.Popen[bytes]) -> str:
    """The first line that comes from there; empty when none comes in time."""
    assert process.stdout is not None
    deadline, line = time.monotonic() + PATIENCE, b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], max(deadline - time.monotonic(), 0))
        block = process.stdout.read1(4096) if ready else b""  # type: ignore[attr-defined]
        if not block:
            return ""
        line += block
    return line.decode(errors="replace").splitlines()[0]


def _reason(host: DockerHost, said: str) -> str:
    """Why ssh did not get there, in one line."""
    for words, reason in REASONS:
        if words in said:
            return reason.format(pinned=PINNED, let_in=_let_in(host))
    lines = [line for line in said.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"no answer within {PATIENCE:.0f} s"


def _let_in(host: DockerHost) -> str:
    from components.docker_host import KEY
    from components.keys import UnreadableKey, public_key

    try:
        line = public_key((ROOT / KEY).read_text())
    except (OSError, UnreadableKey):
        return "see docs/hosts.md"
    return f"as {host.user} there: echo '{line} itqan' >>~/.ssh/authorized_keys"

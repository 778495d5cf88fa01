"""Which Docker host a copy is on: this machine, or one of `itqan:staging.docker`, chosen by free memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .authority import shared_secret
from .daemon import Daemon
from .derived import derived_staging
from .engine import Engine
from .errors import ConfigurationError, DockerError
from .paths import ROOT, own_file
from .stamp import Stamp
from .steps import Steps
from .tunnel import Tunnel, tunnel_to, tunnels
from .waiting import one_at_a_time

if TYPE_CHECKING:
    from settings import DockerHost

BASE = own_file("staging")
GIGABYTE = 1_000_000_000


def project_hosts() -> list[DockerHost]:
    """The Docker hosts of Pulumi.staging.yaml. Raises ConfigurationError with a line for each mistake."""
    from settings import SettingsError, docker_hosts, merged_config, stack_file_config

    try:
        return docker_hosts(merged_config(stack_file_config(BASE), ROOT))
    except SettingsError as error:
        raise ConfigurationError("\n  ".join([f"{BASE.name} is not usable:", *error.problems])) from None


def named_host(address: str | None) -> DockerHost | None:
    """The Docker host of an address; None for this machine.

    Raises ConfigurationError when the settings do not name it any more.
    """
    if address is None:
        return None
    hosts = project_hosts()
    if found := next((host for host in hosts if host.address == address), None):
        return found
    known = ", ".join(host.address for host in hosts) or "none"
    raise ConfigurationError(
        f"a copy is on the Docker host {address}, which itqan:staging.docker of {BASE.name} names no more "
        f"(it names {known}); put it back, with its host key, until the copy is down. If that host is gone "
        f"for good: {forget_words('STACK')}"
    )


def forget_words(stack: str) -> str:
    """What to type when a copy went with its Docker host."""
    return (
        f'eval "$(./itqan env)"; pulumi stack rm --force --yes --stack {stack}; then ./itqan branch up anew'
    )


def host_of(stack: str) -> DockerHost | None:
    """The Docker host that a stack's copy is on, by its derived configuration; None: this machine.

    Raises ConfigurationError.
    """
    return named_host(derived_staging(stack).get("dockerHost"))


def daemon_on(host: DockerHost | None) -> Daemon:
    """The Docker daemon of a host. Raises HostUnreachable."""
    return tunnel_to(host).daemon if host else Daemon()


def daemon_of(stack: str) -> Daemon:
    """The Docker daemon that a stack's copy is on. Raises ConfigurationError, HostUnreachable."""
    return daemon_on(host_of(stack))


def choose_host(hosts: list[DockerHost], steps: Steps) -> DockerHost:
    """The host with the most free memory of those that answer; says why others do not.

    Raises DockerError when none answers.
    """
    with steps.step("docker-host", f"Asking {len(hosts)} Docker hosts for their free memory"):
        found, silent = tunnels(hosts)
    if not found:
        lines = [str(error) for error in silent]
        advice = (
            f"see to one of them; without itqan:staging.docker in {BASE.name}, copies are on this machine"
        )
        raise DockerError(
            "\n  ".join(["none of the Docker hosts of itqan:staging.docker answers:", *lines, advice])
        )
    for error in silent:
        steps.say(f"  left out: {error}")
    best = most_free(found)
    free = ", ".join(f"{one.host.address} {one.memory / GIGABYTE:.1f} GB" for one in found)
    steps.say(f"  the copy goes to {best.address}; free memory: {free}")
    return best


def most_free(found: list[Tunnel]) -> DockerHost:
    """The host with the most free memory; the first of equal ones."""
    return max(found, key=lambda one: one.memory).host


def ensure_login(stack: str, engine: Engine, steps: Steps) -> None:
    """Writes what ssh logs in with; makes the key if Pulumi.staging.yaml has none.

    Arguments: `stack`, one that has a state already, as the engine reads a configuration for a stack only.
    Raises ConfigurationError, EngineError.
    """
    from components.docker_host import KEY, write_login
    from settings import DOCKER_KEY

    hosts = project_hosts()
    note = Stamp("docker-login", [BASE, ROOT / "Pulumi.prod.yaml"])
    if not hosts or (note.read() is not None and (ROOT / KEY).exists()):
        return
    with one_at_a_time("docker-login", steps, "another run writes the login of the Docker hosts"):
        key = shared_secret(DOCKER_KEY, "the key of the Docker hosts", "staging", stack, engine, steps)
        write_login(hosts, f"{key.rstrip()}\n", ROOT)
        Stamp("docker-login", [BASE, ROOT / "Pulumi.prod.yaml"]).write({})


def has_login() -> bool:
    """Whether this machine has what ssh logs in with."""
    from components.docker_host import KEY

    return (ROOT / KEY).exists()

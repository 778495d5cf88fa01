"""The IPv4 networks of Docker, and free ones for copies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

from .daemon import Daemon
from .errors import ConfigurationError
from .labels import STACK_KEY

# Where settings.Settings.subnet places copies, and the size that it gives them.
POOL = IPv4Network("10.213.0.0/16")
PREFIX = 26


def taken_subnets(daemon: Daemon, stack: str) -> list[IPv4Network]:
    """The IPv4 networks of Docker that do not belong to `stack`."""
    networks = daemon.checked("GET", "/networks").json()
    return [
        subnet
        for network in networks
        if (network.get("Labels") or {}).get(STACK_KEY) != stack
        for subnet in subnets_of(network)
    ]


def free_subnet(taken: Sequence[IPv4Network]) -> IPv4Network:
    """The first network of POOL that overlaps none of `taken`. Raises ConfigurationError if there is none."""
    for candidate in POOL.subnets(new_prefix=PREFIX):
        if not any(candidate.overlaps(other) for other in taken):
            return candidate
    raise ConfigurationError(f"Docker's networks leave no /{PREFIX} of {POOL} free; set itqan:staging.subnet")


def subnets_of(network: Mapping[str, Any]) -> Iterator[IPv4Network]:
    """The IPv4 networks of one of Docker's networks."""
    for entry in (network.get("IPAM") or {}).get("Config") or []:
        subnet = entry.get("Subnet", "")
        if "." in subnet:
            yield IPv4Network(subnet, strict=False)

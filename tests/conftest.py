"""Settings and units of every kind of stack, shared by all tiers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.platform import Platform, load_platform
from components.server import server_units
from components.unit import Unit
from operations import edge
from settings import SECRETS, Settings, load, stack_file_config

ROOT = Path(__file__).resolve().parent.parent
COMMIT = "0123456789abcdef0123456789abcdef01234567"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEBLKdHKdq5Bj2vzQJyAQlYTE4zNmFlZGZhYmNkZWZn"
KEYS = (
    "sshPrivateKey",
    "observerPrivateKey",
    "sshHostPrivateKey",
    "registrarPrivateKey",
    "authorityPrivateKey",
    "dockerPrivateKey",
    "tsigSecret",
)
OBSERVER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl pipeline"
BACKUP_KEY = "age1vc50vfs8tcclsffnfh8m42s6crr7mswqgv77p4l539hrjucxhvtszh6xyz"
SECOND_PLACE = {"type": "sftp", "host": "192.0.2.7", "user": "keeper", "hostKey": HOST_KEY}
STORE = {"type": "s3", "endpoint": "https://store.example", "bucket": "itqan"}
UNDOCUMENTED = ("previousAppKeys", "redisPassword")  # only where a variant has them

# What a stack's own configuration has beyond the shipped file, so that it loads without a network.
OWN: dict[str, dict[str, Any]] = {
    "prod": {
        "id": "i0123456789abcdef",
        "connection": {"host": "72.62.92.156", "port": 22, "user": "deploy", "hostKey": HOST_KEY},
        "release": {"repository": "git@github.com:itqan/itqan-platform.git", "ref": COMMIT},
    },
    "staging": {},
}

RFC2136 = {
    "dns": {"provider": "rfc2136", "server": "192.0.2.53", "keyName": "certbot.", "conference": "external"}
}

# Every branch that the program can take, as changes to a shipped configuration.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "prod": ("prod", {}),
    "prod-strict-rfc2136": (
        "prod",
        {
            "hardening": "strict",
            **RFC2136,
            "server": {"authorizedKeys": ["ssh-ed25519 AAAA someone's laptop"]},
        },
    ),
    "prod-observer": ("prod", {"observer": {"key": OBSERVER_KEY}, **RFC2136}),
    "prod-hostinger": ("prod", {"dns": {"provider": "hostinger"}}),
    "prod-letsencrypt-staging": (
        "prod",
        {"certificate": {"directory": "https://acme-staging-v02.api.letsencrypt.org/directory"}, **RFC2136},
    ),
    "prod-debian-root": (
        "prod",
        {
            "platform": "debian-13",
            "scheduler": "supervisor",
            "connection": {**OWN["prod"]["connection"], "user": "root"},
        },
    ),
    "staging": ("staging", {}),
    "staging-hostinger": ("staging", {"dns": {"provider": "hostinger", "api": "https://192.0.2.1"}}),
    "prod-backups": ("prod", {"backup": {"keys": [BACKUP_KEY], "second": SECOND_PLACE}}),
    "prod-backups-store": ("prod", {"backup": {"keys": [BACKUP_KEY, BACKUP_KEY], "second": STORE}}),
    "staging-backups": ("staging", {"platform": "debian-13", "backup": {"keys": [BACKUP_KEY]}}),
    "prod-rotating-db": ("prod", {"rotation": {"of": "db", "previous": "geheim-old"}}),
    "prod-rotating-app-key": (
        "prod",
        {"previousAppKeys": "geheim-older", "rotation": {"of": "app-key", "pending": "geheim-next"}},
    ),
    "prod-redis-password": ("prod", {"redisPassword": "geheim-redis"}),
    "staging-first-redis-password": (
        "staging",
        {"redisPassword": "geheim-redis", "rotation": {"of": "redis", "previous": "nopass"}},
    ),
    "staging-rotating-redis": (
        "staging",
        {
            "platform": "debian-13",
            "redisPassword": "geheim-redis",
            "rotation": {"of": "redis", "previous": "geheim-old"},
        },
    ),
    "staging-debian-strict": (
        "staging",
        {"platform": "debian-13", "hardening": "strict", "observer": {"key": OBSERVER_KEY}},
    ),
}


def overlay(below: Any, above: Any) -> Any:
    """`above` laid over `below`, objects key by key."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: overlay(below.get(key), value) for key, value in above.items()}}


@pytest.fixture(scope="session")
def own_edge() -> Iterator[None]:
    """The Docker host's edge goes with the tests if there was none before them."""
    names = ["docker", "ps", "--all", "--quiet", "--filter", f"name=^/{edge.NAME}$"]
    there = subprocess.run(names, capture_output=True, check=True).stdout
    yield
    if not there:
        subprocess.run(["docker", "rm", "--force", edge.NAME], capture_output=True, check=False)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def secrets() -> dict[str, str]:
    """A value for every secret: keys as they are generated, recognisable words for the rest."""
    made = {name: secret.generate() for name, secret in SECRETS.items() if name in KEYS and secret.generate}
    words = {name: f"geheim-{name.lower()}-$5#x" for name in SECRETS if name not in (*KEYS, *UNDOCUMENTED)}
    return {**words, **made}


@pytest.fixture(scope="session")
def config(secrets: dict[str, str]) -> Callable[..., dict[str, Any]]:
    """A function: the configuration of `prod` or `staging` with changes laid over it, secrets included."""

    def make(stack: str, **changes: Any) -> dict[str, Any]:
        plain = overlay(stack_file_config(ROOT / f"Pulumi.{stack}.yaml"), OWN[stack])
        made: dict[str, Any] = {**secrets, **overlay(plain, changes)}
        return made

    return make


@pytest.fixture(scope="session")
def stack(config: Callable[..., dict[str, Any]]) -> Callable[..., Settings]:
    """A function: the settings of `prod` or `staging` with changes laid over them."""
    return lambda name, **changes: load(name, config(name, **changes), ROOT)


@pytest.fixture(scope="session")
def prod(stack: Callable[..., Settings]) -> Settings:
    """The production server as documented."""
    return stack("prod")


@pytest.fixture(scope="session")
def staging(stack: Callable[..., Settings]) -> Settings:
    """A copy."""
    return stack("staging")


@pytest.fixture(scope="session")
def strict(stack: Callable[..., Settings]) -> Settings:
    """The production server as recommended."""
    return stack("prod", hardening="strict")


@pytest.fixture(scope="session", params=VARIANTS)
def any_settings(request: pytest.FixtureRequest, stack: Callable[..., Settings]) -> Settings:
    """The settings of each variant in turn."""
    name, changes = VARIANTS[request.param]
    return stack(name, **changes)


@pytest.fixture(scope="session")
def ubuntu() -> Platform:
    """The document's platform."""
    return load_platform("ubuntu-22.04")


@pytest.fixture(scope="session")
def debian() -> Platform:
    """The substitute."""
    return load_platform("debian-13")


@pytest.fixture(scope="session")
def units_of() -> Callable[[Settings], dict[str, Unit]]:
    """A function: every unit of the settings by name."""

    def make(settings: Settings) -> dict[str, Unit]:
        units = server_units(settings, load_platform(settings.platform), COMMIT)
        return {unit.name: unit for unit in units}

    return make


@pytest.fixture(scope="session")
def any_units(any_settings: Settings, units_of: Callable[[Settings], dict[str, Unit]]) -> list[Unit]:
    """The units of each variant in turn."""
    return list(units_of(any_settings).values())


@pytest.fixture(scope="session")
def every_variant(
    stack: Callable[..., Settings], units_of: Callable[[Settings], dict[str, Unit]]
) -> list[list[Unit]]:
    """The units of all variants."""
    return [list(units_of(stack(name, **changes)).values()) for name, changes in VARIANTS.values()]


@pytest.fixture(scope="session")
def prod_units(prod: Settings, units_of: Callable[[Settings], dict[str, Unit]]) -> dict[str, Unit]:
    """The production server's units by name."""
    return units_of(prod)


@pytest.fixture(scope="session")
def staging_units(staging: Settings, units_of: Callable[[Settings], dict[str, Unit]]) -> dict[str, Unit]:
    """A copy's units by name."""
    return units_of(staging)

"""Whether a host may be changed at all: whose it is, and whether it can be what the settings describe."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from settings import Settings

from .certificates import acme_directory
from .dns import client_script, client_settings, records, tsig_name
from .observation import PREFLIGHT, State
from .platform import Platform
from .render import managed
from .unit import Unit, call, file_unit, lines

OWNER_FILE = "/etc/itqan/stack"
OWNER, LOOK = "host/owner", PREFLIGHT
# 10^9 bytes: the packages take 0.7, a release with its dependencies 0.3, apt as much again while it unpacks.
FREE_GB = 3


def unit(settings: Settings, platform: Platform) -> Unit:
    """What must be so before anything is changed.

    System, memory and disk are looked at in each run; everything else before the first change, and again
    when a setting changes that it depends on.
    """
    server, release = settings.server, platform.release
    wanted = (release.id, release.version, server.minimum_memory_gb, server.minimum_disk_gb)
    asked = _checks(settings, platform)
    return Unit(
        name="host/preflight",
        probe=lines(call("probe_host", *wanted), call("probe_preflight", _digest(settings, asked))),
        expect=f"system {release.id} {release.version}\nmemory enough\ndisk enough\npreflight passed",
        apply=call("preflight", _digest(settings, asked), *asked),
        payload=_secret(settings),
        secret=_secret(settings) is not None,
    )


def owner(settings: Settings) -> Unit:
    """The stack that the host belongs to; another one refuses to touch it from then on."""
    return file_unit(
        OWNER,
        OWNER_FILE,
        f"# {managed('components/preflight.py')}\nstack {settings.owner}\n",
        removable=False,
        probe="probe_owner",
        expect=f"owner {settings.owner}",
    )


def look(settings: Settings, platform: Platform, now: float) -> Unit:
    """The same checks for an observation, where all that is wrong is told before the engine starts.

    Not a unit of the stack: the probe has the secret of the zone in it, and goes to the host on standard
    input only.
    Arguments: `now`, the seconds since 1970 on this machine's clock.
    """
    asked = _checks(settings, platform)
    passed = call("probe_preflight", _digest(settings, asked))
    checks = call("preflight_problems", *asked, f"clock={now:.0f}")
    secret = _secret(settings) or ""
    probe = f"[ \"$({passed})\" = 'preflight passed' ] || {checks} <<'SECRET'\n{secret}SECRET"
    return Unit(LOOK, probe=probe, expect="", apply="false")


def obstacles(settings: Settings, states: Iterable[State]) -> list[str]:
    """Why nothing may be changed on a host, one line each; none when it may.

    Arguments: `states`, what was found of the stack's units and of `look`.
    """
    found = {state.unit.name: state.found.splitlines() for state in states}
    owners = [line.removeprefix("owner ") for line in found.get(OWNER, ()) if line.startswith("owner ")]
    if owners and owners[0] not in ("none", settings.owner):
        advice = f"if it is to become this stack's, remove {OWNER_FILE} there, or set itqan:id"
        return [f"it belongs to stack {owners[0]}, not to {settings.owner}; {advice}"]
    return [line.removeprefix("problem ") for line in found.get(LOOK, ())]


def _checks(settings: Settings, platform: Platform) -> list[str]:
    """CHECK=VALUE for each function preflight_CHECK of files/host/preflight.sh."""
    server, release = settings.server, platform.release
    checks = [
        f"system={release.id}/{release.version}",
        f"architecture={','.join(platform.architectures)}",
        f"memory={server.minimum_memory_gb}",
        f"disk={server.minimum_disk_gb}",
        f"free={FREE_GB}",
    ]
    return checks if settings.target == "docker" else [*checks, *_network(settings, platform)]


def _network(settings: Settings, platform: Platform) -> list[str]:
    """What a host has to reach; a copy's network is made with it."""
    sources = [
        f"index={source.uri.rstrip('/')}/dists/{source.suite}/InRelease" for source in platform.sources
    ]
    keys = [f"url={key.url}" for source in platform.sources for key in source.keys]
    phar = [f"url={platform.phar.url}"] if platform.phar else []
    checks = ["apt=sources", *sources, *keys, *phar]
    if not _uses_zone(settings):
        return checks
    checks.append(f"url={acme_directory(settings)}")
    if settings.dns.provider == "hostinger":
        delegated = f"delegated={settings.zone},{settings.name_server or ''}"
        return [*checks, delegated, f"token={settings.dns.api},{settings.zone}"]
    names = sorted({f"{name}/{kind}" for name, kind, _ in records(settings)})
    zone = [settings.domain, str(settings.name_server), tsig_name(settings), *names]
    zone.append(f"_acme-challenge.{settings.domain}/TXT")
    return [*checks, f"zone={','.join(zone)}"]


def _uses_zone(settings: Settings) -> bool:
    """Whether the stack changes the zone of a server by itself; a copy's is made with it."""
    return settings.target == "host" and settings.dns.provider != "manual"


def _secret(settings: Settings) -> str | None:
    """What the checks read: the TSIG secret, or the DNS client's settings and, after them, the client."""
    if not _uses_zone(settings):
        return None
    if settings.dns.provider == "hostinger":
        return f"{client_settings(settings)}{client_script()}"
    assert settings.tsig_secret is not None
    return f"{settings.tsig_secret.get_secret_value()}\n"


def _digest(settings: Settings, asked: list[str]) -> str:
    """What tells one set of checks from another, a changed secret included, but not another client."""
    secret = client_settings(settings) if settings.dns.provider == "hostinger" else _secret(settings)
    return hashlib.sha256("\0".join([*asked, secret or ""]).encode()).hexdigest()[:16]

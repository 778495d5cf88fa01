"""DNS: the apex, the wildcard and the conference host, and nothing else of the zone."""

from __future__ import annotations

from settings import Settings

from .part import Part
from .platform import Platform
from .unit import Unit, call

TSIG_NAME = "itqan."


def records(settings: Settings) -> list[tuple[str, str, str]]:
    """(name, type, address) of every record that this stack owns.

    `conference` is LiveKit's, on another server: without a record of its own the wildcard points it here.
    """
    owned = [(name, "A", str(settings.server_address)) for name in (settings.domain, f"*.{settings.domain}")]
    if settings.server.ipv6:
        owned += [
            (name, "AAAA", str(settings.server.ipv6)) for name in (settings.domain, f"*.{settings.domain}")
        ]
    if settings.dns.conference != "external":
        owned.append((f"conference.{settings.domain}", "A", str(settings.dns.conference)))
    return owned


def units(settings: Settings, platform: Platform) -> list[Unit]:
    """The records: asked of the zone's primary where one is set, else of the host's resolver."""
    owned = records(settings)
    names = sorted({name for name, _, _ in owned})
    questions = [part for name in names for kind in ("A", "AAAA") for part in (name, kind)]
    probe = call("probe_records", settings.name_server or "", *questions)
    expect = "\n".join(sorted(f"record {name} {kind} {address}" for name, kind, address in owned))
    if settings.dns.provider == "manual":
        return [Unit("dns/records", probe, expect, apply=call("refuse_records", *expect.splitlines()))]
    apply = call("update_records", settings.name_server)
    return [Unit("dns/records", probe, expect, apply, payload=_update(settings), secret=True)]


def _update(settings: Settings) -> str:
    """A dynamic update (RFC 2136) signed with the TSIG key: each name gets exactly the wanted addresses."""
    owned = records(settings)
    assert settings.tsig_secret is not None
    deletions = [
        f"update delete {name} {kind}" for name in sorted({n for n, _, _ in owned}) for kind in ("A", "AAAA")
    ]
    additions = [f"update add {name} {settings.dns.ttl} {kind} {address}" for name, kind, address in owned]
    return "\n".join(
        [
            f"server {settings.name_server}",
            f"key hmac-sha512:{tsig_name(settings)} {settings.tsig_secret.get_secret_value()}",
            *deletions,
            *additions,
            "send\n",
        ]
    )


def tsig_name(settings: Settings) -> str:
    """The TSIG key's name: the copy's own, or the one of the zone's primary."""
    return settings.dns.key_name or TSIG_NAME


class DnsWildcard(Part):
    """The records of the domain."""

    part = "dns"

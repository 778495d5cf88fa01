"""DNS: the apex, the wildcard and the conference host, and nothing else of the zone."""

from __future__ import annotations

from settings import Settings

from . import digests
from .part import Part
from .platform import Platform
from .render import managed, text
from .unit import Unit, call, file_unit

TSIG_NAME = "itqan."
CLIENT = "/usr/local/sbin/itqan-dns"
SETTINGS = "/etc/itqan/dns.ini"
RECORDS = "dns/records"


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
    """The records: the zone's primary is asked where updates go to it, else every name server of the zone."""
    owned = records(settings)
    names = sorted({name for name, _, _ in owned})
    questions = [part for name in names for kind in ("A", "AAAA") for part in (name, kind)]
    expect = "\n".join(sorted(f"record {name} {kind} {address}" for name, kind, address in owned))
    if settings.dns.provider == "rfc2136":
        probe = call("probe_records", settings.name_server, *questions)
        apply = call("update_records", settings.name_server)
        return [Unit(RECORDS, probe, expect, apply, payload=_update(settings), secret=True)]
    return [
        file_unit("dns/client", CLIENT, client_script(), mode="755"),
        _settings(settings),
        Unit(
            name=RECORDS,
            probe=call("probe_zone", settings.name_server or "", settings.zone, *questions),
            expect=expect,
            apply=call(CLIENT, "records"),
            payload="".join(f"{name} {kind} {address}\n" for name, kind, address in owned),
        ),
    ]


def client_script() -> str:
    """The client as a program of the host: its own Python, without the caller's environment (-I)."""
    source = "dns/client.py"
    return f"#!/usr/bin/python3 -I\n# {managed(f'files/{source}')}\n{text(source)}"


def _settings(settings: Settings) -> Unit:
    """What the client reads, as a hook of certbot too, without the stack; the token is root's alone."""
    content = client_settings(settings)
    secret = settings.dns.provider == "hostinger"
    return file_unit(
        "dns/settings", SETTINGS, content, mode="600", key=digests.key(settings) if secret else None
    )


def client_settings(settings: Settings) -> str:
    """The client's file of settings; of Hostinger's with the token in it."""
    dns = settings.dns
    values: dict[str, object] = {
        "provider": dns.provider,
        "zone": settings.zone,
        "ttl": dns.ttl,
        "wait": dns.wait,
        "server": settings.name_server or "",
    }
    if dns.provider == "hostinger":
        assert settings.hostinger_token is not None
        values |= {"api": dns.api, "token": settings.hostinger_token.get_secret_value()}
    content = "".join(f"{key} = {value}\n" for key, value in values.items())
    return f"# {managed('components/dns.py')}\n[dns]\n{content}"


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

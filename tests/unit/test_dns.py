"""DNS: the apex and the wildcard point here, conference does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from components.dns import records
from components.unit import Unit
from files.dns.client import Settings as ClientSettings
from files.dns.client import parse
from settings import Settings

Units = Callable[[Settings], dict[str, Unit]]


def test_production_owns_apex_and_wildcard(prod: Settings) -> None:
    assert records(prod) == [
        ("itqanway.com", "A", "72.62.92.156"),
        ("*.itqanway.com", "A", "72.62.92.156"),
        ("itqanway.com", "AAAA", "2a02:4780:41:52de::1"),
        ("*.itqanway.com", "AAAA", "2a02:4780:41:52de::1"),
    ]


def test_conference_can_be_ours(stack: Callable[..., Settings]) -> None:
    assert ("conference.itqanway.com", "A", "192.0.2.7") in records(
        stack("prod", dns={"conference": "192.0.2.7"})
    )


def test_a_copy_points_to_its_container(staging: Settings) -> None:
    assert {address for name, _, address in records(staging) if "conference" not in name} == {
        str(staging.server_address)
    }


def test_without_updates_the_client_has_the_records(prod_units: dict[str, Unit]) -> None:
    unit = prod_units["dns/records"]
    assert unit.apply == "/usr/local/sbin/itqan-dns records"
    assert (unit.payload or "").splitlines() == [
        "itqanway.com A 72.62.92.156",
        "*.itqanway.com A 72.62.92.156",
        "itqanway.com AAAA 2a02:4780:41:52de::1",
        "*.itqanway.com AAAA 2a02:4780:41:52de::1",
    ]
    assert parse((unit.payload or "").splitlines()).keys() == {
        (name, kind) for name in ("itqanway.com", "*.itqanway.com") for kind in ("A", "AAAA")
    }


def test_the_clients_settings(
    stack: Callable[..., Settings],
    units_of: Units,
    secrets: dict[str, str],
    prod_units: dict[str, Unit],
    tmp_path: Path,
) -> None:
    """As the client reads them; the token stands in a file that is root's alone, and only if it is used."""
    dns = {"provider": "hostinger", "zone": "itqanway.com", "ttl": 300, "wait": 30, "server": "192.0.2.53"}
    unit = units_of(stack("prod", dns=dns))["dns/settings"]
    assert unit.secret and unit.expect.startswith("file /etc/itqan/dns.ini root:root 600 ")
    path = tmp_path / "dns.ini"
    path.write_text(unit.payload or "")
    token = secrets["hostingerToken"]
    api = "https://developers.hostinger.com"
    assert ClientSettings.read(path) == ClientSettings(
        "hostinger", "itqanway.com", 300, 30, "192.0.2.53", api, token
    )
    path.write_text(prod_units["dns/settings"].payload or "")
    assert ClientSettings.read(path) == ClientSettings("manual", "itqanway.com", 60, 600)


def test_where_updates_are_signed_no_client_is_needed(staging_units: dict[str, Unit]) -> None:
    assert {"dns/client", "dns/settings"}.isdisjoint(staging_units)


def test_an_update_replaces_exactly_what_is_owned(staging: Settings, staging_units: dict[str, Unit]) -> None:
    unit = staging_units["dns/records"]
    server, key, *rest = (unit.payload or "").splitlines()
    assert server == f"server {staging.registrar_address}"
    assert key.startswith("key hmac-sha512:itqan. ")
    assert rest == [
        "update delete *.itqan.test A",
        "update delete *.itqan.test AAAA",
        "update delete conference.itqan.test A",
        "update delete conference.itqan.test AAAA",
        "update delete itqan.test A",
        "update delete itqan.test AAAA",
        f"update add itqan.test 60 A {staging.server_address}",
        f"update add *.itqan.test 60 A {staging.server_address}",
        "update add conference.itqan.test 60 A 192.0.2.10",
        "send",
    ]


def test_the_primary_is_asked_where_there_is_one(
    staging: Settings, staging_units: dict[str, Unit], prod_units: dict[str, Unit]
) -> None:
    assert staging_units["dns/records"].probe.startswith(f"probe_records {staging.registrar_address} ")
    assert prod_units["dns/records"].probe.startswith("probe_zone '' itqanway.com ")

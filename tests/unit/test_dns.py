"""DNS: the apex and the wildcard point here, conference does not."""

from __future__ import annotations

from collections.abc import Callable

from components.dns import records
from components.unit import Unit
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


def test_by_hand_the_records_are_told_and_nothing_is_changed(prod_units: dict[str, Unit]) -> None:
    unit = prod_units["dns/records"]
    assert unit.payload is None
    assert unit.apply.startswith("refuse_records 'record *.itqanway.com A 72.62.92.156'")


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
    assert prod_units["dns/records"].probe.startswith("probe_records '' ")

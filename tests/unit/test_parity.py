"""Parity: the class of each difference, and the settings that explain it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from components.observation import Endpoint, State
from components.parity import Row, compare
from components.platform import load_platform
from components.server import server_units
from components.side import Side
from components.surroundings import compared, judged
from operations.parity import Comparison
from settings import Settings

COMMIT = "0" * 40


def side(settings: Settings, commit: str = COMMIT) -> Side:
    platform = load_platform(settings.platform)
    units = server_units(settings, platform, commit)
    endpoint = Endpoint("h", 22, "root", "", "")
    return Side(
        settings, platform, commit, endpoint, units, judged(settings, units), compared(settings, platform)
    )


def states(of: Side, found: Mapping[str, str]) -> list[State]:
    """A host that is right, but for what is `found`."""
    return [State(unit, found.get(unit.name, unit.expect)) for unit in of.looked_in_parity]


def rows(
    ours: Side, theirs: Side, mine: Mapping[str, str] | None = None, others: Mapping[str, str] | None = None
) -> dict[str, Row]:
    """What is not the same, by name."""
    made = compare((ours, theirs), (states(ours, mine or {}), states(theirs, others or {})))
    return {row.name: row for row in made if row.state != "same"}


@pytest.fixture
def copy_like(stack: Callable[..., Settings]) -> Callable[..., Side]:
    """A function: a copy on Debian with other settings."""

    def make(**changes: Any) -> Side:
        return side(stack("staging", **{"platform": "debian-13", **changes}))

    return make


def test_equal_settings_on_right_hosts_are_the_same(copy_like: Callable[..., Side]) -> None:
    assert rows(copy_like(), copy_like()) == {}


def test_a_setting_explains_the_units_that_it_makes(copy_like: Callable[..., Side]) -> None:
    found = rows(copy_like(), copy_like(database={"charset": "latin1"}))
    assert set(found) == {"database/schema"}
    assert found["database/schema"].state == "explained"
    assert found["database/schema"].why == "itqan:database"
    assert found["database/schema"].cells == (
        "database itqan_platform utf8mb4",
        "database itqan_platform latin1",
    )


def test_each_of_several_settings_is_named(copy_like: Callable[..., Side]) -> None:
    found = rows(copy_like(), copy_like(database={"name": "other"}, environment={"LOG_LEVEL": "debug"}))
    assert found["release/env"].why == "itqan:environment, itqan:database"


def test_a_commit_explains_the_release(stack: Callable[..., Settings]) -> None:
    settings = stack("staging")
    assert rows(side(settings), side(settings, "1" * 40))["release/code"].why == "the release's commit"


def test_a_unit_that_one_side_has_is_explained(copy_like: Callable[..., Side]) -> None:
    found = rows(copy_like(), copy_like(server={"authorizedKeys": ["ssh-ed25519 AAAA"]}))
    row = found["host/authorized-keys"]
    assert (row.state, row.cells[0], row.why) == ("explained", "not part of this stack", "itqan:server")


def test_production_and_a_copy_are_explained(prod: Settings, staging: Settings) -> None:
    found = rows(side(prod), side(staging))
    assert {row.state for row in found.values()} == {"explained"}
    assert all(row.why for row in found.values())


def test_a_host_that_is_not_as_its_settings_ask_is_drift(copy_like: Callable[..., Side]) -> None:
    found = rows(copy_like(), copy_like(), {}, {"cron/service": "service cron disabled inactive"})
    row = found["cron/service"]
    assert (row.state, row.cells[0]) == ("drift", "as its settings ask")
    assert "disabled inactive" in row.cells[1]


class TestTwins:
    """Two hosts of one domain."""

    @pytest.fixture
    def twins(self, stack: Callable[..., Settings]) -> tuple[Side, Side]:
        rfc2136 = {
            "provider": "rfc2136",
            "server": "192.0.2.53",
            "keyName": "itqan.",
            "conference": "external",
        }
        ours = stack("prod", dns=rfc2136)
        return side(ours), side(stack("prod", dns=rfc2136, server={"ipv4": "192.0.2.7"}))

    def test_the_domain_points_to_one_of_them(self, twins: tuple[Side, Side]) -> None:
        for side_with_it in twins:
            answer = {"dns/records": next(u.expect for u in side_with_it.units if u.name == "dns/records")}
            row = rows(*twins, answer, answer)["dns/records"]
            assert row.state == "explained"
            assert "192.0.2.7" in row.cells[1] and "192.0.2.7" not in row.cells[0]
            assert row.why.startswith("itqan:server: itqanway.com can point to one of the two")

    def test_or_to_neither_which_is_drift(self, twins: tuple[Side, Side]) -> None:
        lost = {"dns/records": "record itqanway.com A 192.0.2.99"}
        assert rows(*twins, lost, lost)["dns/records"].state == "drift"


def test_the_same_drift_on_both_sides_is_drift(copy_like: Callable[..., Side]) -> None:
    wrong = {"cron/service": "service cron disabled inactive"}
    assert rows(copy_like(), copy_like(), wrong, wrong)["cron/service"].state == "drift"


def test_what_nothing_asks_for_is_unexplained(copy_like: Callable[..., Side]) -> None:
    found = rows(copy_like(), copy_like(), {"surroundings/logins": "login eve uid 1001 /bin/bash"})
    row = found["surroundings/logins"]
    assert (row.state, row.cells) == ("unexplained", ("login eve uid 1001 /bin/bash", "absent"))


def test_what_the_settings_accept_is_explained(copy_like: Callable[..., Side]) -> None:
    ours = copy_like(accepted={"logins": ["login eve *"]})
    row = rows(ours, copy_like(), {"surroundings/logins": "login eve uid 1001 /bin/bash"})[
        "surroundings/logins"
    ]
    assert (row.state, row.why) == ("explained", "itqan:accepted.logins")


def test_platforms_explain_what_follows_them(copy_like: Callable[..., Side]) -> None:
    found = {"surroundings/enabled": "enabled x.service", "surroundings/system": "timezone Etc/GMT"}
    made = rows(copy_like(), copy_like(platform="ubuntu-22.04"), found)
    assert made["surroundings/enabled"].why == "platforms: debian 13 and ubuntu 22.04"
    assert made["surroundings/system"].state == "unexplained"
    assert rows(copy_like(), copy_like(), found)["surroundings/enabled"].state == "unexplained"


def test_the_verdict() -> None:
    good = Comparison(("a", "b"), ("x", "y"), 0.5, [Row("n/a", "same"), Row("n/b", "explained")], ([], []))
    assert not good.failed
    assert good.counts == {"same": 1, "explained": 1, "drift": 0, "unexplained": 0}
    assert good.table().splitlines()[-1] == (
        "itqan parity of a (x) and b (y) in 0.50 s: 1 same, 1 explained, 0 drift, 0 unexplained"
    )
    assert replace(good, rows=[Row("n/a", "unexplained")]).failed
    assert replace(good, rows=[Row("n/a", "drift")]).failed

"""Redis: no password as the document has it, or one that never stands in a command."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from components.unit import Unit
from settings import Settings

Units = Callable[[Settings], dict[str, Unit]]
Stack = Callable[..., Settings]


def of_redis(units: dict[str, Unit]) -> list[str]:
    return [name for name in units if name.startswith("redis/")]


def test_as_documented_there_is_no_password(prod_units: dict[str, Unit]) -> None:
    assert of_redis(prod_units) == ["redis/address", "redis/service"]
    assert "REDIS_" not in (prod_units["release/env"].payload or "").replace("REDIS_HOST", "").replace(
        "REDIS_PORT", ""
    ).replace("REDIS_CLIENT", "")


def test_with_a_password_who_asks_logs_in_first(stack: Stack, units_of: Units) -> None:
    units = units_of(stack("prod", redisPassword='pass "word" \\'))
    assert of_redis(units) == ["redis/login", "redis/address", "redis/service", "redis/password"]
    word = '"pass \\"word\\" \\\\"'
    assert (units["redis/login"].payload or "").endswith(f"\nAUTH default {word}\n")
    assert (units["redis/password"].payload or "").endswith(f"\nrequirepass {word}\n")
    assert "redis passwords 1" in units["redis/password"].expect
    env = units["release/env"].payload or ""
    assert "\nREDIS_USERNAME=default\nREDIS_PASSWORD=" in env


def test_a_password_is_given_up_before_the_application_is_told(prod_units: dict[str, Unit]) -> None:
    unit = prod_units["redis/service"]
    assert "probe_redis 127.0.0.1 6379 open" in unit.probe
    assert "open_redis 127.0.0.1 6379 /etc/redis/itqan.conf" in unit.apply


@pytest.mark.parametrize(("previous", "count"), [("nopass", 0), ("old", 2)])
def test_while_it_is_changed_the_old_way_stays(
    stack: Stack, units_of: Units, previous: str, count: int
) -> None:
    rotation = {"of": "redis", "previous": previous}
    units = units_of(stack("prod", redisPassword="new", rotation=rotation))
    assert "supervisor/processes" in units
    if not count:  # nobody is asked for a password yet
        assert of_redis(units) == ["redis/login", "redis/address", "redis/service"]
        return
    assert (units["redis/login"].payload or "").endswith('AUTH default "new"\nAUTH default "old"\n')
    assert (units["redis/password"].payload or "").startswith('"new"\n"old"\n')
    assert "redis passwords 2" in units["redis/password"].expect


def test_once_all_use_the_new_one_nothing_of_the_change_is_left(stack: Stack, units_of: Units) -> None:
    done = units_of(stack("prod", redisPassword="new", rotation={"of": "redis"}))
    assert done == units_of(stack("prod", redisPassword="new"))


def test_the_next_key_is_readable_before_it_writes(stack: Stack, units_of: Units) -> None:
    changes = {
        "appKey": "base64:old",
        "previousAppKeys": "base64:older",
        "rotation": {"of": "app-key", "pending": "base64:new"},
    }
    env = units_of(stack("prod", **changes))["release/env"].payload or ""
    assert "\nAPP_KEY=base64:old\nAPP_PREVIOUS_KEYS=base64:new,base64:older\n" in env

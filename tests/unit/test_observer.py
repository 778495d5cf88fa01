"""The observer: an account that can look and do nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from components.observer import HOME, PROGRAM
from components.unit import Unit, call
from settings import Settings, SettingsError
from tests.conftest import OBSERVER_KEY

Units = Callable[[Settings], dict[str, Unit]]


@pytest.fixture(scope="session")
def observed(stack: Callable[..., Settings], units_of: Units) -> dict[str, Unit]:
    """The units of a server with an observer."""
    return units_of(stack("prod", observer={"key": OBSERVER_KEY}))


def test_without_the_setting_there_is_none(
    prod_units: dict[str, Unit], staging_units: dict[str, Unit]
) -> None:
    assert [name for name in (*prod_units, *staging_units) if name.startswith("observer/")] == []


def test_its_key_starts_one_command(observed: dict[str, Unit]) -> None:
    (line,) = [line for line in (observed["observer/key"].payload or "").splitlines() if line[0] != "#"]
    assert line == f'restrict,command="sudo -n {PROGRAM}" {OBSERVER_KEY}'
    assert f"file {HOME}/.ssh/authorized_keys root:root 644" in observed["observer/key"].expect


def test_sudo_allows_that_command_without_arguments(observed: dict[str, Unit]) -> None:
    (rule,) = [line for line in (observed["observer/sudo"].payload or "").splitlines() if line[0] != "#"]
    assert rule == f'itqan-observer ALL=(root) NOPASSWD: {PROGRAM} ""'
    assert "visudo" in observed["observer/sudo"].apply


def test_the_record_is_last_and_has_every_other_unit(observed: dict[str, Unit]) -> None:
    assert list(observed)[-1] == "observer/program"
    program = observed["observer/program"].payload or ""
    recorded = {
        entry["name"]: entry for entry in map(json.loads, re.findall(r"(?m)^record (\{.*)$", program))
    }
    for name, unit in observed.items():
        assert f"{call('observe', name, unit.probe)}\n" in program
        assert recorded[name].get("expect") == (unit.expect if name != "observer/program" else None)
    assert recorded["surroundings/logins"]["known"]


def test_the_check_with_the_zone_s_secret_is_not_in_it(observed: dict[str, Unit]) -> None:
    assert "preflight-look" not in (observed["observer/program"].payload or "")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"observer": {"key": "ssh-rsa AAAA"}},
            "itqan:observer.key: 'ssh-rsa AAAA': allowed: a public SSH key",
        ),
        ({"observer": {}}, "itqan:observer.key: missing; allowed: a public SSH key"),
        ({"observer": {"user": "x", "key": OBSERVER_KEY}}, "itqan:observer.user: unknown key"),
        ({"observe": "observer"}, "itqan:observe: observer: needs itqan:observer.key"),
        (
            {"observe": "observer", "observer": {"key": OBSERVER_KEY}, "observerPrivateKey": None},
            "pulumi config set --secret itqan:observerPrivateKey",
        ),
    ],
)
def test_wrong_settings(stack: Callable[..., Settings], changes: dict[str, Any], line: str) -> None:
    with pytest.raises(SettingsError) as refused:
        stack("prod", **changes)
    assert [problem for problem in refused.value.problems if problem.startswith(line)], refused.value.problems


@pytest.mark.parametrize(
    ("value", "read"), [("observer", "observer"), ("true", True), ("false", False), (True, True)]
)
def test_who_looks(stack: Callable[..., Settings], value: object, read: object) -> None:
    """As the engine hands it over: text."""
    assert stack("prod", observe=value, observer={"key": OBSERVER_KEY}).observe == read

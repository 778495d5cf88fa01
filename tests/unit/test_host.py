"""The host: preflight, accounts, sudo, keys, directories as the document has them."""

from __future__ import annotations

from collections.abc import Callable

from components.unit import Unit
from settings import Settings

Units = Callable[[Settings], dict[str, Unit]]


def test_preflight_is_first_and_only_refuses(prod_units: dict[str, Unit]) -> None:
    names = list(prod_units)
    assert names[:2] == ["host/runner", "host/preflight"]
    unit = prod_units["host/preflight"]
    assert unit.expect == "system ubuntu 22.04\nmemory enough\ndisk enough"
    assert unit.apply == "refuse_host ubuntu 22.04 31 388"


def test_name_and_accounts(prod_units: dict[str, Unit]) -> None:
    assert prod_units["host/name"].expect == "hostname srv1147550"
    assert prod_units["host/accounts"].expect.splitlines() == [
        "user deploy /home/deploy:/bin/bash",
        "user deploy in www-data",
    ]


def test_sudo_is_tested_before_it_stays(prod_units: dict[str, Unit]) -> None:
    unit = prod_units["host/sudo"]
    assert unit.apply == "place /etc/sudoers.d/deploy root:root 440 visudo -cq"
    assert (unit.payload or "").splitlines()[-1] == "deploy ALL=(ALL) NOPASSWD:ALL"


def test_directories(prod_units: dict[str, Unit]) -> None:
    assert prod_units["host/directories"].expect.splitlines() == [
        "directory /var/www/itqan-platform deploy:www-data 755",
        "directory /home/deploy/backups deploy:deploy 750",
        "directory /etc/itqan root:www-data 750",
    ]


def test_login_keys_only_when_the_settings_name_any(stack: Callable[..., Settings], units_of: Units) -> None:
    assert "host/authorized-keys" not in units_of(stack("prod"))
    keys = ["ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"]
    unit = units_of(stack("prod", server={"authorizedKeys": keys}))["host/authorized-keys"]
    assert unit.payload == "ssh-ed25519 AAAA one\nssh-ed25519 BBBB two\n"
    assert unit.expect.startswith("file /home/deploy/.ssh/authorized_keys deploy:deploy 600 ")

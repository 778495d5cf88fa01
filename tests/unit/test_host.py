"""The host: preflight, accounts, sudo, keys, directories as the document has them."""

from __future__ import annotations

import re
from collections.abc import Callable

from components.keys import public_key
from components.unit import Unit
from settings import Settings

Units = Callable[[Settings], dict[str, Unit]]


def test_preflight_is_first_and_only_refuses(prod_units: dict[str, Unit]) -> None:
    names = list(prod_units)
    assert names[:3] == ["host/runner", "host/preflight", "host/owner"]
    unit = prod_units["host/preflight"]
    assert unit.expect == "system ubuntu 22.04\nmemory enough\ndisk enough\npreflight passed"
    assert re.fullmatch(r"preflight [0-9a-f]{16} system=ubuntu/22.04 .*memory=31 disk=388 .*", unit.apply)


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


def test_the_stack_logs_in_beside_others(prod: Settings, prod_units: dict[str, Unit]) -> None:
    own = public_key(prod.ssh_private_key.get_secret_value())
    unit = prod_units["host/login-key"]
    assert unit.apply == f"ensure_login_key deploy '{own}'"
    assert unit.expect == "login key of deploy present"
    assert "host/authorized-keys" not in prod_units


def test_login_keys_of_the_settings_are_all_keys(stack: Callable[..., Settings], units_of: Units) -> None:
    keys = ["ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"]
    settings = stack("prod", server={"authorizedKeys": keys})
    own = public_key(settings.ssh_private_key.get_secret_value())
    unit = units_of(settings)["host/authorized-keys"]
    assert unit.payload == f"ssh-ed25519 AAAA one\nssh-ed25519 BBBB two\n{own}\n"
    assert unit.expect.startswith("file /home/deploy/.ssh/authorized_keys deploy:deploy 600 ")


def test_the_host_carries_its_stack(prod: Settings, prod_units: dict[str, Unit], staging: Settings) -> None:
    assert prod.owner == "itqan/prod i0123456789abcdef"
    assert staging.owner == "itqan/staging copy"
    unit = prod_units["host/owner"]
    assert (unit.payload or "").splitlines()[1:] == ["stack itqan/prod i0123456789abcdef"]
    assert unit.remove is None

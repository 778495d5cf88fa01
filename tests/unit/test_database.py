"""The database: schema, an account that is limited to it, local only, the password never in a command."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from components.unit import Unit
from settings import Settings

Units = Callable[[Settings], dict[str, Unit]]
# What a MySQL option file does with the characters of a value in double quotes.
OPTION_ESCAPES = re.compile(r'\\(["\\])')


def test_schema_and_account(prod_units: dict[str, Unit]) -> None:
    assert prod_units["database/schema"].expect.splitlines() == [
        "database itqan_platform utf8mb4",
        "account itqan@127.0.0.1 USAGE itqan_platform:ALL",
        "account itqan@localhost USAGE itqan_platform:ALL",
        "database login ok",
        "port 3306 local only",
    ]


def test_the_account_gets_the_schema_and_nothing_else(prod_units: dict[str, Unit]) -> None:
    payload = prod_units["database/schema"].payload or ""
    grants = [line for line in payload.splitlines() if line.startswith("GRANT")]
    assert grants == [
        f"GRANT ALL PRIVILEGES ON `itqan\\_platform`.* TO 'itqan'@'{host}';"
        for host in ("127.0.0.1", "localhost")
    ]
    assert payload.count("REVOKE ALL PRIVILEGES, GRANT OPTION FROM") == 2
    assert not re.search(r"DROP|'%'|WITH GRANT OPTION", payload)


@pytest.mark.parametrize(
    "password", ["plain", "with'quote", 'with"double', "back\\slash", "hash#;x", "' OR '1'='1"]
)
def test_any_password_arrives_as_it_is(
    stack: Callable[..., Settings], units_of: Units, password: str
) -> None:
    units = units_of(stack("prod", databasePassword=password))
    literal = password.replace("\\", "\\\\").replace("'", "''")
    assert (units["database/schema"].payload or "").count(f"IDENTIFIED BY '{literal}';\n") == 2
    client = units["database/client"].payload or ""
    quoted = re.fullmatch(r'password="((?:[^"\\]|\\["\\])*)"', client.splitlines()[-1])
    assert quoted
    assert OPTION_ESCAPES.sub(r"\1", quoted.group(1)) == password


def test_the_password_is_root_only(prod_units: dict[str, Unit]) -> None:
    assert prod_units["database/client"].expect.startswith("file /etc/itqan/database.cnf root:root 600 ")


def test_each_platforms_service(
    prod_units: dict[str, Unit], stack: Callable[..., Settings], units_of: Units
) -> None:
    assert prod_units["database/service"].expect == "service mysql enabled active"
    debian = units_of(stack("prod", platform="debian-13"))
    assert debian["database/service"].expect == "service mariadb enabled active"

"""The database: schema, an account that is limited to it, local only, the password never in a command."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from components.unit import Unit
from settings import Settings
from tests.unit.conftest import Bash

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
    unit = prod_units["database/schema"]
    assert "ensure_grants itqan_platform itqan 127.0.0.1 localhost" in unit.apply
    assert not re.search(r"GRANT|REVOKE|DROP|'%'", unit.payload or "")


def test_rights_that_are_right_are_left_alone(bash: Bash) -> None:
    """REVOKE and GRANT one after the other would fail the requests in between."""
    given = "account itqan@localhost USAGE itqan_platform:ALL"
    fakes = (
        f"probe_schema() {{ if [ $3 = localhost ]; then echo '{given}'; else echo 'account itqan@x'; fi; }}\n"
        'sql_root() { printf "%s\\n" "$2"; }\n'
    )
    done = bash(f"{fakes}ensure_grants itqan_platform itqan 127.0.0.1 localhost")
    assert done.stdout.strip() == (
        "REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'itqan'@'127.0.0.1'; "
        "GRANT ALL PRIVILEGES ON `itqan\\_platform`.* TO 'itqan'@'127.0.0.1'"
    )


@pytest.mark.parametrize(
    "password", ["plain", "with'quote", 'with"double', "back\\slash", "hash#;x", "' OR '1'='1"]
)
def test_any_password_arrives_as_it_is(
    stack: Callable[..., Settings], units_of: Units, password: str
) -> None:
    units = units_of(stack("prod", databasePassword=password))
    literal = password.replace("\\", "\\\\").replace("'", "''")
    assert (units["database/schema"].payload or "").count(f" IDENTIFIED BY '{literal}';\n") == 4
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


def test_while_a_password_is_changed_the_account_has_two(
    stack: Callable[..., Settings], units_of: Units
) -> None:
    changing = {"databasePassword": "new'1", "rotation": {"of": "db", "previous": "old'1"}}
    mariadb = units_of(stack("prod", platform="debian-13", **changing))["database/schema"]
    assert (
        "ALTER USER 'itqan'@'localhost' IDENTIFIED VIA mysql_native_password USING PASSWORD('new''1') "
        "OR mysql_native_password USING PASSWORD('old''1');\n"
    ) in (mariadb.payload or "")
    mysql = units_of(stack("prod", **changing))["database/schema"]
    retain = "'ALTER USER ''itqan''@''localhost'' IDENTIFIED BY ''new''''1'' RETAIN CURRENT PASSWORD'"
    assert retain in (mysql.payload or "")
    for unit in (mariadb, mysql):
        assert "account itqan@localhost has a second password" in unit.expect
        assert unit.expect.count("second password") == 2


def test_afterwards_it_has_one(stack: Callable[..., Settings], units_of: Units) -> None:
    done = {"databasePassword": "new", "rotation": {"of": "db"}}
    mysql = units_of(stack("prod", **done))["database/schema"]
    assert (mysql.payload or "").count("DISCARD OLD PASSWORD") == 2
    assert "second password" not in mysql.expect

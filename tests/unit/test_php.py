"""PHP: pool and limits as section "PHP-FPM Configuration" has them."""

from __future__ import annotations

from components.unit import Unit
from settings import Settings

POOL = [
    "[www]",
    "user = www-data",
    "group = www-data",
    "listen = /run/php/php8.4-fpm.sock",
    "listen.owner = www-data",
    "listen.group = www-data",
    "pm = dynamic",
    "pm.max_children = 5",
    "pm.start_servers = 2",
    "pm.min_spare_servers = 1",
    "pm.max_spare_servers = 3",
]


def statements(unit: Unit) -> list[str]:
    """The lines of a payload without comments."""
    return [line for line in (unit.payload or "").splitlines() if line and not line.startswith(";")]


def test_the_pool_is_the_documents_table(prod_units: dict[str, Unit]) -> None:
    pool = prod_units["php/pool"]
    assert statements(pool) == ["[global]", "process_control_timeout = 30s", *POOL]
    assert pool.expect.startswith("file /etc/php/8.4/fpm/pool.d/www.conf root:root 644 ")


def test_limits_of_the_command_line_are_the_documents(prod_units: dict[str, Unit]) -> None:
    limits = prod_units["php/cli-limits"]
    assert statements(limits) == ["memory_limit = -1", "upload_max_filesize = 2M", "post_max_size = 8M"]
    assert " /etc/php/8.4/cli/conf.d/90-itqan.ini " in limits.expect


def test_limits_of_fpm_are_said_explicitly(prod_units: dict[str, Unit]) -> None:
    limits = prod_units["php/fpm-limits"]
    assert statements(limits) == ["memory_limit = 128M", "upload_max_filesize = 2M", "post_max_size = 8M"]
    assert " /etc/php/8.4/fpm/conf.d/90-itqan.ini " in limits.expect


def test_fpm_accepts_a_file_before_it_stays_and_runs_with_it(prod_units: dict[str, Unit]) -> None:
    for name in ("php/pool", "php/fpm-limits"):
        note, place, *then = prod_units[name].apply.splitlines()
        assert note.startswith("note_patience php-fpm8.4 php8.4-fpm /etc/php/8.4/fpm/")
        assert place.endswith(" php-fpm8.4 -t")
        (reload,) = then
        assert reload.startswith("reload_fpm 8.4 php8.4-fpm 'php-fpm: pool www' /etc/php/8.4/fpm/")
        assert prod_units[name].expect.splitlines()[1:] == [
            "loaded php8.4-fpm current",
            "second FPM none",
        ]


def test_no_other_pool_answers(prod_units: dict[str, Unit]) -> None:
    assert prod_units["php/pools"].expect == "entries /etc/php/8.4/fpm/pool.d www.conf"


def test_php_is_the_documented_version(prod_units: dict[str, Unit]) -> None:
    assert prod_units["php/command"].expect == "link /etc/alternatives/php -> /usr/bin/php8.4"
    assert prod_units["php/service"].expect == "service php8.4-fpm enabled active"


def test_the_pool_runs_as_the_web_user(staging: Settings, staging_units: dict[str, Unit]) -> None:
    assert f"user = {staging.server.web_user}" in statements(staging_units["php/pool"])

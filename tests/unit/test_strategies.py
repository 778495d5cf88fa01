"""The strategies of releases as settings, units and nginx's site; what migrations may break."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from components.nginx import site_content
from components.sandbox import writable_application
from components.unit import Unit
from settings import Settings, SettingsError

Units = Callable[[Settings], dict[str, Unit]]


@pytest.fixture
def atomic(stack: Callable[..., Settings]) -> Settings:
    """The production server with releases beside the running one."""
    return stack("prod", release={"strategy": "atomic"})


def test_a_changed_strategy_changes_these_units_and_no_other(
    prod: Settings, atomic: Settings, units_of: Units
) -> None:
    before, after = units_of(prod), units_of(atomic)
    assert {name for name in after if after[name] != before[name]} == {"release/layout", "nginx/site"}
    assert before["release/layout"].expect == "layout in-place"
    assert after["release/layout"].expect == "layout atomic"
    assert after["release/layout"].apply == "/usr/local/sbin/itqan-release layout atomic"
    assert after["release/layout"].probe == "probe_layout /var/www/itqan-platform storage"


def test_the_site_of_the_document_knows_nothing_of_folders(prod: Settings) -> None:
    assert not any(word in site_content(prod) for word in (".itqan-platform", "8079", "@earlier", "upstream"))


def test_the_site_keeps_releases_apart(atomic: Settings) -> None:
    content = site_content(atomic)
    assert "root /var/www/.itqan-platform/assets;" in content
    assert "fastcgi_param SCRIPT_FILENAME $realpath_root$fastcgi_script_name;" in content
    own = content.index("fastcgi_param DOCUMENT_ROOT $realpath_root;")
    assert content.index("include fastcgi_params;") < own
    assert "proxy_pass http://itqan_reverb;" in content
    assert [line.split()[1] for line in content.splitlines() if line.startswith("    server 127")] == [
        "127.0.0.1:8080",
        "127.0.0.1:8079",
        "127.0.0.1:8080",
    ]


def test_a_sandbox_lets_the_application_write_where_releases_are(stack: Callable[..., Settings]) -> None:
    changes = {"application": {"path": "/home/deploy/site"}, "release": {"strategy": "atomic"}}
    assert writable_application(stack("prod", **changes)) == [
        "ReadWritePaths=/home/deploy/site",
        "ReadWritePaths=/home/deploy/.site",
    ]


@pytest.mark.parametrize(
    ("value", "allowed"),
    [({"strategy": "blue-green"}, "in-place or atomic"), ({"keepReleases": 0}, "1 to 100")],
)
def test_a_wrong_value_says_what_is_allowed(
    stack: Callable[..., Settings], value: dict[str, object], allowed: str
) -> None:
    with pytest.raises(SettingsError, match=allowed):
        stack("prod", release=value)

"""Packages: exact versions as pins, pinned keys, one transaction."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from components.packages import _glob
from components.platform import Platform
from components.unit import Unit
from settings import Settings

Units = Callable[[Settings], dict[str, Unit]]


def pins(unit: Unit) -> dict[str, str]:
    """Package and pattern of every entry of the preferences."""
    return dict(re.findall(r"Package: (.+)\nPin: version (\S+)\nPin-Priority: 1001\n", unit.payload or ""))


def test_the_documents_versions_are_pinned(prod_units: dict[str, Unit]) -> None:
    assert pins(prod_units["packages/pins"]) == {
        "nginx nginx-* libnginx-mod-*": "/^([0-9]+:)?1[.]18[.]0([-+~.]|$)/",
        "php8.4-fpm": "/^([0-9]+:)?8[.]4([-+~.]|$)/",
        "php8.4-cli": "/^([0-9]+:)?8[.]4([-+~.]|$)/",
        "mysql-server-8.0 mysql-server-core-8.0": "/^([0-9]+:)?8[.]0([-+~.]|$)/",
        "mysql-client-8.0 mysql-client-core-8.0": "/^([0-9]+:)?8[.]0([-+~.]|$)/",
        "redis-server redis-tools": "/^([0-9]+:)?6[.]0[.]16([-+~.]|$)/",
        "nodejs": "/^([0-9]+:)?20[.]19([-+~.]|$)/",
    }


@pytest.mark.parametrize(
    ("version", "matches"),
    [
        ("1.18.0-6ubuntu14.4", True),
        ("1:1.18.0", True),
        ("1.18.0+dfsg", True),
        ("1.18.01", False),
        ("11.18.0-1", False),
        ("1.1800", False),
    ],
)
def test_a_pin_matches_exactly_its_version(version: str, matches: bool) -> None:
    assert bool(re.search(_glob("1.18.0").strip("/"), version)) is matches


def test_followed_packages_are_held_at_their_version(prod_units: dict[str, Unit]) -> None:
    unit = prod_units["packages/installed"]
    held = sorted(names.split()[0] for names in pins(prod_units["packages/pins"]))
    assert unit.expect.splitlines()[-1] == f"held {' '.join(held)}"
    assert "package nginx 1.18.0" in unit.expect.splitlines()
    assert "package supervisor installed" in unit.expect.splitlines()
    for version in ("8.2", "8.3"):
        assert f"package php{version}-fpm installed" in unit.expect.splitlines()


def test_one_transaction_for_everything(any_units: list[Unit]) -> None:
    installs = [unit.name for unit in any_units if "apt_install" in unit.apply]
    assert installs[0] == "packages/installed"
    assert set(installs[1:]) <= {"hardening/packages", "backup/packages"}
    assert not any(
        re.search(r"\bapt(-get)? (install|upgrade)|dist-upgrade", unit.apply) for unit in any_units
    )


def test_every_source_has_its_key_pinned(prod_units: dict[str, Unit], ubuntu: Platform) -> None:
    unit = prod_units["packages/sources"]
    for source in ubuntu.sources:
        fingerprints = sorted(key.fingerprint for key in source.keys)
        assert all(re.fullmatch(r"[0-9A-F]{40}", fingerprint) for fingerprint in fingerprints)
        assert (
            f"keyring /etc/apt/keyrings/{source.name}.gpg {' '.join(fingerprints)}"
            in unit.expect.splitlines()
        )
        assert f"Signed-By: /etc/apt/keyrings/{source.name}.gpg" in unit.apply.splitlines()
        assert all(url.startswith("https://") for url in (source.uri, *(key.url for key in source.keys)))
    assert "trusted=yes" not in unit.apply.lower()


def test_composer_has_its_digest_pinned(
    prod: Settings, prod_units: dict[str, Unit], ubuntu: Platform
) -> None:
    assert ubuntu.phar is not None
    assert ubuntu.phar.version == prod.software.composer
    assert prod.software.composer in ubuntu.phar.url
    assert re.fullmatch(r"[0-9a-f]{64}", ubuntu.phar.sha256)
    assert prod_units["packages/composer"].expect.endswith(f" root:root 755 sha256:{ubuntu.phar.sha256}")


def test_a_copy_of_the_sample_brings_the_framework(stack: Callable[..., Settings], units_of: Units) -> None:
    units = units_of(stack("staging", platform="debian-13"))
    assert "package php-laravel-framework installed" in units["packages/installed"].expect
    assert "php8.2-fpm" not in units["packages/installed"].expect

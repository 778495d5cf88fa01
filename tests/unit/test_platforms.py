"""Platforms: both give every role of the document, and say what they cannot give."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from components.platform import Package, Platform, load_platform
from components.render import FILES
from settings import Settings

ROLES = (
    "nginx",
    "redis-server",
    "nodejs",
    "supervisor",
    "certbot",
    "php8.4-fpm",
    "php8.4-cli",
    "php8.4-redis",
    "cron",
)


@pytest.mark.parametrize("name", sorted(path.stem for path in (FILES / "platforms").glob("*.yaml")))
def test_every_role_has_a_package(name: str) -> None:
    platform = load_platform(name)
    packages = [package.name for package in platform.packages]
    assert [role for role in ROLES if role not in packages] == []
    assert len(set(packages)) == len(packages)
    assert name == f"{platform.release.id}-{platform.release.version}"
    assert any(package.startswith(("mysql-server", "mariadb-server")) for package in packages)


def test_the_documents_platform_substitutes_nothing(ubuntu: Platform, prod: Settings) -> None:
    assert ubuntu.substitutions == []
    assert ubuntu.database_service == "mysql"
    followed = {package.follows for package in ubuntu.packages if package.follows}
    assert followed == set(type(prod.software).model_fields) - {"npm", "composer"}


def test_a_substitution_names_what_is_documented_and_why(debian: Platform, prod: Settings) -> None:
    documented = {entry.what: entry.documented for entry in debian.substitutions}
    assert documented["nginx"] == prod.software.nginx
    assert documented["database"] == f"MySQL {prod.software.mysql}"
    assert documented["Redis"] == prod.software.redis
    assert documented["npm"] == prod.software.npm
    assert documented["Composer"] == prod.software.composer
    assert all(
        entry.reason and entry.here and entry.here != entry.documented for entry in debian.substitutions
    )


def test_a_package_follows_the_settings_as_far_as_its_precision(prod: Settings) -> None:
    assert Package(name="x").version(prod) is None
    assert Package(name="x", follows="php", precision=2).version(prod) == "8.4"
    assert Package(name="x", follows="php").version(prod) == "8.4.16"


def test_a_platform_file_with_an_unknown_key_is_refused(debian: Platform) -> None:
    with pytest.raises(ValidationError, match="bogus"):
        Platform.model_validate({**debian.model_dump(), "bogus": 1})


def test_package_names_are_names(ubuntu: Platform, debian: Platform) -> None:
    for platform in (ubuntu, debian):
        names = [package.name for package in (*platform.packages, *platform.sample_packages)]
        assert [name for name in names if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", name)] == []

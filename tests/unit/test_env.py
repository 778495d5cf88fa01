"""The .env: what phpdotenv reads back is what the settings say."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from components.release import dotenv, environment
from components.unit import Unit
from settings import Settings


def read(text: str) -> dict[str, str]:
    """A .env as vlucas/phpdotenv 5 reads it: a bare value ends at a blank or #, a quoted one has escapes."""
    entries: dict[str, str] = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(r'([A-Z][A-Z0-9_]*)=(?:"((?:[^"\\$]|\\["\\$])*)"|([^\s"\'#$\\]*))', line)
        assert match, f"phpdotenv would read this otherwise: {line}"
        name, quoted, bare = match.groups()
        entries[name] = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    return entries


@pytest.mark.parametrize(
    "value",
    [
        "",
        "plain",
        "two words",
        " blanks around ",
        "$HOME and ${HOME}",
        'say "hi"',
        "it's",
        "back\\slash",
        "\\",
        '\\"',
        "\\$",
        "a#b # c",
        "a=b",
        "base64:AbC+/=",
        "إتقان",
        "naïve café ☕",
        "`id` $(id) ;&|",
        "\\n stays two characters",
    ],
)
def test_a_value_is_read_back_as_it_was_written(stack: Callable[..., Settings], value: str) -> None:
    settings = stack("prod", environment={"PROBE": value}, mailPassword=value or "x")
    found = read(dotenv(settings))
    assert found["PROBE"] == value
    assert found["MAIL_PASSWORD"] == (value or "x")


def test_everything_is_read_back(any_settings: Settings) -> None:
    assert read(dotenv(any_settings)) == environment(any_settings)


def test_the_text(prod: Settings) -> None:
    text = dotenv(prod)
    assert text.startswith("# managed by itqan, files/release/env.j2")
    assert text.endswith("\n")
    lines = text.splitlines()
    assert 'APP_NAME="Itqan Platform"' in lines
    assert "APP_DEBUG=false" in lines
    assert "APP_URL=https://itqanway.com" in lines
    assert len(lines) == 1 + len(environment(prod))


def test_what_a_copy_does_not_have_is_absent(staging: Settings, secrets: dict[str, str]) -> None:
    bare = staging.model_copy(update={"mail_username": None, "mail_password": None})
    text = dotenv(bare)
    assert "MAIL_USERNAME" not in text
    assert "None" not in text
    assert secrets["mailPassword"] not in text


def test_owner_mode_and_secrecy(prod_units: dict[str, Unit]) -> None:
    unit, path = prod_units["release/env"], "/var/www/itqan-platform/.env"
    assert unit.expect.startswith(f"file {path} deploy:deploy 755 keyed-sha256:")
    assert unit.secret
    assert unit.apply.splitlines()[-1] == f"cache_variables {path} /usr/local/sbin/itqan-release"

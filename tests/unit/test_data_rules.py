"""The rules by which data become anonymous: what is accepted, and what is said of the rest."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from components.render import FILES
from operations.data.bring import SAMPLE_RULES
from operations.data.rules import KINDS, FileRule, parse_rules, read_rules
from operations.errors import ConfigurationError

NAME = "anonymise.prod.yaml"
GOOD = """\
tables:
  users:
    email: email
    deleted_reason: null
    settings:
      $.phone: phone
      $.members[*].email: email
  sessions: drop rows
  migrations: {}
files:
  "*/logos/**": keep
  "**/*.pdf": placeholder
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as told:
        parse_rules(text, NAME)
    return [line.strip() for line in str(told.value).splitlines()]


def test_rules_are_read() -> None:
    rules = parse_rules(GOOD, NAME)
    assert rules.tables["users"].columns == {"email": "email", "deleted_reason": "null"}
    assert rules.tables["users"].paths == {"settings": {"$.phone": "phone", "$.members[*].email": "email"}}
    assert rules.tables["sessions"].drop
    assert rules.tables["migrations"].columns == {}


def test_files_go_by_the_first_pattern_and_stay_behind_without_one() -> None:
    rules = parse_rules(GOOD, NAME)
    assert rules.file_kind("7/logos/a/b.pdf") == "keep"
    assert rules.file_kind("7/papers/x.pdf") == "placeholder"
    assert rules.file_kind("x.pdf") == "placeholder"
    assert rules.file_kind("7/8/logos/x.png") == "drop"


def test_a_star_is_no_slash() -> None:
    assert FileRule("*/a.txt", "keep").matches("7/a.txt")
    assert not FileRule("*/a.txt", "keep").matches("7/8/a.txt")
    assert not FileRule("a.txt", "keep").matches("aXtxt")


def test_every_mistake_is_told_with_its_line() -> None:
    text = """\
tables:
  users:
    email: mail
    email: email
    settings:
      phone: phone
  sessions: drop
  posts:
file: {}
files:
  "*": email
"""
    assert mistakes(text) == [
        "the rules for data are not usable:",
        f"{NAME}:3: users.email: mail: allowed: {', '.join(KINDS)}",
        f"{NAME}:4: users: email stands twice",
        f"{NAME}:6: users.settings: phone: allowed: a path such as $.address.phone or $.list[*].email",
        f"{NAME}:7: sessions: drop: allowed: drop rows, or columns with kinds, or {{}}",
        f"{NAME}:8: posts: nothing: allowed: drop rows, or columns with kinds, or {{}}",
        f"{NAME}:9: file: allowed: tables, files",
        f"{NAME}:11: *: email: allowed: keep, placeholder, drop",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tables: [", f"{NAME}:1: no YAML"),
        ("", f"{NAME}:1: the file: allowed: an object of tables, files"),
        ("tables: users", f"{NAME}:1: tables: allowed: an object of tables"),
        ("tables: {users: {email: [a]}}", f"{NAME}:1: users.email: a list or an object: allowed"),
        ("a: \x07", f"{NAME}: no YAML"),
    ],
)
def test_what_is_no_such_file_is_one_line(text: str, said: str) -> None:
    assert any(line.startswith(said) for line in mistakes(text)), mistakes(text)


def test_the_sample_applications_rules_name_its_tables() -> None:
    migrations = (FILES / "sample-app/database/migrations").glob("*.php")
    tables = {re.findall(r"create\('(\w+)'", path.read_text())[0] for path in migrations}
    assert read_rules(SAMPLE_RULES).tables.keys() == tables | {"migrations"}


def test_a_file_that_is_missing_says_what_it_is_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"anonymise.prod.yaml: no such file; .*docs/data.md"):
        read_rules(tmp_path / NAME)

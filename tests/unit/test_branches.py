"""Copies of branches: names that never collide, secrets that are their own, a configuration that follows."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from components.repository import branch_commit, branches
from components.sample import sample_repository
from components.staging import labels
from components.unit import Unit
from settings import (
    AUTHORITY,
    BACKUP_MAC,
    BRANCH_SEED,
    DOCKER_KEY,
    SECRETS,
    Settings,
    SettingsError,
    load,
    slug,
    stack_of,
    usual_subnet,
)

Config = Callable[..., dict[str, Any]]
SEED = "c2VlZA=="
LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# Names that differ and become the same words.
ALIKE = [
    "feature-x",
    "feature/x",
    "Feature/X",
    "feature_x",
    "feature--x",
    "feature-x-",
    "FEATURE-X",
    "ﬁx/ümlaut",
]


def any_branches(count: int) -> list[str]:
    """Names as people and machines make them, always the same ones."""
    chance = random.Random(6)
    letters = "abcdefxyz0189-/_.ABCé#+@إ"
    return ["".join(chance.choices(letters, k=chance.randint(1, 90))) for _ in range(count)]


@pytest.mark.parametrize("branch", ["main", "feature-search", "2026-q1", "a", "x" * 40])
def test_a_name_that_is_a_label_stays(branch: str) -> None:
    assert slug(branch) == branch


@pytest.mark.parametrize(
    ("branch", "words"),
    [("feature/search", "feature-search"), ("Main", "main"), ("x" * 41, "x" * 31), ("--", ""), ("إتقان", "")],
)
def test_every_other_name_is_cut_and_ends_in_a_digest(branch: str, words: str) -> None:
    assert re.fullmatch(rf"{words}{'-' if words else ''}[0-9a-f]{{8}}", slug(branch))


def test_a_slug_is_a_label_and_leaves_room_for_the_rest() -> None:
    for branch in [*any_branches(3000), *ALIKE]:
        made = slug(branch)
        assert LABEL.fullmatch(made), branch
        assert len(f"*.{made}.itqan.localhost") <= 64
        assert len(stack_of(branch)) <= 63


def test_no_two_branches_share_a_slug() -> None:
    names = {*any_branches(3000), *ALIKE}
    # a branch that is called like another one's slug
    names |= {slug(name) for name in names}
    assert len({slug(name) for name in names}) == len(names)


@pytest.fixture
def of_branch(config: Config, root: Path) -> Callable[..., Settings]:
    """A function: the settings of a branch's copy, with changes laid over Pulumi.staging.yaml."""

    def make(branch: str, **changes: Any) -> Settings:
        values = config("staging", **{"branch": branch, BRANCH_SEED: SEED, **changes})
        return load(stack_of(branch), values, root)

    return make


def test_what_follows_from_the_branch(of_branch: Callable[..., Settings]) -> None:
    settings = of_branch("feature-x")
    assert settings.domain == "feature-x.itqan.localhost"
    assert settings.server.hostname == "staging-feature-x"
    assert settings.release.ref == "feature-x"
    assert (
        of_branch("feature-x", staging={"domain": "copies.itqan.dev"}).domain == "feature-x.copies.itqan.dev"
    )
    assert settings.subnet == usual_subnet("staging-feature-x")


def test_the_copy_is_marked(of_branch: Callable[..., Settings], staging: Settings) -> None:
    marks = labels(of_branch("feature/x", staging={"backend": "0123456789ab"}))
    assert marks["itqan.branch"] == "feature/x"
    assert marks["itqan.backend"] == "0123456789ab"
    assert set(labels(staging)) == {"itqan.project", "itqan.stack"}


def secrets_of(settings: Settings) -> dict[str, str]:
    """Every secret that is made."""
    return {
        name: value.get_secret_value()
        for name, secret in SECRETS.items()
        if secret.generate and (value := settings.secret(name))
    }


def test_secrets_are_the_same_on_every_machine_and_the_copys_own(
    of_branch: Callable[..., Settings], secrets: dict[str, str]
) -> None:
    made = [secrets_of(of_branch(branch)) for branch in ("one", "two")]
    assert made[0] == secrets_of(of_branch("one"))
    assert secrets_of(of_branch("one", **{BRANCH_SEED: "b3RoZXI="})) != made[0]
    for name in (AUTHORITY, DOCKER_KEY, BACKUP_MAC, "observerPrivateKey"):
        assert {each.pop(name) for each in made} == {secrets[name]}
    values = [value for each in made for value in each.values()]
    own = {name for name, secret in SECRETS.items() if secret.generate and "docker" in secret.targets} - {
        AUTHORITY
    }
    assert len(set(values)) == len(values) == 2 * len(own)
    assert not set(values) & set(secrets.values())
    assert SEED not in values


def test_the_seed_is_not_handed_to_the_program_and_a_users_secrets_are(
    of_branch: Callable[..., Settings], secrets: dict[str, str]
) -> None:
    settings = of_branch("one")
    assert settings.branch_seed is None
    assert settings.mail_password is not None
    assert settings.mail_password.get_secret_value() == secrets["mailPassword"]


@pytest.mark.parametrize("name", [name for name, secret in SECRETS.items() if secret.generate])
def test_a_secret_is_a_function_of_one_call_of_its_source(name: str) -> None:
    make = SECRETS[name].generate
    assert make is not None
    calls = itertools.count()

    def source(length: int) -> bytes:
        next(calls)
        return bytes(range(length))

    assert make(source) == make(source)
    assert next(calls) == 2
    assert make() != make()


def test_ssh_keys_are_as_openssh_keeps_them() -> None:
    make = SECRETS["sshPrivateKey"].generate
    assert make is not None
    text = make(bytes)
    key = asyncssh.import_private_key(text)
    # the public key of the seed of 32 zeros: RFC 8032 gives no such case, libsodium and OpenSSL agree on it
    assert key.convert_to_public().export_public_key().split()[1] == (
        b"AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
    )


@pytest.mark.parametrize(
    ("stack", "changes", "line"),
    [
        ("staging-two", {}, "itqan:branch: one: its stack is called staging-one and not staging-two"),
        (
            "staging-one",
            {BRANCH_SEED: None},
            "itqan:branchSeed: missing; type: ./itqan branch up one",
        ),
        (
            "staging-one",
            {"target": "host"},
            "itqan:branch: one: only a copy (itqan:target: docker) is of a branch",
        ),
        ("staging-one", {"branch": 5}, "itqan:branch: 5: allowed: the name of a git branch"),
    ],
)
def test_what_cannot_be_a_branchs_copy(
    config: Config, root: Path, stack: str, changes: dict[str, Any], line: str
) -> None:
    values = config("staging", **{"branch": "one", BRANCH_SEED: SEED, **changes})
    with pytest.raises(SettingsError) as refused:
        load(stack, values, root)
    assert line in refused.value.problems


def test_only_copies_are_loaded_from_a_dump(config: Config, root: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        load("prod", config("prod", staging={"database": "/srv/x.sql"}), root)
    line = "itqan:staging.database: a dump is for copies; a server's database is not loaded"
    assert refused.value.problems == [line]


@pytest.mark.parametrize(
    "value", ["x.sql", "/srv/x.tar", "http://x/y.sql", "https://x/y.dump", "/srv/x\n.sql"]
)
def test_what_is_no_dump(config: Config, root: Path, value: str) -> None:
    with pytest.raises(SettingsError, match=r"which ends in \.sql, \.sql\.gz or \.sql\.zst"):
        load("staging", config("staging", staging={"database": value}), root)


@pytest.mark.parametrize(("ttl", "seconds"), [("90m", 5400), ("12h", 43200), ("7d", 604800), ("2w", 1209600)])
def test_how_old_a_copy_may_get(stack: Callable[..., Settings], ttl: str, seconds: float) -> None:
    assert stack("staging", staging={"ttl": ttl}).staging.ttl_seconds == seconds
    assert stack("staging").staging.ttl_seconds is None


def test_a_dump_is_loaded_before_the_release_and_unpacked_with_what_it_needs(
    stack: Callable[..., Settings], units_of: Callable[[Settings], dict[str, Unit]]
) -> None:
    settings = stack("staging", staging={"database": "https://x/y.sql.zst?z=1"})
    units = units_of(settings)
    names = list(units)
    assert names.index("database/schema") < names.index("database/data") < names.index("release/code")
    assert units["database/data"].apply.endswith(" /etc/itqan/database.cnf 'https://x/y.sql.zst?z=1'")
    assert "zstd" in units["packages/installed"].apply
    assert "database/data" not in units_of(stack("staging"))
    assert "zstd" not in units_of(stack("staging"))["packages/installed"].apply


def test_only_copies_are_seeded(
    stack: Callable[..., Settings], units_of: Callable[[Settings], dict[str, Unit]]
) -> None:
    seeded = units_of(stack("staging"))
    assert "release/seeds" in seeded
    assert "SEEDS=yes\nDATABASE=itqan_platform\n" in (seeded["release/settings"].payload or "")
    for settings in (stack("staging", staging={"seed": False}), stack("prod")):
        units = units_of(settings)
        assert "release/seeds" not in units
        assert "SEEDS" not in (units["release/settings"].payload or "")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A bare repository with three branches, and a tag that is called like no branch."""
    from tests.unit.test_release import git

    work, bare = tmp_path / "work", tmp_path / "bare.git"
    work.mkdir()
    git("init", "-q", folder=work)
    for branch in ("main", "feature/search", "feature/seats"):
        git("checkout", "-q", "-B", branch, folder=work)
        git("commit", "-q", "--allow-empty", "-m", branch, folder=work)
    git("tag", "feature/gone", folder=work)
    git("clone", "-q", "--bare", str(work), str(bare), folder=tmp_path)
    return bare


def test_a_copy_takes_nothing_but_its_branch(of_branch: Callable[..., Settings], repository: Path) -> None:
    release = {"repository": str(repository)}
    found = branches(of_branch("main", release=release))
    assert set(found) == {"main", "feature/search", "feature/seats"}
    assert branch_commit(of_branch("feature/seats", release=release)) == found["feature/seats"]
    for gone in ("feature/gone", "a" * 40):
        with pytest.raises(SettingsError, match=f"^branch {gone}: {repository} has no such branch; it has "):
            branch_commit(of_branch(gone, release=release))


def test_a_misspelt_branch_is_told_with_those_that_are_near(
    of_branch: Callable[..., Settings], repository: Path
) -> None:
    with pytest.raises(SettingsError) as refused:
        branch_commit(of_branch("feature/serch", release={"repository": str(repository)}))
    assert refused.value.problems[0].endswith("it has feature/search, feature/seats")


def test_the_sample_has_one_branch(of_branch: Callable[..., Settings]) -> None:
    assert branch_commit(of_branch("main")) == sample_repository().commit
    with pytest.raises(SettingsError, match="branch other: sample has no such branch; it has main"):
        branch_commit(of_branch("other"))

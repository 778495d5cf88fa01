"""The release: its configuration, its commit, the repository's keys, the permissions table."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from components.release import with_options
from components.repository import wanted_commit
from components.sample import sample_repository
from components.unit import Unit
from settings import Settings, SettingsError

Units = Callable[[Settings], dict[str, Unit]]


def sourced(conf: str, name: str) -> str:
    """What bash sees in a variable after reading the configuration."""
    program = f'set -euo pipefail; . /dev/stdin; printf %s "${name}"'
    done = subprocess.run(["bash", "-c", program], input=conf, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ROOT", "/var/www/itqan-platform"),
        ("DEPLOY_USER", "deploy"),
        ("WEB_USER", "www-data"),
        ("PHP", "php8.4"),
        ("REPOSITORY", "git@github.com:itqan/itqan-platform.git"),
        ("COMPOSER_FILE", "composer.json"),
        ("APPLICATION_OWNER", "deploy:www-data"),
        ("APPLICATION_MODE", "755"),
        ("WRITABLE_OWNER", "deploy:www-data"),
        ("WRITABLE_MODE", "775"),
        ("WRITABLE_PATHS", "storage bootstrap/cache"),
    ],
)
def test_the_tools_configuration(prod_units: dict[str, Unit], name: str, value: str) -> None:
    conf = prod_units["release/settings"].payload or ""
    assert sourced(conf, name) == value
    assert conf.startswith("# managed by itqan, components/release.py")


def test_a_configuration_cannot_run_commands(stack: Callable[..., Settings], units_of: Units) -> None:
    settings = stack("prod", release={"repository": "https://x/$(touch${IFS}here)'\"`id`"})
    conf = units_of(settings)["release/settings"].payload or ""
    assert sourced(conf, "REPOSITORY") == "https://x/$(touch${IFS}here)'\"`id`"


def test_ssh_never_accepts_an_unknown_host(
    prod_units: dict[str, Unit], staging_units: dict[str, Unit]
) -> None:
    for units in (prod_units, staging_units):
        command = sourced(units["release/settings"].payload or "", "SSH_COMMAND")
        assert "StrictHostKeyChecking=no" not in command
        assert "StrictHostKeyChecking=yes" in command
        assert "BatchMode=yes" in command


def test_a_deploy_key_ends_in_a_newline(prod_units: dict[str, Unit], secrets: dict[str, str]) -> None:
    """OpenSSH refuses a key file without it, and `pulumi config set` takes the last newline away."""
    assert prod_units["release/deploy-key"].payload == f"{secrets['deployKey']}\n"


def test_the_release_is_a_commit_in_a_clean_tree(prod_units: dict[str, Unit], prod: Settings) -> None:
    unit = prod_units["release/code"]
    assert unit.expect.splitlines() == [
        f"commit {prod.release.ref}",
        "changes none",
        "vendor current",
        "build current",
        "caches config routes views",
        "maintenance off",
    ]
    assert unit.apply == f"/usr/local/sbin/itqan-release deploy {prod.release.ref} {prod.release.ref}"


def test_the_permissions_table(prod_units: dict[str, Unit]) -> None:
    unit = prod_units["release/permissions"]
    assert unit.probe == (
        "probe_permissions /var/www/itqan-platform deploy:www-data 755 "
        "deploy:www-data 775 storage bootstrap/cache"
    )
    assert unit.expect == "permissions as in the table"


def test_only_the_sample_is_served_by_the_host_itself(
    prod_units: dict[str, Unit], staging_units: dict[str, Unit]
) -> None:
    assert "release/origin" not in prod_units
    origin = staging_units["release/origin"]
    assert origin.payload == sample_repository().stream
    assert origin.expect.endswith(f" main {sample_repository().commit}")


def git(*arguments: str, folder: Path) -> str:
    """git's answer, with an identity."""
    identity = ["-c", "user.name=x", "-c", "user.email=x@y.z", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a branch and an annotated tag."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git("init", "-q", folder=folder)
    git("commit", "-q", "--allow-empty", "-m", "one", folder=folder)
    git("tag", "-a", "v1", "-m", "v1", folder=folder)
    git("commit", "-q", "--allow-empty", "-m", "two", folder=folder)
    return folder


def with_release(prod: Settings, repository: Path | str, ref: str) -> Settings:
    """The settings with another release."""
    release = prod.release.model_copy(update={"repository": str(repository), "ref": ref})
    return prod.model_copy(update={"release": release})


def test_a_commit_is_taken_as_it_is(prod: Settings) -> None:
    assert wanted_commit(with_release(prod, "https://nowhere.invalid/x", "a" * 40)) == "a" * 40


def test_a_branch_and_a_tag_are_looked_up(prod: Settings, repository: Path) -> None:
    assert wanted_commit(with_release(prod, repository, "main")) == git(
        "rev-parse", "HEAD", folder=repository
    )
    assert wanted_commit(with_release(prod, repository, "v1")) == git(
        "rev-parse", "HEAD~1", folder=repository
    )


def test_an_unknown_ref_is_refused(prod: Settings, repository: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"^itqan:release.ref: 'gone': the repository has no such branch or tag"
    ):
        wanted_commit(with_release(prod, repository, "gone"))


def test_a_repository_that_does_not_answer_is_refused(prod: Settings, tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"^itqan:release.repository: .*/gone: .*; check the URL and the key"
    ) as refused:
        wanted_commit(with_release(prod, tmp_path / "gone", "main"))
    assert len(refused.value.problems) == 1


def test_the_sample_has_one_branch(staging: Settings) -> None:
    assert wanted_commit(staging) == sample_repository().commit
    with pytest.raises(SettingsError, match="allowed: main, the sample's only branch"):
        wanted_commit(with_release(staging, "sample", "develop"))


def test_options_make_a_release_of_what_runs_already(prod_units: dict[str, Unit]) -> None:
    code = prod_units["release/code"]
    asked = with_options(code, ["--full", "--skip-npm"], "word")
    assert asked.apply == f"{code.apply} --full --skip-npm\necho word >/run/itqan-release-asked"
    assert asked.expect == f"{code.expect}\nword"
    assert asked.probe.startswith(code.probe)
    assert with_options(code, [], "word") is code

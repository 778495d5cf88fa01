"""Secrets of a copy: where they may be found after every kind of run, and nowhere else."""

from __future__ import annotations

import json

import pytest

from tests.sentinel import (
    APPLICATION,
    IN_ADDRESSES,
    KNOW,
    found_in,
    found_on,
    kept_by_the_engine,
    needles,
    sampled,
)

from .copy import Copy, itqan, poll, pulumi


@pytest.fixture(scope="module")
def secrets(copy: Copy) -> dict[str, str]:
    """A text by which each secret of the copy is recognised, by name."""
    shown = json.loads(pulumi("config", "--show-secrets", "--json", "--stack", copy.stack).stdout)
    made = needles(json.loads(shown["itqan:secrets"]["value"]))
    assert {"appKey", "databasePassword", "tsigSecret", "sshPrivateKey"} <= made.keys()
    return made


def said(*arguments: str) -> str:
    result = itqan(*arguments, check=False)
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def told(copy: Copy, secrets: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What every kind of run said while each secret file was written anew, one run failing."""
    page = tmp_path_factory.mktemp("pages") / "audit.html"
    copy.bash(f"rm {APPLICATION}/.env /etc/itqan/database.cnf /etc/letsencrypt/rfc2136.ini")
    texts = {"preview": said("preview", "--diff", "--stack", copy.stack)}
    texts["audit"] = said("audit", "--html", str(page), "--stack", copy.stack)
    texts["page"] = page.read_text(encoding="utf-8")
    texts["json"] = said("audit", "--json", "--stack", copy.stack)
    with sampled() as sampler:
        copy.bash("mount --bind /etc/itqan /etc/itqan && mount -o remount,ro,bind /etc/itqan")
        failed = itqan("up", "--stack", copy.stack, check=False)
        copy.bash("umount /etc/itqan")
        assert failed.returncode == 1
        texts["failed up"] = failed.stdout + failed.stderr
        texts["up"] = said("up", "--stack", copy.stack)
    texts["processes"] = "\n".join(sampler.found(secrets))
    assert sampler.rounds > 10
    poll(lambda: itqan("audit", "--stack", copy.stack, check=False).returncode == 0, 30, "a clean copy")
    return texts


@pytest.mark.parametrize("run", ["preview", "audit", "page", "json", "failed up", "up"])
def test_no_run_says_one(told: dict[str, str], secrets: dict[str, str], run: str) -> None:
    assert told[run]
    assert [name for name, text in secrets.items() if text in told[run]] == []


def test_no_process_has_one_in_its_arguments_or_environment(told: dict[str, str]) -> None:
    assert told["processes"] == ""


@pytest.mark.usefixtures("told")
def test_state_and_logs_have_none(secrets: dict[str, str]) -> None:
    kept = kept_by_the_engine()
    assert kept
    assert found_in(kept, secrets) == set()


@pytest.mark.usefixtures("told")
def test_on_the_server_only_what_needs_them_has_them(copy: Copy, secrets: dict[str, str]) -> None:
    unseen = {name: text for name, text in secrets.items() if name not in IN_ADDRESSES}
    found = found_on(copy.outputs["container"], unseen)
    assert found - KNOW == set()
    assert f"{APPLICATION}/.env" in found  # the search finds what is there

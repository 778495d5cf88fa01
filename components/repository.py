"""The repository of the release, as this machine reaches it: which branches it has, and at which commit."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from settings import Settings, SettingsError, address_of

from . import access
from .sample import BRANCH, sample_repository

HEADS = "refs/heads/"
PATIENCE = 30  # seconds that a repository gets to answer
TELLING = re.compile(
    r"denied|verification failed|ot found|refused|resolve|timed out|unreachable|Authentication"
)
NEAR = 5  # branches that are shown where one was misspelt


def wanted_commit(settings: Settings) -> str:
    """The commit that the settings ask for, as 40 hexadecimal digits.

    A commit is taken as it is; a branch or a tag is looked up in the repository, from this machine. The copy
    of a branch takes nothing but that branch.
    Raises SettingsError when the repository does not answer or has no such ref.
    """
    release = settings.release
    if settings.branch:
        return branch_commit(settings)
    if re.fullmatch(r"[0-9a-f]{40}", release.ref):
        return release.ref
    if release.repository == "sample":
        if release.ref != BRANCH:
            raise SettingsError(
                [f"itqan:release.ref: {release.ref!r}: allowed: {BRANCH}, the sample's only branch"]
            )
        return sample_repository().commit
    # whole names: git matches a short one by its end, so that `main` would find `feature/main` too
    names = [f"{HEADS}{release.ref}", f"refs/tags/{release.ref}^{{}}", f"refs/tags/{release.ref}"]
    found = _references(settings, names)
    commit = next((found[name] for name in names if name in found), None)
    if commit is None:
        advice = "the repository has no such branch or tag; or give a full commit"
        raise SettingsError([f"itqan:release.ref: {release.ref!r}: {advice}"])
    return commit


def branches(settings: Settings) -> dict[str, str]:
    """Every branch of the repository with its newest commit. Raises SettingsError when it does not answer."""
    if settings.release.repository == "sample":
        return {BRANCH: sample_repository().commit}
    return {
        name.removeprefix(HEADS): commit
        for name, commit in _references(settings, [f"{HEADS}*"]).items()
        if name.startswith(HEADS)
    }


def branch_commit(settings: Settings) -> str:
    """The newest commit of the branch that a copy is of.

    Raises SettingsError when the repository does not answer, or has no such branch: with those that are near.
    """
    found = branches(settings)
    if settings.branch in found:
        return found[settings.branch]
    near = difflib.get_close_matches(str(settings.branch), sorted(found), NEAR) or sorted(found)[:NEAR]
    has = f"it has {', '.join(near)}" if near else "it has no branch at all"
    raise SettingsError(
        [f"branch {settings.branch}: {settings.release.repository} has no such branch; {has}"]
    )


def _references(settings: Settings, patterns: Sequence[str]) -> dict[str, str]:
    """What `git ls-remote` says of names that match: each with its commit."""
    if not shutil.which("git"):
        raise _unreachable(settings, "git is missing on this machine")
    with tempfile.TemporaryDirectory(prefix="itqan-") as folder:
        options, environment = _access(settings, Path(folder))
        try:
            answer = subprocess.run(
                ["git", *options, "ls-remote", "--", settings.release.repository, *patterns],
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
                env={**os.environ, "GIT_TERMINAL_PROMPT": "0", **environment},
            )
        except subprocess.TimeoutExpired:
            raise _unreachable(settings, f"no answer within {PATIENCE} seconds") from None
    if answer.returncode:
        raise _unreachable(settings, _reason(answer.stderr))
    return {name: commit for commit, name in (line.split("\t") for line in answer.stdout.splitlines())}


def _reason(said: str) -> str:
    """The line that says most of what git and ssh said: over SSH the last one is general advice."""
    said_lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in said_lines if TELLING.search(line)]
    return (telling or said_lines or ["git failed"])[-1]


def _access(settings: Settings, folder: Path) -> tuple[list[str], dict[str, str]]:
    """Options and environment of git by which this machine reads the repository.

    With the token or the key of the settings; without one, a repository over SSH with whatever key this user
    logs in with elsewhere. The git server is known by the pinned keys alone.
    """
    if settings.repository_token:
        token = _private(folder / "token", access.credential(settings))
        wanted = access.credential_settings(address_of(settings.release.repository).origin, str(token))
        return [word for name, value in wanted.items() for word in ("-c", f"{name}={value}")], {}
    if settings.deploy_key is None and not access.makes_own_key(settings):
        return [], {}
    hosts = _private(folder / "known_hosts", access.known_hosts(settings))
    key = settings.deploy_key
    file = str(_private(folder / "key", key.get_secret_value())) if key else None
    return [], {"GIT_SSH_COMMAND": access.ssh_command(file, str(hosts))}


def _private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def _unreachable(settings: Settings, reason: str) -> SettingsError:
    repository = settings.release.repository
    whose = "your own key (`ssh-add -l`)" if access.makes_own_key(settings) else "the key"
    whose = "the token" if settings.repository_token else whose
    advice = f"check the URL and {whose}, or give itqan:release.ref as a full commit"
    return SettingsError([f"itqan:release.repository: {repository}: {reason}; {advice}"])

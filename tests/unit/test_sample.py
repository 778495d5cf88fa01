"""The sample repository: the commit that is computed is the commit that git makes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from components.sample import BRANCH, Repository, sample_repository

FILES = {
    "a": "file a\n",
    "a.b": "sorts before a folder a\n",
    "a-b": "sorts before it too\n",
    "b.txt": "sorts before b/\n",
    "b/nested/deep.txt": "deep\n",
    "b/z": "",
    "b0": "sorts after b/\n",
    "no newline at the end": "x",
    "ünïcode/إتقان.txt": "إتقان\n",
    "looks like a command": "done\nM 100644 inline x\ndata 3\n",
}
EXECUTABLE = ("artisan", "b/run.sh")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files whose names git orders in its own way, two of them executable."""
    place = tmp_path / "application"
    for name in (*FILES, *EXECUTABLE):
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(FILES.get(name, "#!/bin/sh\n"))
        path.chmod(0o755 if name in EXECUTABLE else 0o644)
    return place


def git(repository: Path, *arguments: str, stdin: str | None = None) -> str:
    """git's answer in a repository."""
    return subprocess.run(
        ["git", "-C", str(repository), *arguments], input=stdin, capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture
def imported(folder: Path, tmp_path: Path) -> tuple[Path, Repository]:
    """A bare repository that git itself made from the stream."""
    sample = sample_repository(folder)
    repository = tmp_path / "repository.git"
    subprocess.run(["git", "init", "-q", "--bare", str(repository)], check=True)
    git(repository, "fast-import", "--quiet", "--done", stdin=sample.stream)
    return repository, sample


def test_the_commit_is_the_one_that_git_makes(imported: tuple[Path, Repository]) -> None:
    repository, sample = imported
    assert git(repository, "rev-parse", BRANCH).strip() == sample.commit
    git(repository, "fsck", "--strict")


def test_files_and_modes_arrive(imported: tuple[Path, Repository]) -> None:
    repository, _ = imported
    listed = [
        entry.split("\t") for entry in git(repository, "ls-tree", "-r", "-z", BRANCH).split("\0") if entry
    ]
    modes = {name: meta.split()[0] for meta, name in listed}
    assert modes == dict.fromkeys(FILES, "100644") | dict.fromkeys(EXECUTABLE, "100755")
    for name, content in FILES.items():
        assert git(repository, "show", f"{BRANCH}:{name}") == content


def test_importing_again_changes_nothing_and_a_new_commit_replaces(
    imported: tuple[Path, Repository], folder: Path
) -> None:
    repository, sample = imported
    git(repository, "fast-import", "--quiet", "--force", "--done", stdin=sample.stream)
    assert git(repository, "rev-parse", BRANCH).strip() == sample.commit
    (folder / "a").unlink()
    sample_repository.cache_clear()
    changed = sample_repository(folder)
    git(repository, "fast-import", "--quiet", "--force", "--done", stdin=changed.stream)
    assert git(repository, "rev-parse", BRANCH).strip() == changed.commit != sample.commit
    assert "a" not in git(repository, "ls-tree", "--name-only", BRANCH).splitlines()


def test_what_git_ignores_is_not_part_of_it(folder: Path) -> None:
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    (folder / ".gitignore").write_text("vendor/\n")
    (folder / "vendor").mkdir()
    (folder / "vendor" / "autoload.php").write_text("<?php\n")
    stream = sample_repository(folder).stream
    assert "inline .gitignore\n" in stream
    assert "autoload.php" not in stream


def test_the_shipped_application_is_text_and_always_the_same_commit(tmp_path: Path) -> None:
    sample = sample_repository()
    sample_repository.cache_clear()
    assert sample_repository() == sample
    repository = tmp_path / "repository.git"
    subprocess.run(["git", "init", "-q", "--bare", str(repository)], check=True)
    git(repository, "fast-import", "--quiet", "--done", stdin=sample.stream)
    assert git(repository, "rev-parse", BRANCH).strip() == sample.commit

"""Files of the checkout: they parse, and they name nothing of the place where they were written."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from jinja2 import Environment, StrictUndefined

TEXT_LIMIT = 2_000_000  # bytes; nothing that people write is longer

# Built from parts, so that this very file does not contain them.
FOREIGN = [
    re.compile(pattern)
    for pattern in (
        "/" + r"work/(main|shared|\.library)\b",
        "/" + r"tmp/(venv|eng|brief)\b",
        r"-----BEGIN (OPENSSH |RSA |EC )?PRIVATE " + r"KEY-----\n[A-Za-z0-9+/=]{20}",
        r"https?://[^\s/]*" + r"(artifactory|nexus|mirror)[^\s/]*/",
        r"(?i)index[-_]url\s*=",
        r"https?://[^\s/:@]+:[^\s/@$}]+@",
    )
]


def tracked(root: Path, *patterns: str) -> list[Path]:
    """What git tracks or would, of the given patterns."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns],
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for name in listed.stdout.split("\0") if name and (path := root / name).is_file()]


def contents(root: Path) -> dict[str, str]:
    """Every text file of the checkout by its name."""
    found = {}
    for path in tracked(root):
        content = path.read_bytes()
        if b"\0" not in content[:8000]:
            found[path.relative_to(root).as_posix()] = content.decode()
    return found


def test_nothing_of_the_place_where_it_was_written(root: Path) -> None:
    wrong = {
        (name, match.group())
        for name, content in contents(root).items()
        for pattern in FOREIGN
        if (match := pattern.search(content))
    }
    assert wrong == set()


def test_the_patterns_find_what_they_are_for() -> None:
    samples = [
        "cd /" + "work/main",
        "/" + "tmp/venv/bin/python",
        "-----BEGIN PRIVATE " + "KEY-----\n" + "A" * 30,
        "https://mirror" + ".example/debian",
        "index" + "_url = x",
        "https://me:word" + "@example.org",
    ]
    assert [bool(pattern.search(sample)) for pattern, sample in zip(FOREIGN, samples, strict=True)] == [
        True
    ] * 6


def test_text_ends_in_a_newline_without_trailing_blanks(root: Path) -> None:
    generated = re.compile(
        r"(^|/)(package-lock\.json|composer[a-z.]*\.lock|go\.sum)$|^tests/conformance/suite/|\.lock$"
    )
    wrong = []
    for name, content in contents(root).items():
        lines = content.split("\n")
        if (
            not generated.search(name)
            and content
            and (lines[-1] or any(line != line.rstrip() for line in lines))
        ):
            wrong.append(name)
    assert wrong == []


def test_files_are_small(root: Path) -> None:
    assert [path.name for path in tracked(root) if path.stat().st_size > TEXT_LIMIT] == []


def test_yaml_parses(root: Path) -> None:
    files = tracked(root, "*.yaml", "*.yml")
    assert root / "Pulumi.prod.yaml" in files
    for path in files:
        assert list(yaml.safe_load_all(path.read_text())), path


def test_templates_compile(root: Path) -> None:
    files = tracked(root, "*.j2")
    assert len(files) >= 6
    for path in files:
        Environment(undefined=StrictUndefined, autoescape=False).parse(path.read_text())


def test_programs_are_executable(root: Path) -> None:
    assert [name for name in ("itqan", ".ci/run") if not (root / name).stat().st_mode & 0o100] == []


@pytest.mark.parametrize("name", ["Pulumi.staging.yaml", "Pulumi.prod.yaml"])
def test_a_shipped_stack_holds_no_secret(root: Path, name: str) -> None:
    # as it is committed: whoever has brought a copy up has secrets in the file that lies here
    command = ["git", "-C", str(root), "show", f"HEAD:{name}"]
    content = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "config:" in content
    assert "secure:" not in content
    assert "encryptionsalt" not in content

"""A run of the engine whose program waits for something else: a release."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from operations import run as module
from operations.engine import Engine
from operations.events import Record
from operations.run import run_up
from operations.stack import Stack

STACK = Stack("prod", Engine(Path("pulumi")), "host")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Callable[[], bool]]:
    """An engine that ends at once; the program's question whether it may begin."""
    questions: list[Callable[[], bool]] = []

    def start(
        *_: object, file: Path | None, may_begin: Callable[[], bool], **__: Any
    ) -> subprocess.Popen[bytes]:
        assert file == tmp_path / "Pulumi.prod.yaml"
        questions.append(may_begin)
        return subprocess.Popen(["true"])

    monkeypatch.setattr(module, "LOGS", tmp_path)
    monkeypatch.setattr(module, "start_inline", start)
    monkeypatch.setattr(module, "load_program_modules", lambda **_: None)
    return questions


def test_the_program_begins_after_what_comes_first(
    asked: list[Callable[[], bool]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def follow(_stack: Stack, process: subprocess.Popen[bytes], _events: object) -> Record:
        process.wait()
        assert asked[0]()
        done.append("program")
        return Record()

    monkeypatch.setattr(module, "_follow", follow)
    run_up(STACK, tmp_path / "Pulumi.prod.yaml", before=lambda: done.append("release"))
    assert done == ["release", "program"]


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()])
def test_what_comes_first_fails_and_the_program_does_not_begin(
    asked: list[Callable[[], bool]], tmp_path: Path, error: BaseException
) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        run_up(STACK, tmp_path / "Pulumi.prod.yaml", before=fail)
    assert not asked[0]()

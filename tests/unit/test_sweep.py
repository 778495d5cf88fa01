"""Copies in the list and in the sweep; who works on one; where a run's time went."""

from __future__ import annotations

import json
import multiprocessing
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from operations import branch, branches, paths, waiting
from operations.copies import Copy, Row, age_words, table
from operations.engine import Engine
from operations.errors import OperationError
from operations.events import Change, Resource
from operations.paths import file_options, stack_file
from operations.steps import Span, Steps
from operations.sweep import GRACE, _why
from operations.trace import write_trace

HEADS = {"main": "a" * 40}


def copy(name: str, age: float) -> Copy:
    """A copy that was brought up some seconds ago."""
    return Copy(f"staging-{name}", name, "id", time.time() - age, {})


@pytest.mark.parametrize(
    ("branch", "age", "ttl", "has_containers", "why"),
    [
        ("main", 3 * GRACE, None, True, None),
        ("main", 10.0, 3600.0, True, None),
        ("gone", 10.0, None, True, "its branch is gone"),
        ("main", 7300.0, 3600.0, True, "last brought up 2 h ago, longer than itqan:staging.ttl"),
        ("main", 2 * GRACE, None, False, "Docker has no container of it"),
        # one that is being made has a state before it has a container
        ("main", GRACE / 2, None, False, None),
    ],
)
def test_why_a_copy_goes(
    branch: str, age: float, ttl: float | None, has_containers: bool, why: str | None
) -> None:
    assert _why(copy(branch, age), HEADS, ttl, has_containers=has_containers) == why


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (7199, "1 h"), (172800, "2 d")]
)
def test_ages(seconds: float, words: str) -> None:
    assert age_words(seconds) == words


def test_the_list_is_a_table() -> None:
    assert table([]) == "no branch has a copy; ./itqan branch up BRANCH makes one"
    row = Row("x/y", "staging-x-y", "0123456789abcdef", 90, "ok", "https://x.itqan.localhost", None)
    assert table([row]).splitlines() == [
        "  branch  commit        age    health  address                    host  memory",
        "  x/y     0123456789ab  1 min  ok      https://x.itqan.localhost  here  -",
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is derived goes there; no Docker daemon answers."""
    for module in (branches, paths, waiting):
        monkeypatch.setattr(module, "BRANCHES", tmp_path)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    return tmp_path


def test_a_branchs_configuration_is_derived(folder: Path) -> None:
    from settings import stack_file_config

    engine = Engine(Path("pulumi"), {"PULUMI_BACKEND_URL": "s3://states"})
    branches.derive("staging-x", "1.0", engine, Steps())
    file = folder / "Pulumi.staging-x.yaml"
    values, base = stack_file_config(file), stack_file_config(branches.BASE)
    assert values["branch"] == "1.0"
    assert set(values["staging"]) >= {"subnet", "backend"}
    assert {**values, "staging": None, "branch": None, "connection": None} == {
        **base,
        "staging": None,
        "branch": None,
        "connection": None,
    }
    assert file_options("staging-x") == ["--config-file", str(file)]
    assert stack_file("staging-x") == file
    assert file_options("staging") == []
    branches.derive("staging-y", "y", engine, Steps())
    assert (
        values["staging"]["subnet"]
        != stack_file_config(folder / "Pulumi.staging-y.yaml")["staging"]["subnet"]
    )


def test_an_encrypted_value_stays_what_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = folder / "base.yaml"
    text = (
        "encryptionsalt: v1:abc\nconfig:\n  itqan:target: docker\n  itqan:branchSeed:\n    secure: v1:xyz\n"
    )
    base.write_text(text)
    monkeypatch.setattr(branches, "BASE", base)
    branches.derive("staging-x", "x", Engine(Path("pulumi"), {"PULUMI_BACKEND_URL": "file:///s"}), Steps())
    derived = (folder / "Pulumi.staging-x.yaml").read_text()
    assert "encryptionsalt: v1:abc" in derived
    assert "secure: v1:xyz" in derived


def _hold(ready: Event, end: Event) -> None:
    with waiting.one_at_a_time("x", Steps(), "works"):
        ready.set()
        end.wait(30)


@pytest.mark.usefixtures("folder")
def test_the_second_of_two_runs_waits(capsys: pytest.CaptureFixture[str]) -> None:
    context = multiprocessing.get_context("fork")
    ready, end = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(ready, end))
    other.start()
    assert ready.wait(30)
    assert waiting.is_taken("x")
    assert not waiting.is_taken("y")

    class Telling(Steps):
        """The other one ends as soon as this one says that it waits."""

        def say(self, text: str) -> None:
            super().say(text)
            end.set()

    with waiting.one_at_a_time("x", Telling(), "another run works on it"):
        assert capsys.readouterr().err == "▸ Waiting: another run works on it\n"
    other.join()
    assert not waiting.is_taken("x")


@pytest.mark.usefixtures("folder")
def test_a_lock_file_that_is_gone_is_made_anew() -> None:
    with waiting.one_at_a_time("x", Steps(), "works"):
        waiting.lock_file("x").unlink()
        with waiting.one_at_a_time("x", Steps(), "works"):
            assert waiting.is_taken("x")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("has_image", "is_alone"), [([True], False), ([False, False], True), ([False, True], False)]
)
def test_the_first_images_are_built_once(
    monkeypatch: pytest.MonkeyPatch, has_image: list[bool], is_alone: bool
) -> None:
    """Alone while there is none; whoever waited for them goes on beside the others."""
    answers = iter(has_image)
    monkeypatch.setattr(branch, "_has_server_image", lambda _: next(answers))
    with branch._images("staging-x", Steps()):
        assert waiting.is_taken("images") is is_alone
    assert not waiting.is_taken("images")


def test_a_trace(tmp_path: Path) -> None:
    thing = Resource("release-code", "command:remote:Command", "Release")
    spans = [Span("stack", "Opening the state", 100.0, 0.5)]
    write_trace(tmp_path / "trace.json", spans, [Change(thing, "update", 101.25, 2.0)])
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert [(e["name"], e["args"]["name"]) for e in events if e["ph"] == "M"] == [
        ("thread_name", "preparation"),
        ("thread_name", "Release"),
    ]
    assert [(e["name"], e["ts"], e["dur"], e["tid"]) for e in events if e["ph"] == "X"] == [
        ("stack", 0, 500000, 1),
        ("release-code", 1250000, 2000000, 2),
    ]
    with pytest.raises(OperationError, match=r"--trace /nowhere/trace\.json: cannot be written"):
        write_trace(Path("/nowhere/trace.json"), [], [])

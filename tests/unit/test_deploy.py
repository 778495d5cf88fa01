"""`deploy` and `rollback`: the host first, then configuration and state; a failure changes neither."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.observation import Endpoint, State, Unreachable
from components.side import Side
from components.unit import Unit
from operations import cli
from operations import deploy as module
from operations.deploy import RESTS_ON, deploy, roll_back
from operations.engine import Engine
from operations.errors import ConfigurationError, OperationError
from operations.paths import stack_file
from operations.steps import Steps

OLD, RUNS, NEW = "a" * 40, "b" * 40, "c" * 40


class World:
    """A configuration and a host.

    done     what was done, in words
    brought  the units that were brought
    """

    def __init__(self, own: dict[str, Any]) -> None:
        self.own = own
        self.done: list[str] = []
        self.brought: list[Unit] = []
        self.log: list[dict[str, Any]] = []
        self.wrong = ""
        self.succeeds = True
        self.under_way = "release none"
        self.engine_read: dict[str, Any] = {}

    def look(self, sides: Sequence[tuple[Side, list[Unit]]]) -> list[list[State]]:
        [(_, units)] = sides
        self.done.append("look")
        log = "".join(json.dumps(entry) + "\n" for entry in self.log)
        found = {"release/code": f"commit {RUNS}\nchanges none", "release/log": log, self.wrong: "wrong"}
        found["health/release"] = self.under_way
        return [[State(unit, found.get(unit.name, unit.expect)) for unit in units]]

    async def perform(
        self, _endpoint: Endpoint, unit: Unit, _owner: str, heard: Callable[[str], None]
    ) -> bool:
        self.done.append("release")
        self.brought.append(unit)
        heard("release: step 1, pre-deployment checks")
        return self.succeeds

    def store(self, _name: str, _engine: Engine, values: Mapping[str, str]) -> None:
        self.done.append(f"store {values}")
        self.own["release"] = {**self.own["release"], "ref": values["release.ref"]}

    def up(self, _stack: object, file: Path, before: Callable[[], None]) -> None:
        self.engine_read = yaml.safe_load(file.read_text())
        before()
        self.done.append("up")

    def noted(self, commit: str, result: str = "released") -> None:
        entry = dict.fromkeys(("author", "from", "ref", "by", "backup", "step"), "")
        self.log.append(
            {**entry, "when": "", "kind": "full", "seconds": 1.0, "commit": commit, "result": result}
        )


@pytest.fixture
def world(config: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    """A function: the world of a stack that runs RUNS, with changes laid over its configuration."""

    def make(stack: str = "prod", **changes: Any) -> World:
        release = {"repository": "/srv/git/x.git", "ref": RUNS}
        made = World(config(stack, **{"release": release, **changes}))
        monkeypatch.setattr(module, "ready_engine", lambda _: Engine(Path("pulumi")))
        monkeypatch.setattr(module, "own_configuration", lambda *_: dict(made.own))
        monkeypatch.setattr(module, "set_strings", made.store)
        monkeypatch.setattr(module, "ready_stack", lambda name, _: name)
        monkeypatch.setattr(module, "run_up", made.up)
        monkeypatch.setattr("operations.audit.look", made.look)
        monkeypatch.setattr("components.observation.perform", made.perform)
        return made

    return make


def test_the_host_comes_before_the_configuration_and_the_state(
    world: Callable[..., World], capsys: pytest.CaptureFixture[str]
) -> None:
    here = world()
    assert deploy("prod", NEW, [], Steps()) == f"itqan prod: {NEW} runs; before it {RUNS}"
    assert here.done[:2] == ["look", "release"]
    assert set(here.done[2:]) == {f"store {{'release.ref': '{NEW}'}}", "up"}  # side by side
    [unit] = here.brought
    assert (unit.name, unit.apply) == ("release/code", f"/usr/local/sbin/itqan-release deploy {NEW} {NEW}")
    assert "release: step 1, pre-deployment checks" in capsys.readouterr().err


@pytest.mark.parametrize("ref", [NEW, "12e34", "on", "0o17"])
def test_the_engine_reads_the_file_as_it_will_be(ref: str) -> None:
    before = yaml.safe_load(stack_file("prod").read_text())
    with module._file_with(stack_file("prod"), ref) as file:
        text = file.read_text()
        assert yaml.safe_load(text) == json.loads(text)
        read = json.loads(text)
    assert read["config"].pop("itqan:release") == {**before["config"].pop("itqan:release", {}), "ref": ref}
    assert read == before
    assert not file.exists()


def test_a_release_that_fails_leaves_configuration_and_state(world: Callable[..., World]) -> None:
    here = world()
    here.succeeds = False
    with pytest.raises(
        OperationError, match=r"^cccccccccccc was not released on 72\.62\.92\.156, the reason"
    ):
        deploy("prod", NEW, [], Steps())
    assert here.done == ["look", "release"]


def test_what_is_configured_is_released_without_a_word_about_it(world: Callable[..., World]) -> None:
    here = world()
    deploy("prod", None, ["--full"], Steps())
    assert here.done == ["look", "release", "up"]
    assert here.brought[0].apply.splitlines()[0].endswith(f"deploy {RUNS} {RUNS} --full")


# this stack has a deploy key
@pytest.mark.parametrize("name", [n for n in RESTS_ON if n not in ("release/own-key", "release/token")])
def test_a_host_that_is_not_ready_is_left_alone(world: Callable[..., World], name: str) -> None:
    here = world()
    here.wrong = name
    with pytest.raises(OperationError, match=rf"^{name}: not as expected, .*first: ./itqan up --stack prod"):
        deploy("prod", NEW, [], Steps())
    assert here.done == ["look"]


@pytest.mark.parametrize(("name", "waits"), [("release/env", True), ("release/layout", False)])
def test_a_release_under_way_is_waited_for(world: Callable[..., World], name: str, waits: bool) -> None:
    """Its caches are not made yet: `up` would not be sooner."""
    here = world()
    here.wrong, here.under_way = name, "release running\nSTEP step 7\nBY ali"
    if waits:
        deploy("prod", NEW, [], Steps())
        assert "release" in here.done
    else:
        with pytest.raises(OperationError, match=r"first: ./itqan up"):
            deploy("prod", NEW, [], Steps())
    here.under_way = "release left\nSTEP step 7\nBY ali"
    with pytest.raises(OperationError, match=r"first: ./itqan up"):
        deploy("prod", NEW, [], Steps())


def test_a_host_out_of_reach_is_one_line(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreachable(*_: object) -> bool:
        raise Unreachable("cannot look at it")

    here = world()
    monkeypatch.setattr("components.observation.perform", unreachable)
    with pytest.raises(OperationError, match=r"^cannot look at it$"):
        deploy("prod", NEW, [], Steps())
    assert here.done == ["look"]


@pytest.mark.parametrize("ref", ["-x", "a b", "a..b"])
def test_what_is_no_ref_is_refused_before_anything(world: Callable[..., World], ref: str) -> None:
    here = world()
    with pytest.raises(ConfigurationError, match=r"itqan:release.ref"):
        deploy("prod", ref, [], Steps())
    assert here.done == []


def test_back_is_the_last_good_release_that_does_not_run(world: Callable[..., World]) -> None:
    here = world()
    for commit, result in ((NEW, "released"), (OLD, "released"), ("d" * 40, "failed"), (RUNS, "released")):
        here.noted(commit, result)
    assert roll_back("prod", None, Steps()) == f"itqan prod: {OLD} runs; before it {RUNS}"
    assert here.done[:2] == ["look", "release"]
    assert set(here.done[2:]) == {f"store {{'release.ref': '{OLD}'}}", "up"}  # side by side


def test_back_to_a_commit_by_its_beginning(world: Callable[..., World]) -> None:
    here = world()
    for commit in (NEW, OLD):
        here.noted(commit)
    roll_back("prod", NEW[:7], Steps())
    assert here.own["release"]["ref"] == NEW


def test_back_to_a_commit_that_was_never_noted(world: Callable[..., World]) -> None:
    here = world()
    roll_back("prod", "d" * 40, Steps())
    assert here.own["release"]["ref"] == "d" * 40


def test_without_an_earlier_release_there_is_no_way_back(world: Callable[..., World]) -> None:
    here = world()
    here.noted(RUNS)
    with pytest.raises(OperationError, match=r"name one: ./itqan rollback prod COMMIT"):
        roll_back("prod", None, Steps())
    assert here.done == ["look"]


def test_fresh_is_refused_on_a_server_whatever_else_is_said(world: Callable[..., World]) -> None:
    here = world(environment={"APP_ENV": "staging"})
    with pytest.raises(OperationError, match=r"^--fresh drops all tables: refused for prod"):
        deploy("prod", NEW, ["--fresh", "--full"], Steps())
    assert here.done == []


@pytest.mark.parametrize(("typed", "released"), [("itqan_platform", True), ("yes", False), (None, False)])
def test_fresh_asks_for_the_databases_name(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, typed: str | None, released: bool
) -> None:
    here = world("staging")
    monkeypatch.setattr("sys.stdin.isatty", lambda: typed is not None)
    monkeypatch.setattr("builtins.input", lambda _: typed)
    if released:
        deploy("staging", NEW, ["--fresh"], Steps())
    else:
        with pytest.raises(OperationError, match=r"asks for that name on a terminal|nothing was released"):
            deploy("staging", NEW, ["--fresh"], Steps())
    assert ("release" in here.done) == released


def test_the_copy_of_a_branch_follows_its_branch(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world("staging")
    made = type("Copy", (), {"branch": "feature/x"})()
    monkeypatch.setattr("operations.audit.settings_of", lambda *_: made)
    with pytest.raises(OperationError, match=r"follows it; push, then: ./itqan branch up feature/x"):
        deploy("staging", NEW, [], Steps())


@pytest.mark.parametrize(
    ("words", "called"),
    [
        (["deploy", "prod"], ("prod", None, [])),
        (["deploy", "prod", "v1", "--quick", "--skip-npm"], ("prod", "v1", ["--quick", "--skip-npm"])),
        (["rollback", "prod"], ("prod", None)),
        (["rollback", "prod", "abcd"], ("prod", "abcd")),
    ],
)
def test_the_command_line(
    monkeypatch: pytest.MonkeyPatch, words: list[str], called: tuple[object, ...]
) -> None:
    seen: list[tuple[object, ...]] = []

    def take(*arguments: object) -> str:
        seen.append(arguments[:-1])
        return ""

    monkeypatch.setattr(module, "deploy", take)
    monkeypatch.setattr(module, "roll_back", take)
    monkeypatch.setattr("sys.argv", ["itqan", *words])
    assert cli.main() == 0
    assert seen == [called]


def test_quick_and_full_at_once_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["itqan", "deploy", "prod", "--quick", "--full"])
    assert cli.main() == 1
    assert "not allowed with argument" in capsys.readouterr().err


def test_a_stack_without_a_file_is_told_so() -> None:
    with pytest.raises(ConfigurationError, match=r"Pulumi.nowhere.yaml does not exist"):
        module._Deploy("nowhere", Engine(Path("pulumi")), Steps())

"""The order of a change, and that at no moment a secret is lost: each step fails once and is typed again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from components.observation import State
from components.rotation import application, new_key, old_key
from components.unit import Unit
from operations import rotate
from operations.engine import Engine
from operations.errors import ConfigurationError, OperationError
from operations.rotate import rotate_secret
from operations.steps import Steps
from settings import SECRETS, Settings, load

READS_ALL = "previous keys read\nredis name told\n"


class Killed(Exception):
    """What stands for the end of the process."""


class World:
    """A configuration, a host and an engine, each call of which may be the last of its run.

    calls   what was done, in words
    fails   how many more calls are made until one kills the run
    """

    def __init__(self, config: dict[str, Any], root: Path, stack: str) -> None:
        self.config, self._root, self._stack = config, root, stack
        self.calls: list[str] = []
        self.runs: list[Settings] = []
        self.fails = -1
        self.found = READS_ALL

    def settings(self) -> Settings:
        return load(self._stack, self.config, self._root)

    def did(self, what: str) -> None:
        if self.fails == 0:
            self.fails = -1
            raise Killed(what)
        self.fails -= 1
        self.calls.append(what)

    def store(self, _name: str, _engine: Engine, values: Mapping[str, Any]) -> None:
        self.did("store")
        self.config = {k: v for k, v in {**self.config, **values}.items() if v is not None}

    def up(self, _stack: object) -> None:
        self.did("up")
        self.runs.append(self.settings())

    async def converge(self, _endpoint: object, units: list[Unit], _owner: str) -> None:
        self.did(units[0].name)

    async def observe(self, _endpoint: object, _units: list[Unit]) -> list[State]:
        self.did("login")
        return []


@pytest.fixture
def world(
    config: Callable[..., dict[str, Any]], root: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., World]:
    """A function: the world of a stack with changes laid over its configuration."""

    def make(stack: str = "prod", **changes: Any) -> World:
        made = World(config(stack, **changes), root, stack)
        monkeypatch.setattr(rotate, "ready_engine", lambda _: Engine(Path("pulumi")))
        monkeypatch.setattr("operations.audit.read_settings", lambda *_: [made.settings()])
        monkeypatch.setattr(rotate, "store_secrets", made.store)
        monkeypatch.setattr(rotate, "bundle_secrets", lambda *_: None)
        monkeypatch.setattr(rotate, "ready_stack", lambda name, _: name)
        monkeypatch.setattr(rotate, "run_up", made.up)
        monkeypatch.setattr("components.observation.converge", made.converge)
        monkeypatch.setattr("components.observation.observe", made.observe)

        def look(sides: Any) -> list[list[State]]:
            return [[State(unit, unit.expect or made.found) for unit in units] for _, units in sides]

        monkeypatch.setattr("operations.audit.look", look)
        return made

    return make


def typed(_: World, of: str, stack: str = "prod") -> str:
    return rotate_secret(stack, of, Steps())


ORDER = {
    "db": ["store", "up", "store", "up", "store"],
    "redis": ["store", "up", "store", "up", "store"],
    "app-key": ["store", "up", "store", "up", "store"],
    "ssh": ["store", "rotation/new-key", "login", "store", "up", "rotation/old-key", "login", "store"],
}


@pytest.mark.parametrize("of", ORDER)
def test_the_order(world: Callable[..., World], of: str) -> None:
    made = world()
    typed(made, of)
    assert made.calls == ORDER[of]
    assert made.settings().rotation is None


@pytest.mark.parametrize("of", ORDER)
def test_killed_anywhere_it_is_continued_and_nothing_is_lost(world: Callable[..., World], of: str) -> None:
    name = rotate.NAMES[of]
    for moment in range(len(ORDER[of])):
        made = world()
        before = made.config.get(name)
        made.fails = moment
        with pytest.raises(Killed):
            typed(made, of)
        kept = str(made.config)
        if moment and moment < len(ORDER[of]) - 2 and before:
            assert repr(before)[1:-1] in kept, "the old one is needed until all use the new one"
        new = made.config[name] if made.config.get(name) != before else None
        typed(made, of)
        assert made.settings().rotation is None
        assert made.config[name] != before
        assert new in (None, made.config[name]), "it is the same new one"


def test_the_server_accepts_both_while_the_application_changes(world: Callable[..., World]) -> None:
    made = world()
    old = made.config["databasePassword"]
    typed(made, "db")
    first, last = made.runs
    assert first.previous("db") == old
    assert first.database_password.get_secret_value() != old
    assert first.is_rotating
    assert last.previous("db") is None
    assert not last.is_rotating


def test_a_first_redis_password_is_told_before_it_is_asked_for(world: Callable[..., World]) -> None:
    made = world()
    typed(made, "redis")
    assert [run.previous("redis") for run in made.runs] == ["nopass", None]


def test_every_old_key_stays_readable(world: Callable[..., World]) -> None:
    made = world(previousAppKeys="base64:oldest")
    old = made.config["appKey"]
    typed(made, "app-key")
    first, last = made.runs
    new = last.app_key.get_secret_value()
    assert first.app_key.get_secret_value() == old
    assert first.readable_app_keys == f"{new},base64:oldest"
    assert last.readable_app_keys == f"{old},base64:oldest"


def test_two_changes_at_once_are_refused(world: Callable[..., World]) -> None:
    made = world(rotation={"of": "db", "previous": "old"})
    with pytest.raises(OperationError, match=r"a change of db is under way; first: \./itqan rotate prod db"):
        typed(made, "redis")
    assert made.calls == []


@pytest.mark.parametrize(
    ("of", "lacks", "words"),
    [
        ("app-key", "previous keys ignored\nredis name told", "APP_PREVIOUS_KEYS"),
        ("app-key", "application does not start", "APP_PREVIOUS_KEYS"),
        ("redis", "previous keys read\nredis name ignored", "REDIS_USERNAME"),
    ],
)
def test_an_application_that_cannot_is_left_alone(
    world: Callable[..., World], of: str, lacks: str, words: str
) -> None:
    made = world()
    made.found = lacks
    with pytest.raises(OperationError, match=f"nothing was changed: .*{words}"):
        typed(made, of)
    assert made.calls == []


def test_a_second_redis_password_asks_nothing_of_the_application(world: Callable[..., World]) -> None:
    made = world(redisPassword="old")
    made.found = "redis name ignored"
    typed(made, "redis")
    assert made.runs[0].previous("redis") == "old"


def test_a_host_that_is_not_as_expected_is_brought_up_first(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world()

    def look(sides: Any) -> list[list[State]]:
        return [[State(unit, "nothing") for unit in units] for _, units in sides]

    monkeypatch.setattr("operations.audit.look", look)
    with pytest.raises(OperationError, match=r"database/schema.*: not as expected.*\./itqan up --stack prod"):
        typed(made, "db")
    assert made.calls == []


def test_the_login_of_a_copy_is_refused_with_what_to_do(world: Callable[..., World]) -> None:
    made = world("staging")
    with pytest.raises(ConfigurationError, match=r"is a copy.*\./itqan down --stack staging"):
        typed(made, "ssh", "staging")


def test_a_login_key_that_the_settings_authorise_too_is_refused(
    world: Callable[..., World], prod: Settings
) -> None:
    from components.keys import public_key

    own = public_key(prod.ssh_private_key.get_secret_value())
    made = world(server={"authorizedKeys": [f"{own} me"]})
    with pytest.raises(
        ConfigurationError, match=r"itqan:server\.authorizedKeys .* names the stack's own key"
    ):
        typed(made, "ssh")


def test_units_of_a_change_have_no_secret_in_them(prod: Settings) -> None:
    make = SECRETS["sshPrivateKey"].generate
    assert make
    old, new = make(), make()
    units = [application(prod), new_key(prod, old, new), old_key(prod, old)]
    text = repr(units)
    assert "PRIVATE" not in text
    assert not [unit for unit in units if unit.payload]

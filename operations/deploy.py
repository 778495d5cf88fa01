"""`deploy` and `rollback`: one release, brought by its unit; then the stack is told, so that `up` agrees.

The host comes first: a release that fails is taken back there, and the configuration still names what runs.
Killed in between, it is typed again. The engine, which takes a second to start, starts with the release and
waits for its end.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .engine import Engine
from .errors import OperationError
from .machine import ready_engine
from .paths import HOME, stack_file
from .production import ask_for_database, is_production
from .releases import SHORT, Release, parsed
from .run import run_up
from .stack import own_configuration, ready_stack, set_strings, staying_prepared
from .steps import Steps

if TYPE_CHECKING:
    from components.observation import Endpoint, State
    from components.side import Side
    from components.unit import Unit
    from settings import Settings

# What a release rests on, beside the code itself; of the ways to read the repository a stack has at most one.
RESTS_ON = (
    *("host/runner", "release/tool", "release/settings", "release/checkout", "release/layout", "release/env"),
    *("release/deploy-key", "release/own-key", "release/token"),
)
CODE, CACHED = "release/code", "release/env"
# What is needed next, loaded while the engine decrypts the configuration.
MODULES = ("asyncssh", "components.side", "jinja2")


def deploy(name: str, ref: str | None, options: Sequence[str], steps: Steps) -> str:
    """Releases a ref on a stack's host and makes it what the stack asks for. Returns what was done, in words.

    Arguments: `ref`, a branch, a tag or a commit; None: the one that is configured. `options`, those of
    itqan-release.
    Raises ConfigurationError for a ref that is none, OperationError when the host is not ready for it or the
    release failed; then it is taken back, and the configuration is as it was.
    """
    return _Deploy(name, ready_engine(steps), steps).run(ref, options)


def roll_back(name: str, ref: str | None, steps: Steps) -> str:
    """Releases an earlier commit again; the database is left alone. Returns what was done, in words.

    Arguments: `ref`, a commit (its beginning, where the host noted it), a branch or a tag; None: the commit
    of the last good release before the one that runs, as the host noted it.
    Raises as `deploy`.
    """
    return _Deploy(name, ready_engine(steps), steps).back(ref)


def require_no_production(settings: Settings) -> None:
    """Refuses what destroys data. Raises OperationError."""
    if is_production(settings):
        raise OperationError(
            f"--fresh drops all tables: refused for {settings.stack}, a server; copies on Docker have it"
        )


class _Deploy:
    """One run of `deploy` or `rollback`."""

    def __init__(self, name: str, engine: Engine, steps: Steps) -> None:
        from .audit import require_file

        require_file(name)
        self._name, self._engine, self._steps = name, engine, steps
        with ThreadPoolExecutor(1) as beside:
            own = beside.submit(own_configuration, name, engine)
            for module in MODULES:
                importlib.import_module(module)
            self._own = own.result()

    def run(self, ref: str | None, options: Sequence[str]) -> str:
        """See `deploy`."""
        from .audit import side_of

        settings = self._settings(ref)
        if "--fresh" in options:
            require_no_production(settings)
            _ask_for_name(settings)
        side = side_of(settings)
        return self._release(side, options, self._require_ready(self._look(side)))

    def back(self, ref: str | None) -> str:
        """See `roll_back`."""
        from components.release import log_unit

        from .audit import side_of

        side = side_of(self._settings(None))
        log = log_unit()
        states = self._look(side, [log])
        before = self._require_ready(states)
        target = _earlier(parsed(states.pop(log.name).found), before, ref)
        if target is None and ref is None:
            raise OperationError(
                f"{self._name}: no good release before the one that runs was noted on {side.endpoint.host}; "
                f"name one: ./itqan rollback {self._name} COMMIT"
            )
        return self._release(side_of(self._settings(target or ref)), [], before)

    def _settings(self, ref: str | None) -> Settings:
        """The settings, with another ref if one is given. Raises ConfigurationError."""
        from .audit import settings_of

        own = dict(self._own)
        if ref is not None:
            release = own.get("release")
            own["release"] = {**(release if isinstance(release, Mapping) else {}), "ref": ref}
        settings = settings_of(self._name, own)
        if settings.branch:
            raise OperationError(
                f"{self._name} is the copy of branch {settings.branch} and follows it; push, then: "
                f"./itqan branch up {settings.branch}"
            )
        return settings

    def _look(self, side: Side, further: Sequence[Unit] = ()) -> dict[str, State]:
        """What a release rests on, the code and what else is asked for, by name, as the host has it."""
        from components.health import release

        from .audit import look

        units = [unit for unit in side.units if unit.name in (*RESTS_ON, CODE)]
        under_way = release.look(side.settings.application.path)
        [states] = look([(side, [*units, under_way, *further])])
        return {state.unit.name: state for state in states}

    def _require_ready(self, states: Mapping[str, State]) -> str:
        """Returns the commit that runs. Raises OperationError when `up` has to come first."""
        from components.health import release

        differing = [name for name in RESTS_ON if name in states and not states[name].healthy]
        if CACHED in differing and release.RUNNING in states[release.PROBE].found.splitlines():
            differing.remove(CACHED)  # that release is waited for, and caches it
        if differing:
            raise OperationError(
                f"{', '.join(differing)}: not as expected, so nothing was released; "
                f"first: ./itqan up --stack {self._name}"
            )
        found = states[CODE].found.splitlines()
        return next((line.split()[1] for line in found if line.startswith("commit ")), "absent")

    def _release(self, side: Side, options: Sequence[str], before: str) -> str:
        """The release on the host, then in the configuration and the state."""
        from components.release import with_options

        settings = side.settings
        code = next(unit for unit in side.units if unit.name == CODE)
        unit = with_options(code, options, secrets.token_hex(8))
        stack = ready_stack(self._name, self._steps)
        self._steps.say(f"▸ {self._name}: {before[:SHORT]} → {side.commit[:SHORT]} ({settings.release.ref})")

        def release() -> None:
            if not _brought(side.endpoint, unit, settings.owner):
                raise OperationError(
                    f"{side.commit[:SHORT]} was not released on {side.endpoint.host}, the reason stands "
                    f"above; {stack_file(self._name).name} still names what was there"
                )
            storing.append(beside.submit(self._store, settings.release.ref))

        storing: list[Future[None]] = []
        with _file_with(stack_file(self._name), settings.release.ref) as file, ThreadPoolExecutor() as beside:
            run_up(stack, file, before=release)
        for stored in storing:
            stored.result()
        return f"itqan {self._name}: {side.commit} runs; before it {before}"

    def _store(self, ref: str) -> None:
        if self._settings(None).release.ref != ref:
            with staying_prepared(self._name):
                set_strings(self._name, self._engine, {"release.ref": ref})
            self._steps.say(f"▸ {stack_file(self._name).name}: itqan:release.ref is {ref}")


@contextmanager
def _file_with(file: Path, ref: str) -> Iterator[Path]:
    """A stack's file as it will be after the release, which the engine reads before.

    As JSON, in which a string is nothing else to any reader of YAML: `12e34` is a commit, too.
    """
    import yaml

    document = yaml.load(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
    config = document.get("config") or {}
    release = config.get("itqan:release")
    release = {**(release if isinstance(release, Mapping) else {}), "ref": ref}
    after = {**document, "config": {**config, "itqan:release": release}}
    made = HOME / "deploy" / file.name
    made.parent.mkdir(exist_ok=True)
    made.write_text(json.dumps(after, default=str))
    try:
        yield made
    finally:
        made.unlink(missing_ok=True)


def _earlier(releases: Sequence[Release], running: str, ref: str | None) -> str | None:
    """The commit of the newest good release that is another one than what runs.

    Arguments: `ref`, what it has to begin with; a commit that was never noted is looked up elsewhere.
    """
    if ref is not None and not re.fullmatch(r"[0-9a-f]{4,40}", ref):
        return None
    good = [entry.commit for entry in reversed(releases) if entry.succeeded and entry.commit != running]
    return next((commit for commit in good if commit.startswith(ref or "")), None)


def _brought(endpoint: Endpoint, unit: Unit, owner: str) -> bool:
    """The release; what the host says of it is passed on. Raises OperationError for a host out of reach."""
    from components.observation import Unreachable, perform

    def heard(line: str) -> None:
        if line.strip():
            print(f"  {line.strip()}", file=sys.stderr)

    try:
        return asyncio.run(perform(endpoint, unit, owner, heard))
    except Unreachable as error:
        raise OperationError(str(error)) from None


def _ask_for_name(settings: Settings) -> None:
    """Raises OperationError unless the database's name is typed."""
    unasked = f"--fresh drops all tables of {settings.database.name}; it asks for that name on a terminal"
    ask_for_database(settings, f"All tables of {settings.stack} are dropped", unasked, "nothing was released")

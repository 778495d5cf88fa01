"""The real program under Pulumi's mocks: no engine, no daemon, no network."""

from __future__ import annotations

import asyncio
import contextlib
import json
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pulumi
import pytest
from pulumi.runtime import config as engine_config
from pulumi.runtime import mocks
from pulumi.runtime.settings import SETTINGS, _get_rpc_manager, get_root_resource, set_root_resource
from pulumi.runtime.stack import Stack, run_pulumi_func
from pulumi.runtime.sync_await import _sync_await

import components.connection
import components.staging
from components.observation import State, Unreachable
from components.unit import Unit
from tests.graph.recorder import Program, Recorder

Run = Callable[..., Program]


@pytest.fixture(scope="session")
def run(root: Path, config: Callable[..., dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A function: run the real __main__.py for a stack.

    Its arguments: `stack`; `ledger`, the stack's output of the last run; `found`, what the host shows of a
    unit instead of what is expected; `unreachable`, why the host cannot be looked at; `changes`, laid over
    the stack's configuration.
    """
    folder = tmp_path_factory.mktemp("checkout")

    def make(
        stack: str,
        ledger: dict[str, Any] | None = None,
        found: dict[str, str] | None = None,
        unreachable: str = "",
        **changes: Any,
    ) -> Program:
        async def look(_: Any, units: list[Unit], **__: Any) -> list[State]:
            if unreachable:
                raise Unreachable(unreachable)
            return [State(unit, (found or {}).get(unit.name, unit.expect)) for unit in units]

        program = Program()
        with (
            patch.object(components.connection, "observe", look),
            patch.object(components.staging, "ROOT", folder),
            _engine(Recorder(program, ledger or {}), stack, config(stack, **changes)),
        ):
            _sync_await(run_pulumi_func(lambda: _run_file(root / "__main__.py")))
            _sync_await(_keep_outputs(program))
        return program

    return make


def _run_file(path: Path) -> None:
    runpy.run_path(str(path))


@contextlib.contextmanager
def _engine(monitor: Recorder, stack: str, config: dict[str, Any]) -> Iterator[None]:
    """The runtime of one run: configuration and a root, both taken away afterwards."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    engine_config.set_all_config({f"itqan:{key}": _as_text(value) for key, value in config.items()})
    set_root_resource(None)  # type: ignore[arg-type]
    mocks.set_mocks(
        monitor.mocks, "itqan", stack, preview=False, monitor=monitor, organization="organization"
    )
    try:
        yield
    finally:
        # what a failed program leaves under way belongs to this loop, and the next run would wait for it
        _get_rpc_manager().clear()
        SETTINGS.outputs.clear()
        loop.close()
        asyncio.set_event_loop(None)
        engine_config.set_all_config({})
        set_root_resource(None)  # type: ignore[arg-type]


def _as_text(value: Any) -> str:
    """As the engine hands a value over: structured ones as JSON, null as an empty text (seen in 3.259.0)."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


async def _keep_outputs(program: Program) -> None:
    root = get_root_resource()
    assert isinstance(root, Stack)
    for name, value in root.outputs.items():
        output = pulumi.Output.from_input(value)
        program.outputs[name] = await output.future()
        if await output.is_secret():
            program.secret_outputs.add(name)


@pytest.fixture(scope="session")
def production(run: Run) -> Program:
    """The production server, without a look at it."""
    return run("prod", observe=False)


@pytest.fixture(scope="session")
def copy(run: Run) -> Program:
    """A staging copy that is as expected."""
    return run("staging")


@pytest.fixture(scope="session", params=["production", "copy"])
def either(request: pytest.FixtureRequest) -> Program:
    """Each of the two in turn."""
    program: Program = request.getfixturevalue(request.param)
    return program

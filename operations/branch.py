"""A copy per branch: brought up, taken down, listed, opened."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .branches import derive, forget_branch, ready_branch, require_of_branch
from .docker_hosts import daemon_of
from .down import take_down
from .engine import NO_STACK, Engine
from .errors import EngineError, NoSuchStack, OperationError
from .events import Record
from .interrupted import Busy, is_locked
from .labels import PROJECT_LABEL
from .machine import ready_engine
from .opening import keep_authority, opening_words
from .paths import ROOT
from .run import RunFailed, run_up
from .stack import Stack, own_configuration
from .steps import Silent, Steps
from .stopped import start_stopped
from .summary import curl_line, write_root_certificate
from .waiting import lock_file, one_at_a_time

if TYPE_CHECKING:
    from .data.bring import Source

# How often a run is tried when something outside came in between.
ATTEMPTS = 3
# What a failed run says of that: Docker, when another machine's run took the network that this one chose;
# itqan-release, of a commit that a forced push took away; the engine, of a copy that another machine took
# down.
PASSING = {
    "Pool overlaps": "another copy took the network meanwhile",
    "is no longer in the repository": "the branch was pushed anew meanwhile",
    NO_STACK: "the copy was taken down from another machine",
    "unknown stack": "the engine looked for its state while it wrote it",
    "failed to load checkpoint": "the engine read its state while it wrote it",
}
SERVER_IMAGE = "itqan-server:"
# Seconds to wait for another run of the same stack, and between two looks.
PATIENCE, PAUSE = 900.0, 2.0


def branch_stack(branch: str) -> str:
    """The stack of a branch's copy."""
    from settings import stack_of

    return stack_of(branch)


def bring_up(
    branch: str, steps: Steps, data: str | None = None, key: Path | None = None
) -> tuple[Stack, Record]:
    """Brings a branch's copy up at the branch's newest commit; waits for another run of the same copy.

    Arguments: `data`, the stack whose newest backup the copy gets, made anonymous; `key`, the file with the
    private key that opens it.
    Raises ConfigurationError for a branch that does not exist, RunFailed when the engine fails, and
    OperationError when the data cannot be brought; the copy's application is stopped then.
    """
    if key and not data:
        raise OperationError("--identity opens the backup that --data STACK names")
    engine = ready_engine(steps)
    source = _source(data, branch, key, steps) if data else None
    name = branch_stack(branch)
    with one_at_a_time(name, steps, f"another run works on the copy of {branch}"):
        for left in reversed(range(ATTEMPTS)):
            try:
                if source:
                    _bring_data(source, branch, engine, steps)
                    source = None  # an attempt that follows goes on with them
                return _when_free(branch, engine, steps)
            except EngineError as error:
                reason = next((why for said, why in PASSING.items() if said in _words(error)), None)
                if not (reason and left):
                    raise
                steps.say(f"▸ Again: {reason}")
                forget_branch(name)
    raise AssertionError("the last attempt returns or raises")


def _source(stack: str, branch: str, key: Path | None, steps: Steps) -> Source:
    """The data that a copy gets, looked at before anything is done to it. Raises as `find_source`."""
    from .data.bring import find_source

    if stack == branch_stack(branch):
        raise OperationError(f"--data {stack}: is this copy itself")
    with steps.step("source", f"Looking for the newest backup of {stack}"):
        return find_source(stack, key, steps)


def _bring_data(source: Source, branch: str, engine: Engine, steps: Steps) -> None:
    """The data, before the release that runs the branch's migrations on them; a new copy is made first."""
    from components.observation import Endpoint
    from settings import load

    from .data.bring import bring_data, is_ready

    stack = ready_branch(branch, engine, steps)
    settings = load(stack.name, own_configuration(stack.name, engine), ROOT)
    target = Endpoint.of(settings)
    if not is_ready(settings, target):
        try:
            _when_free(branch, engine, steps)
        except RunFailed:
            # migrations that begin with tables of production's fail on an empty database
            if not is_ready(settings, target):
                raise
            steps.say(f"▸ Going on: {stack.name} can take data")
        else:
            if not is_ready(settings, target):
                raise OperationError(f"{stack.name} is up and takes no data: ./itqan audit {stack.name}")
    bring_data(source, settings, target, steps)


def _when_free(branch: str, engine: Engine, steps: Steps) -> tuple[Stack, Record]:
    """One run, once the engine of a run that was killed, or of another machine, has ended."""
    deadline, told = time.monotonic() + PATIENCE, False
    while True:
        try:
            stack = ready_branch(branch, engine, Silent() if told else steps)
            start_stopped(stack.name, steps)
            with _images(stack.name, steps):
                return stack, run_up(stack)
        except (Busy, EngineError) as error:
            locked = isinstance(error, Busy) or is_locked(_words(error))
            if not locked or time.monotonic() > deadline:
                raise
            if not told:
                steps.say(f"▸ Waiting: another run works on the copy of {branch}, here or elsewhere")
        told = True
        time.sleep(PAUSE)


@contextmanager
def _images(stack: str, steps: Steps) -> Iterator[None]:
    """On a Docker host without any image of a server, one run at a time: the others find what it built."""
    with ExitStack() as held:
        if not _has_server_image(stack):
            held.enter_context(one_at_a_time("images", steps, "another run builds the images"))
            if _has_server_image(stack):
                held.close()
        yield


def _has_server_image(stack: str) -> bool:
    images = daemon_of(stack).objects("images", PROJECT_LABEL)
    return any(name.startswith(SERVER_IMAGE) for image in images for name in image["RepoTags"] or ())


def _words(error: OperationError) -> str:
    """All that the engine said of a failure."""
    return error.words if isinstance(error, RunFailed) else str(error)


def take_branch_down(branch: str, steps: Steps) -> None:
    """Removes a branch's copy, whether the repository still has the branch or not.

    Raises as `take_down`, and ConfigurationError when the stack of that name is no branch's.
    """
    engine = ready_engine(steps)
    name = branch_stack(branch)
    with one_at_a_time(name, steps, f"another run works on the copy of {branch}"):
        require_of_branch(name, branch, engine, steps)
        derive(name, branch, engine, steps)
        take_down(name, steps, images=False)
        lock_file(name).unlink(missing_ok=True)


def places(branch: str, steps: Steps) -> str:
    """Where a branch's copy is, and how its certificate is trusted.

    Raises OperationError when it is not up.
    """
    engine = ready_engine(steps)
    name = branch_stack(branch)
    try:
        outputs = json.loads(engine.call("stack", "output", "--json", "--stack", name))
    except NoSuchStack:
        outputs = {}
    if not outputs.get("rootCertificate"):
        raise OperationError(f"the copy of {branch} is not up; type: ./itqan branch up {branch}")
    write_root_certificate(name, outputs)
    keep_authority(outputs)
    return f"{opening_words(outputs)}\n\nFrom a shell:\n  {curl_line(name, outputs)}"

"""A copy per branch: brought up, taken down, listed, opened."""

from __future__ import annotations

import json
import time

from .branches import derive, ready_branch, require_of_branch
from .down import take_down
from .engine import Engine
from .errors import EngineError, OperationError
from .events import Record
from .interrupted import Busy
from .machine import ready_engine
from .opening import keep_authority, opening_words
from .run import RunFailed, run_up
from .stack import Stack, forget_stack
from .steps import Steps
from .stopped import start_stopped
from .summary import curl_line, write_root_certificate
from .waiting import lock_file, one_at_a_time

# How often a run is tried when something outside came in between: each time it is another thing.
ATTEMPTS = 3
# Seconds to wait for another run of the same stack, and between two looks.
PATIENCE, PAUSE = 900.0, 1.0
# What Docker says when another machine's run took the network that this one chose.
NETWORK_TAKEN = "Pool overlaps"
# What files/release/release.sh says of a commit that a push took out of its branch during the run.
COMMIT_GONE = "is no longer in the repository"


def branch_stack(branch: str) -> str:
    """The stack of a branch's copy."""
    from settings import stack_of

    return stack_of(branch)


def bring_up(branch: str, steps: Steps) -> tuple[Stack, Record]:
    """Brings a branch's copy up at the branch's newest commit; waits for another run of the same copy.

    Raises ConfigurationError for a branch that does not exist, RunFailed when the engine fails.
    """
    engine = ready_engine(steps)
    name = branch_stack(branch)
    with one_at_a_time(name, steps, f"another run works on the copy of {branch}"):
        for left in reversed(range(ATTEMPTS)):
            stack = _when_free(branch, engine, steps)
            start_stopped(name, steps)
            try:
                return stack, run_up(stack)
            except RunFailed as error:
                reason = _passing_reason(error.record)
                if not (reason and left):
                    raise
                steps.say(f"▸ Again: {reason}")
                forget_stack(name)
    raise AssertionError("the last attempt returns or raises")


def _when_free(branch: str, engine: Engine, steps: Steps) -> Stack:
    """The stack made ready, once the engine of a killed run or of another machine has ended."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return ready_branch(branch, engine, steps)
        except Busy as error:
            if time.monotonic() > deadline:
                raise
            said = str(error).partition(";")[0]
            with steps.step("waited", f"Waiting: {said}"):
                time.sleep(PAUSE)


def take_branch_down(branch: str, steps: Steps) -> None:
    """Removes a branch's copy, whether the repository still has the branch or not.

    Raises as `take_down`, and ConfigurationError when the stack of that name is no branch's.
    """
    engine = ready_engine(steps)
    name = branch_stack(branch)
    with one_at_a_time(name, steps, f"another run works on the copy of {branch}"):
        require_of_branch(name, branch, engine)
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
    except EngineError as error:
        if "no stack named" not in str(error):
            raise
        outputs = {}
    if not outputs.get("rootCertificate"):
        raise OperationError(f"the copy of {branch} is not up; type: ./itqan branch up {branch}")
    write_root_certificate(name, outputs)
    keep_authority(outputs)
    return f"{opening_words(outputs)}\n  try it here:\n    {curl_line(name, outputs)}"


def _passing_reason(record: Record) -> str | None:
    """Why the next run will find things otherwise, if a failed one says so."""
    words = "\n".join(message for _, message in record.errors)
    if NETWORK_TAKEN in words:
        return "another copy took the network meanwhile"
    if COMMIT_GONE in words:
        return "the branch was pushed anew meanwhile"
    return None

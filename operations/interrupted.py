"""What a killed run leaves behind: the engine's lock, operations without an end, things half made."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .backend import VARIABLE, place_of
from .docker_hosts import daemon_of
from .engine import Engine
from .errors import OperationError
from .labels import stack_label
from .paths import STATE
from .steps import Steps

# Where the engine's file backend keeps its locks, one file for each run: project and stack are folders.
LOCKS = STATE / ".pulumi/locks/organization/itqan"


# The engine's words when another run holds the stack: of the backends in files, of Pulumi Cloud.
LOCKED = ("currently locked", "currently in progress")


class Busy(OperationError):
    """Another run works on the stack."""


def is_locked(words: str) -> bool:
    """Whether the engine's words say that another run holds the stack."""
    return any(said in words for said in LOCKED)


def recover(stack: str, engine: Engine, steps: Steps) -> None:
    """Clears up after a killed run, so that the next one continues where it stopped.

    Only for the backend in `.itqan/`; of any other one the engine itself says who holds the lock.
    Raises Busy when a run of this stack is under way.
    """
    ours = place_of(engine.environment[VARIABLE]) == STATE.as_uri()
    locks = list((LOCKS / stack).glob("*.json")) if ours else []
    if not locks:
        return
    for lock in locks:
        _require_dead(stack, json.loads(lock.read_text()))
    with steps.step("recover", f"A run of stack {stack} was killed: clearing up after it"):
        engine.call("cancel", "--yes", "--stack", stack)
        exported = json.loads(engine.call("stack", "export", "--stack", stack))
        deployment = exported["deployment"]
        _remove_unknown(stack, {resource.get("id", "") for resource in deployment.get("resources", [])})
        if deployment.pop("pending_operations", None):
            engine.call("stack", "import", "--stack", stack, stdin=json.dumps(exported))


def _require_dead(stack: str, holder: dict[str, Any]) -> None:
    """Raises Busy when the process that holds a lock runs, or may run on another machine."""
    here = holder.get("hostname") == socket.gethostname()
    if here and not _is_engine(int(holder["pid"])):
        return
    who = f"{holder.get('username')}@{holder.get('hostname')}, process {holder.get('pid')}"
    raise Busy(
        f"stack {stack} is being worked on by {who}, since {holder.get('timestamp')}; wait for its end. "
        f'If it has ended: eval "$(./itqan env)"; pulumi cancel --stack {stack}'
    )


def _is_engine(pid: int) -> bool:
    try:
        return b"pulumi" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False


def _remove_unknown(stack: str, known: set[str]) -> None:
    """Removes what carries the stack's label and its state does not know: made by the run that was killed."""
    daemon = daemon_of(stack)
    if not daemon.answers():
        return
    for kind, options in (("containers", "?force=1&v=1"), ("networks", "")):
        for found in daemon.objects(kind, stack_label(stack)):
            if found["Id"] not in known:
                daemon.checked("DELETE", f"/{kind}/{quote(found['Id'])}{options}")

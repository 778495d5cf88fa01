"""Takes a stack away, and looks that Docker has nothing left of it."""

from __future__ import annotations

import subprocess
import sys

from .branches import derive_if_branch, forget_branch
from .daemon import Daemon
from .docker_hosts import daemon_of
from .edge import tidy, unregister
from .engine import Engine
from .errors import ConfigurationError, EngineError, NoSuchStack, OperationError
from .interrupted import recover
from .labels import PROJECT_LABEL, stack_label
from .machine import ready_engine
from .paths import ROOT, file_options
from .stack import own_configuration
from .steps import Steps
from .summary import root_certificate_file

REMOVALS = {
    "containers": "docker rm --force",
    "networks": "docker network rm",
    "volumes": "docker volume rm",
}


def take_down(stack: str, steps: Steps, *, images: bool) -> None:
    """Destroys what the stack made, forgets its state, and removes the project's images if asked.

    Raises ConfigurationError when it is a server that may not be destroyed, EngineError when the engine
    fails, OperationError when Docker still has something of the stack.
    """
    engine = ready_engine(steps)
    try:
        engine.call("stack", "--stack", stack, "--show-name")
    except NoSuchStack:
        steps.say(f"  there is no stack {stack}")
    else:
        derive_if_branch(stack, engine, steps)
        _require_allowed(stack, engine)
        recover(stack, engine, steps)
        unregister(stack, daemon_of(stack), steps)
        _destroy(stack, steps)
    daemon = daemon_of(stack)
    forget_branch(stack)
    root_certificate_file(stack).unlink(missing_ok=True)
    if daemon.answers():
        # once more: the run of another copy may have come in between
        unregister(stack, daemon, steps)
        _require_nothing_left(daemon, stack)
        if images:
            tidy(daemon, steps)
            _remove_images(daemon, steps)


def _require_allowed(stack: str, engine: Engine) -> None:
    """Raises ConfigurationError for a server whose configuration does not say that it may be destroyed."""
    from settings import merged_config

    config = merged_config(own_configuration(stack, engine), ROOT)
    if config.get("target") == "docker" or str(config.get("allowDestroy", "")).lower() == "true":
        return
    raise ConfigurationError(
        f"stack {stack} is a server and not a copy: it is not taken down. If it really is to be, type: "
        f"pulumi config set --stack {stack} itqan:allowDestroy true; ./itqan up --stack {stack}; "
        "then this again"
    )


def _destroy(stack: str, steps: Steps) -> None:
    engine = ready_engine(steps)
    options = ["--yes", "--skip-preview", "--suppress-outputs", "--suppress-progress", "--non-interactive"]
    with steps.step("destroy", f"Removing what stack {stack} made"):
        process = subprocess.run(
            [engine.path, "destroy", *options, *file_options(stack), "--stack", stack],
            cwd=ROOT,
            env=engine.environment,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            check=False,
        )
    if process.returncode:
        raise EngineError(f"stack {stack} is not gone; ./itqan down continues where it stopped")
    # The configuration stays: its secrets are those of the next copy, its comments are the user's.
    engine.call("stack", "rm", "--yes", "--preserve-config", "--stack", stack)


def _require_nothing_left(daemon: Daemon, stack: str) -> None:
    label = stack_label(stack)
    left = [
        f"{remove} {found.get('Name') or found['Names'][0].lstrip('/')}"
        for kind, remove in REMOVALS.items()
        for found in daemon.objects(kind, label)
    ]
    if left:
        raise OperationError("\n  ".join([f"Docker still has parts of stack {stack}; type:", *left]))


def _remove_images(daemon: Daemon, steps: Steps) -> None:
    with steps.step("images", f"Removing the images labelled {PROJECT_LABEL}"):
        for image in daemon.objects("images", PROJECT_LABEL):
            for name in image["RepoTags"] or [image["Id"]]:
                daemon.checked("DELETE", f"/images/{name}")

"""`deployment`: the files for a deployment by hand, written into a checkout of the application."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .errors import OperationError
from .machine import ready_engine
from .steps import Steps


def write_deployment(name: str, folder: Path, steps: Steps, *, check: bool) -> list[str]:
    """Writes deploy.sh and Supervisor's templates as a stack's settings have them.

    Arguments: `folder`, a checkout of the application; `check`, whether only to look.
    Returns the paths of those that were other ones. Raises ConfigurationError for a wrong configuration,
    OperationError for a folder that is no Laravel application, or has changes there that are in no commit.
    """
    from components.deployment import SCRIPT, files

    from .audit import read_settings

    if not (folder / "artisan").is_file():
        raise OperationError(f"{folder}: no Laravel application (it has no artisan); nothing was written")
    [settings] = read_settings([name], ready_engine(steps))
    wanted = files(settings)
    differing = [path for path, text in wanted.items() if _text(folder / path) != text]
    if not differing:
        print(f"{folder}: deployment/ is as stack {name} has it")
        return []
    if check:
        print(f"{folder}: not as stack {name} has it: {', '.join(differing)}")
        return differing
    _require_committed(folder, differing)
    for path in differing:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(wanted[path], encoding="utf-8")
        if path == SCRIPT:
            file.chmod(0o755)
    print(f"{folder}: written: {', '.join(differing)}; look at it with git diff, then commit and push it")
    return differing


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _require_committed(folder: Path, paths: list[str]) -> None:
    """What would be overwritten can be had again from git. Raises OperationError where it could not."""
    there = [path for path in paths if (folder / path).exists()]
    command = ["git", "-C", str(folder), "status", "--porcelain", "--ignored", "--", *there]
    if not there:
        return
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    if said.returncode or said.stdout:
        raise OperationError(
            f"{folder}: {', '.join(there)}: has changes that are in no commit and would be lost; "
            "commit them, or take them away first"
        )

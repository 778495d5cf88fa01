"""Where things are: the checkout, and `.itqan/`, which holds everything that is made on this machine."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".itqan"
STATE = HOME / "state"
LOGS = HOME / "logs"
ENGINE = HOME / "engine"
PLUGINS = ROOT / "tools" / "plugins"
BRANCHES = HOME / "branches"
PYTHON = HOME / "venv" / "bin" / "python"


def own_file(stack: str) -> Path:
    """The configuration file of a stack that the project has."""
    return ROOT / f"Pulumi.{stack}.yaml"


def branch_file(stack: str) -> Path:
    """The configuration file of a branch's copy, derived anew by each run (operations/branches.py)."""
    return BRANCHES / f"Pulumi.{stack}.yaml"


def is_derived(stack: str) -> bool:
    """Whether a stack has no file in the project but a derived one."""
    return not own_file(stack).exists() and branch_file(stack).exists()


def stack_file(stack: str) -> Path:
    """The configuration file of a stack."""
    return branch_file(stack) if is_derived(stack) else own_file(stack)


def file_options(stack: str) -> list[str]:
    """The engine's options for a stack whose configuration is not where it looks by itself."""
    return ["--config-file", str(branch_file(stack))] if is_derived(stack) else []

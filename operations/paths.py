"""Where things are: the checkout, and `.itqan/`, which holds everything that is made on this machine."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".itqan"
STATE = HOME / "state"
LOGS = HOME / "logs"
ENGINE = HOME / "engine"
PLUGINS = ROOT / "tools" / "plugins"
PYTHON = HOME / "venv" / "bin" / "python"


def stack_file(stack: str) -> Path:
    """The configuration file of a stack."""
    return ROOT / f"Pulumi.{stack}.yaml"

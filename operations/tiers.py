"""The tests, by tier: folders below tests/, run by pytest."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from .errors import OperationError
from .paths import PYTHON, ROOT

# In the order of a run: what fails soonest comes first.
TIERS = ("unit", "graph", "lint", "conformance", "e2e")
# Only when asked for.
FURTHER_TIERS = ("soak",)


def run_tests(words: Sequence[str], environment: Mapping[str, str]) -> int:
    """Runs pytest; returns its exit status.

    Arguments: `words`, names of tiers (none: all of TIERS), then arguments for pytest; `environment`, that of
    the engine, for the tests that run it.
    Raises OperationError for a tier that has no tests.
    """
    tiers, arguments = split(words)
    folders = [ROOT / "tests" / tier for tier in tiers]
    missing = [folder.name for folder in folders if not folder.is_dir()]
    if missing:
        known = ", ".join((*TIERS, *FURTHER_TIERS))
        raise OperationError(f"tests/{missing[0]} does not exist; tiers: {known}")
    command = [PYTHON, "-m", "pytest", *(arguments if _names_tests(arguments) else [*folders, *arguments])]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The tiers that `words` begin with (all of TIERS if with none), and the rest."""
    known = (*TIERS, *FURTHER_TIERS)
    count = next((index for index, word in enumerate(words) if word not in known), len(words))
    return list(words[:count]) or list(TIERS), list(words[count:])


def _names_tests(arguments: Sequence[str]) -> bool:
    """Whether the arguments name files of their own: `./itqan test tests/unit/test_x.py`."""
    return any((ROOT / word.partition("::")[0]).exists() for word in arguments if not word.startswith("-"))

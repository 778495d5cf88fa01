"""The tests, by tier: folders below tests/, run by pytest."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .errors import OperationError
from .lanes import beside, worse
from .paths import PYTHON, ROOT
from .steps import Steps

# In the order of a run: what fails soonest comes first.
TIERS = ("unit", "graph", "lint", "browser", "archive", "conformance", "edge", "e2e", "vps", "branches", "ci")
# Tiers that live with a server for many minutes, mostly wait for it, and change files of their checkout: each
# has a lane of its own. vps begins with the tiers of COPIES: the packages' image, which it would make as e2e
# does at that time, is there by then.
LONGEST, SERVERS = "e2e", "vps"
COPIES = frozenset({"edge", "branches", "ci"})
# Tiers that run containers.
CONTAINERS = frozenset({"archive", "conformance", "edge", "e2e", "vps", "branches", "ci", "soak", "remote"})
# Tiers that look at pages.
BROWSERS = frozenset({"browser", "edge"})
# Only when asked for; remote makes Docker hosts of its own, parity compares two stacks that are up: --stack A
# --stack B.
FURTHER_TIERS = ("soak", "remote", "parity")


def run_tests(words: Sequence[str], environment: Mapping[str, str], steps: Steps) -> int:
    """Runs pytest; returns its exit status.

    Arguments: `words`, names of tiers (none: all of TIERS), then arguments for pytest; `environment`, that of
    the engine, for the tests that run it.
    Raises OperationError for a tier that has no tests, PreparationError where containers cannot be had.
    """
    tiers, arguments = split(words)
    missing = [folder.name for folder in _folders(tiers) if not folder.is_dir()]
    if missing:
        known = ", ".join((*TIERS, *FURTHER_TIERS))
        raise OperationError(f"tests/{missing[0]} does not exist; tiers: {known}")
    if not BROWSERS.isdisjoint(tiers):
        _prepare_browser(steps)
    if "edge" in tiers:
        _prepare_certutil(steps)
    if "conformance" in tiers:
        _prepare_node(steps)
    if not CONTAINERS.isdisjoint(tiers):
        environment = {**environment, "ITQAN_TEST_BASE": _prepare_containers(steps)}
    if _names_tests(arguments):
        return _pytest(arguments, environment)
    return in_lanes(tiers, lambda chosen: _pytest([*_folders(chosen), *arguments], environment), arguments)


def in_lanes(tiers: Sequence[str], run: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    """Runs tiers, those with a server beside the others if there are others; returns pytest's worst status.

    Arguments: `run`, runs tiers in this checkout and returns pytest's exit status; `arguments`, pytest's.
    """
    if len(tiers) == 1:
        return run(tiers)
    if LONGEST in tiers:
        rest = [tier for tier in tiers if tier != LONGEST]
        return beside(LONGEST, [LONGEST, *arguments], lambda: in_lanes(rest, run, arguments))
    if SERVERS not in tiers:
        return run(tiers)
    first = [tier for tier in tiers if tier not in (*COPIES, SERVERS)]
    last = [tier for tier in tiers if tier in COPIES]
    statuses = [run(first)] if first else []
    if last:
        return worse(*statuses, beside(SERVERS, [SERVERS, *arguments], lambda: run(last)))
    return worse(*statuses, run([SERVERS]))


def _folders(tiers: Sequence[str]) -> list[Path]:
    return [ROOT / "tests" / tier for tier in tiers]


def _pytest(arguments: Sequence[str | Path], environment: Mapping[str, str]) -> int:
    return subprocess.run(
        [PYTHON, "-m", "pytest", *arguments], cwd=ROOT, env=environment, check=False
    ).returncode


def _prepare_browser(steps: Steps) -> None:
    from .prepare.browser import require_browser

    require_browser(steps)


def _prepare_certutil(steps: Steps) -> None:
    from .prepare.machine import require_program

    purpose = "the tests trust the authority of copies as a person does"
    require_program(steps, "certutil", ("libnss3-tools",), purpose)


def _prepare_node(steps: Steps) -> None:
    """npm, which brings the server that an API's description is tried against."""
    from .prepare.machine import require_program

    require_program(steps, "npm", ("npm",), "the DNS client is tried against Prism, a package of npm")


def _prepare_containers(steps: Steps) -> str:
    """A Docker daemon, its client and git, as the tests call them. Returns a base image."""
    from .prepare.docker import ensure_docker
    from .prepare.image import choose_base
    from .prepare.machine import require_program

    daemon = ensure_docker(steps)
    require_program(steps, "docker", ("docker-cli",), "the tests look into containers with it")
    require_program(steps, "git", ("git",), "the sample application is a repository")
    require_program(steps, "ssh-keygen", ("openssh-client",), "the conformance cases make keys with it")
    return choose_base(steps, daemon, None).image


def split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The tiers that `words` begin with (all of TIERS if with none), and the rest."""
    known = (*TIERS, *FURTHER_TIERS)
    count = next((index for index, word in enumerate(words) if word not in known), len(words))
    return list(words[:count]) or list(TIERS), list(words[count:])


def _names_tests(arguments: Sequence[str]) -> bool:
    """Whether the arguments name files of their own: `./itqan test tests/unit/test_x.py`."""
    return any((ROOT / word.partition("::")[0]).exists() for word in arguments if not word.startswith("-"))

"""The tests, by tier: folders below tests/, run by pytest."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import OperationError
from .lanes import beside
from .paths import PYTHON, ROOT
from .steps import Steps

# In the order of a run: what fails soonest comes first.
TIERS = ("unit", "graph", "lint", "browser", "archive", "conformance", "edge", "e2e", "vps", "branches", "ci")
# Tiers that live with a server for many minutes and mostly wait for it: the others run beside them.
SERVERS = frozenset({"e2e", "vps"})
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
    servers = [tier for tier in tiers if tier in SERVERS]
    others = [tier for tier in tiers if tier not in SERVERS]
    if servers and others:
        return beside([*servers, *arguments], lambda: _pytest([*_folders(others), *arguments], environment))
    return _pytest([*_folders(tiers), *arguments], environment)


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

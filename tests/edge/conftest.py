"""Two copies behind the edge, and a browser that trusts them as a person was told to make it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from operations.opening import AUTHORITY_FILE, trust
from tests.chromium import chromium
from tests.e2e.copy import ROOT, Copy, itqan, outputs

from .traffic import Traffic
from .watched import Watched

STACKS = ("edge-a", "edge-b")


@contextmanager
def copy_behind_the_edge(stack: str) -> Iterator[Copy]:
    """A copy with a domain below .localhost, up; taken down at the end, with its configuration."""
    file = ROOT / f"Pulumi.{stack}.yaml"
    itqan("down", "--yes", "--stack", stack, check=False)
    file.write_text(f"config:\n  itqan:extends: staging\n  itqan:domain: {stack}.itqan.localhost\n")
    try:
        itqan("up", "--stack", stack)
        yield Copy(stack, outputs(stack), AUTHORITY_FILE)
    finally:
        itqan("down", "--yes", "--stack", stack)
        file.unlink()


@pytest.fixture(scope="module")
def first() -> Iterator[Copy]:
    """The copy that stays while the other one comes and goes."""
    with copy_behind_the_edge(STACKS[0]) as copy:
        yield copy


@pytest.fixture(scope="module")
def traffic(first: Copy) -> Iterator[Traffic]:
    """Requests to the first copy, one after the other, from before the second one came."""
    with Traffic(first) as running:
        yield running


@pytest.fixture(scope="module")
def open_page(first: Copy, trusting: BrowserContext) -> Watched:
    """A page of the first copy, open from before the second one came."""
    page = Watched(trusting, first.outputs["url"])
    page.shows_a_message()
    return page


@pytest.fixture(scope="module")
def second(traffic: Traffic, open_page: Watched) -> Iterator[Copy]:
    """The copy that comes and goes."""
    assert not traffic.failed and not open_page.closed
    with copy_behind_the_edge(STACKS[1]) as copy:
        yield copy


@contextmanager
def browser_at_home(home: Path) -> Iterator[BrowserContext]:
    """Chromium of a person whose home folder is `home`; no error of a certificate is ignored."""
    with chromium("edge", **{**os.environ, "HOME": str(home)}) as launched:
        yield launched.new_context()


@pytest.fixture(scope="module")
def trusting(first: Copy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """A browser of somebody who typed the lines for Chromium, and nothing else."""
    home = tmp_path_factory.mktemp("home")
    lines = next(lines for whom, lines in trust(first.root).items() if "Chromium" in whom)
    for line in lines:
        subprocess.run(["bash", "-c", line], env={**os.environ, "HOME": str(home)}, check=True)
    with browser_at_home(home) as context:
        yield context

"""One copy for all end-to-end tests, brought up as a newcomer would and taken down at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import testinfra

from .copy import Copy, docker_names, itqan, outputs

STACK = "e2e"


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """The copy `e2e`, up; afterwards nothing of it is left, which is a test of its own (test_z_down)."""
    itqan("down", "--yes", "--stack", STACK, check=False)
    itqan("up", "--stack", STACK)
    found = outputs(STACK)
    root = tmp_path_factory.mktemp("authority") / "root.pem"
    root.write_text(found["rootCertificate"])
    yield Copy(STACK, found, Path(root))
    if docker_names(STACK):
        itqan("down", "--yes", "--stack", STACK)


@pytest.fixture(scope="session")
def server(copy: Copy) -> testinfra.host.Host:
    """The server of the copy, for testinfra's assertions."""
    return testinfra.get_host(f"docker://{copy.outputs['container']}")

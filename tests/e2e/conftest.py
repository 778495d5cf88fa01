"""One copy for all end-to-end tests, brought up as a newcomer would and taken down at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import testinfra

from .copy import Copy, running_copy

STACK = "e2e"


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """The copy `e2e`, up; afterwards nothing of it is left, which is a test of its own (test_z_down)."""
    with running_copy(STACK, tmp_path_factory.mktemp("authority")) as made:
        yield made


@pytest.fixture(scope="session")
def server(copy: Copy) -> testinfra.host.Host:
    """The server of the copy, for testinfra's assertions."""
    return testinfra.get_host(f"docker://{copy.outputs['container']}")

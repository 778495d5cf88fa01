"""One copy for all end-to-end tests, brought up as a newcomer would and taken down at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import testinfra

from components.render import FILES
from operations.daemon import Daemon
from operations.errors import OperationError
from operations.prepare.image import choose_base
from operations.steps import Steps

from .copy import Copy, running_copy

STACK = os.environ.get("ITQAN_TEST_STACK", "e2e")  # another name where two checkouts run them at once


def pytest_addoption(parser: pytest.Parser) -> None:
    """`./itqan test e2e --platform ubuntu-22.04`: the same suite on the document's platform."""
    known = sorted(path.stem for path in (FILES / "platforms").glob("*.yaml"))
    text = "the platform of the copy (default: ubuntu-22.04 where its image can be had)"
    parser.addoption("--platform", choices=known, help=text)


@pytest.fixture(scope="session")
def platform(request: pytest.FixtureRequest) -> str | None:
    """The platform that was asked for, its base image at hand; without one the tests end with the reason."""
    name: str | None = request.config.getoption("--platform")
    if name:
        try:
            choose_base(Steps(), Daemon(), name)
        except OperationError as error:
            reason = str(error).partition(";")[0]
            hint = "bring the image here and give it that name: docker load, docker tag"
            pytest.exit(f"--platform {name}: {reason}; {hint}", returncode=1)
    return name


@pytest.fixture(scope="session")
def copy(platform: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """The copy `e2e`, up; afterwards nothing of it is left, which is a test of its own (test_z_down)."""
    with running_copy(STACK, tmp_path_factory.mktemp("authority"), platform) as made:
        yield made


@pytest.fixture(scope="session")
def server(copy: Copy) -> testinfra.host.Host:
    """The server of the copy, for testinfra's assertions."""
    return testinfra.get_host(f"docker://{copy.outputs['container']}")

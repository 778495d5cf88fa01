"""One copy for the long campaigns."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.e2e.copy import Copy, running_copy
from tests.vps.conftest import hoster, key

__all__ = ["copy", "hoster", "key"]

STACK = os.environ.get("ITQAN_TEST_STACK", "soak")


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """The copy, up."""
    with running_copy(STACK, tmp_path_factory.mktemp("authority")) as made:
        yield made

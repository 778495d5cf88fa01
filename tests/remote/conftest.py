"""The base image that the Docker hosts of the tests are made of."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def base() -> str:
    """As `./itqan test` found it."""
    return os.environ["ITQAN_TEST_BASE"]

"""Parity of two stacks as tests: `./itqan test parity --stack prod --stack staging`."""

from __future__ import annotations

from itertools import groupby

import pytest

from operations.errors import OperationError
from operations.parity import Comparison, compare_stacks
from operations.steps import Steps


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--stack", action="append", default=[], help="a stack to compare; give two of them")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each unit and each surrounding of the two stacks."""
    rows = _comparison(metafunc.config.getoption("--stack")).rows
    groups = [(name, list(members)) for name, members in groupby(rows, key=lambda row: row.name)]
    metafunc.parametrize("rows", [members for _, members in groups], ids=[name for name, _ in groups])


def _comparison(stacks: list[str]) -> Comparison:
    if len(set(stacks)) != 2:
        raise pytest.UsageError("parity compares two stacks: ./itqan test parity --stack A --stack B")
    try:
        return compare_stacks(stacks[0], stacks[1], Steps())
    except OperationError as error:
        raise pytest.UsageError(str(error)) from None

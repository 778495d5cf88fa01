"""The end of a copy: nothing of it stays."""

from __future__ import annotations

from .copy import Copy, docker_names, itqan


def test_down_leaves_nothing_behind(copy: Copy) -> None:
    assert docker_names(copy.stack)
    itqan("down", "--yes", "--stack", copy.stack)
    assert docker_names(copy.stack) == []
    again = itqan("down", "--yes", "--stack", copy.stack, check=False)
    assert "Traceback" not in again.stdout + again.stderr

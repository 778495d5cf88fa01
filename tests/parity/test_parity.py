"""Each unit and each surrounding is the same on both hosts, or the settings ask for the difference."""

from __future__ import annotations

from components.parity import Row
from operations.parity import BAD


def test_is_on_both_hosts_as_asked(rows: list[Row]) -> None:
    bad = [f"{row.state}: {row.cells[0]} | {row.cells[1]} ({row.why})" for row in rows if row.state in BAD]
    assert not bad, "\n".join(bad)

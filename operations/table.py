"""A table for people: aligned columns, rows below the name of their group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby


def grouped(head: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """The lines of a table.

    Arguments: `rows`, each with the name of its group, which stands above the group's first row.
    """
    everything = [head, *(cells for _, cells in rows)]
    widths = [max(len(cells[column]) for cells in everything) for column in range(len(head))]
    yield _line(head, widths)
    for group, members in groupby(rows, key=lambda row: row[0]):
        yield group
        for _, cells in members:
            yield _line(cells, widths)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"  {'  '.join(padded)}".rstrip()

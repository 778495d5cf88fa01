"""A run's timings as a Chrome trace: the preparation and every resource, for ui.perfetto.dev or chrome://tracing.

The format is the "Trace Event Format" of the Chromium project, as a JSON object.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .errors import OperationError
from .events import Change
from .steps import Span

MICROSECONDS = 1_000_000
PREPARATION = "preparation"
# Part, name, beginning and length in seconds, details.
Row = tuple[str, str, float, float, dict[str, Any]]


def write_trace(path: Path, spans: Iterable[Span], changes: Iterable[Change]) -> None:
    """Writes the trace of a run; times are counted from its first span.

    Arguments: `spans`, the steps before the engine; `changes`, what the engine did, what stayed included.
    Raises OperationError when the file cannot be written.
    """
    rows: list[Row] = [
        (PREPARATION, span.name, span.began, span.seconds, {"text": span.text}) for span in spans
    ]
    rows += [
        (
            change.resource.part,
            change.resource.name,
            change.began,
            change.seconds,
            {"operation": change.operation, "failed": change.failed, "type": change.resource.type},
        )
        for change in changes
    ]
    try:
        path.write_text(json.dumps({"traceEvents": _events(rows), "displayTimeUnit": "ms"}, indent=1))
    except OSError as error:
        raise OperationError(f"--trace {path}: cannot be written: {error.strerror}") from None


def _events(rows: list[Row]) -> list[dict[str, Any]]:
    """A track for each part, in the order of their beginnings; complete events (`X`) on it."""
    rows = sorted(rows, key=lambda row: row[2])
    tracks = {part: number for number, part in enumerate(dict.fromkeys(row[0] for row in rows), start=1)}
    start = rows[0][2] if rows else 0.0
    names = [
        {"name": "thread_name", "ph": "M", "pid": 1, "tid": number, "args": {"name": part}}
        for part, number in tracks.items()
    ]
    return names + [
        {
            "name": name,
            "cat": part,
            "ph": "X",
            "pid": 1,
            "tid": tracks[part],
            "ts": round((began - start) * MICROSECONDS),
            "dur": round(seconds * MICROSECONDS),
            "args": detail,
        }
        for part, name, began, seconds, detail in rows
    ]

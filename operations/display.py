"""What a run shows while it goes on: one line for each change, and what is being waited for."""

from __future__ import annotations

import sys
import time

from .events import Change, Record, Resource

VERBS = {
    "create": ("+", "created"),
    "update": ("~", "updated"),
    "delete": ("-", "removed"),
    "replace": ("±", "replaced"),
    "create-replacement": ("+", "created anew"),
    "delete-replaced": ("-", "removed for its replacement"),
    "discard": ("-", "forgotten"),
    "import": ("+", "taken over"),
}
COLOURS = {"+": "32", "~": "33", "±": "33", "-": "31", "✗": "31", "!": "33"}
# The engine announces a replacement as a step of its own between the two that do it.
SILENT = frozenset({"replace"})
# Seconds between two lines about what is being waited for, where they cannot overwrite each other.
LOG_PERIOD = 30.0


class Display:
    """Prints changes to standard error."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last_wait = time.monotonic()

    def change(self, change: Change) -> None:
        """One line for an operation that ended."""
        if change.operation in SILENT and not change.failed:
            return
        mark, verb = VERBS.get(change.operation, ("·", change.operation))
        if change.failed:
            mark, verb = "✗", "failed"
        part, name = change.resource.part, change.resource.name
        self._write(f"  {self._coloured(mark)} {part:<14} {name:<32} {verb:<8} {change.seconds:6.1f} s\n")

    def asks(self, record: Record) -> None:
        """What somebody has to do meanwhile, each line once."""
        while record.asks:
            self._write(f"  {self._coloured('!')} {record.asks.pop(0)}\n")

    def waiting(self, record: Record) -> None:
        """What is going on, on a terminal as a line that the next one overwrites."""
        now = time.monotonic()
        if not self._terminal and now - self._last_wait < LOG_PERIOD:
            return
        self._last_wait = now
        longest = sorted(record.running.items(), key=lambda item: item[1])
        waits = ((Resource.of(urn).name, now - since) for urn, since in longest)
        shown = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in waits if seconds > 1)
        if shown:
            self._write(f"    … {shown}"[:110] + ("" if self._terminal else "\n"))

    def end(self, record: Record) -> None:
        """Notes of the program, then the errors, each with the unit that it belongs to."""
        self._write("")
        for note in record.notes:
            print(f"  {note}", file=sys.stderr)
        for where, message in record.errors:
            head = f"{self._coloured('✗')} {where + ': ' if where else ''}"
            print(head + message.replace("\n", "\n    "), file=sys.stderr)

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}" if self._terminal else text)
        sys.stderr.flush()

    def _coloured(self, mark: str) -> str:
        colour = COLOURS.get(mark)
        return f"\x1b[{colour}m{mark}\x1b[0m" if self._terminal and colour else mark

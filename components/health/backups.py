"""Dumps of the database: the newest, and whether one was ever tried."""

from __future__ import annotations

from . import limits
from .model import Check, Seen, Verdict, graded, lasted, size

PROBE = "health/backups"
GROUP = "backups"


def checks() -> list[Check]:
    """In the order of the table."""
    return [Check("last backup", GROUP, last), Check("last restore test", GROUP, tried)]


def _dump(seen: Seen) -> str:
    """The document's line, section "Backup"."""
    name, folder = seen.settings.database.name, seen.settings.application.backups
    return f"mysqldump -u root -p {name} > {folder}/itqan_$(date +%Y%m%d_%H%M%S).sql"


def last(seen: Seen) -> Verdict:
    """The newest dump: its age and its size."""
    limit = f"{limits.BACKUP_WARN} h, {limits.BACKUP_BAD} h"
    now, folder = seen.number(PROBE, "now"), seen.settings.application.backups
    found = [row for row in seen.rows(PROBE) if row[0] == "backup"]
    if not found:
        return Verdict("warn", f"no backup yet in {folder}", limit, _dump(seen))
    age = now - float(found[0][1])
    return Verdict(
        graded(age / 3600, limits.BACKUP_WARN, limits.BACKUP_BAD),
        f"{lasted(max(age, 0))} ago, {size(float(found[0][2]))}",
        limit,
        _dump(seen),
    )


def tried(seen: Seen) -> Verdict:
    """A dump that nobody has read back is a hope. Nothing here tries one yet, so there is no good verdict."""
    seen.number(PROBE, "now")
    has = any(row[0] == "backup" for row in seen.rows(PROBE))
    if not has:
        return Verdict("warn", "never: there is no backup", "tried", _dump(seen))
    line = "mysql -u root -p SCRATCH_SCHEMA < FILE, then compare its tables"
    return Verdict("warn", "never: nothing on this host tries a dump", "tried", line)

"""A full disk: only what can be made again is removed; the rest is for a person to judge."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from settings import Settings

from ..health import Check, Seen, Verdict, host, limits
from ..health.model import size
from ..render import text
from ..unit import call
from .host import GROUP, look
from .model import Runbook, Step, Symptom

DISK = "fix/disk"
# Bytes below which nothing that runs can go on: a log line, a session, a temporary table.
ROOM = 1_000_000
# What each kind of files is, and the command that a person would type.
KINDS = {
    "apt": ("packages that apt fetched", "sudo apt-get clean"),
    "composer": ("Composer's cache", "composer clear-cache"),
    "npm": ("npm's cache", "npm cache clean --force"),
    "git": ("what a git that was killed left", "find .git/objects -name 'tmp_*' -mtime +0 -delete"),
    "logs": ("rotated logs of more than 100 days", "find /var/log -name '*.gz' -mtime +100 -delete"),
}
CLEANED = f"{text('fix/garbage.sh')}\n"


def disk(settings: Settings) -> Runbook:
    """Works with no byte and no inode left: it writes to /run alone."""
    root, home = settings.application.path, f"/home/{settings.server.deploy_user}"
    full = Symptom(Check("room", GROUP, _room), explains=True)
    shares = [
        Symptom(Check(name, GROUP, partial(_with_all, judge)), frozenset({"bad", "warn"}))
        for name, judge in (("disk", host.disk), ("inodes", host.inodes))
    ]
    removals = [
        Step(
            command,
            cure=f"{CLEANED}{call('garbage', kind, root, home, '-delete')}",
            when=partial(_has, kind),
            patience=1,
        )
        for kind, (_, command) in KINDS.items()
    ]
    return Runbook(
        name="disk",
        section="Server Overview: disk",
        symptoms=[full, *shares],
        steps=[
            *removals,
            Step(
                "sudo systemd-tmpfiles --clean   # temporary files past the system's own age",
                cure="systemd-tmpfiles --clean",
                patience=1,
            ),
            Step(
                "sudo journalctl --vacuum-time=7d",
                cure="journalctl --vacuum-time=7d >&2",
                when=partial(_has, "journal"),
                patience=1,
            ),
            Step(
                "sudo journalctl --vacuum-size=100M",
                cure="journalctl --vacuum-size=100M >&2",
                when=partial(_has, "journal"),
                patience=1,
            ),
        ],
        looks=[look(DISK, root, home, settings.application.backups, library="fix/garbage.sh")],
        tells=_sizes,
        person=partial(_person, settings),
    )


def _with_all(judge: object, seen: Seen) -> Verdict:
    """Health's own judgement, of the file systems of what can be removed, too."""
    rows = f"{seen.host.get(host.DISK, '')}\n{seen.host.get(DISK, '')}"
    return judge(replace(seen, host={**seen.host, host.DISK: rows}))  # type: ignore[operator,no-any-return]


def _room(seen: Seen) -> Verdict:
    rows = [row for probe in (host.DISK, DISK) for row in seen.rows(probe) if row[0] == "filesystem"]
    full = sorted({row[1] for row in rows if float(row[2]) and float(row[3]) < ROOM})
    spent = sorted({row[1] for row in rows if float(row[4]) and float(row[5]) < 1})
    if full or spent:
        found = [f"nothing left on {', '.join(full)}"] if full else []
        found += [f"no inode left on {', '.join(spent)}"] if spent else []
        return Verdict("bad", "; ".join(found))
    return Verdict("good" if rows else "unknown", "there is some")


def _tight(seen: Seen) -> set[str]:
    """Device numbers of the file systems that are too full."""
    rows = [row for row in seen.rows(DISK) if row[0] == "filesystem"]
    targets = {row[1] for row in rows if _used(row) >= limits.DISK_WARN or float(row[3]) < ROOM}
    return {row[1] for row in seen.rows(DISK) if row[0] == "device" and row[2] in targets}


def _used(row: list[str]) -> float:
    """Percent, of bytes or of inodes, whichever is more."""
    pairs = [(float(row[2]), float(row[3])), (float(row[4]), float(row[5]))]
    return max((100 * (1 - free / whole) for whole, free in pairs if whole), default=0)


def _garbage(seen: Seen) -> list[tuple[str, str, float, int]]:
    """Kind, device, bytes and number of what can be removed."""
    rows = [row for row in seen.rows(DISK) if row[0] == "garbage" and len(row) == 5]
    return [(row[1], row[2], float(row[3]), int(row[4])) for row in rows]


def _has(kind: str, seen: Seen) -> bool:
    """Whether anything of a kind is where room is needed: an empty file takes an inode."""
    tight = _tight(seen)
    return any(found == kind and device in tight for found, device, _, _ in _garbage(seen))


def _sizes(seen: Seen) -> list[str]:
    words = {**{kind: what for kind, (what, _) in KINDS.items()}, "journal": "the journal"}
    return [
        f"{words[kind]}: {size(count)} in {files} {'file' if files == 1 else 'files'}"
        for kind, _, count, files in sorted(_garbage(seen), key=lambda found: -found[2])
    ]


def _person(settings: Settings, seen: Seen) -> list[str]:
    """What nobody but a person may remove, the largest first, with commands that look."""
    root, backups = settings.application.path, settings.application.backups
    looks = {
        backups: f"ls -lhrt {backups}   # older ones to another machine",
        "/var/lib/mysql": "sudo mysql -e 'SHOW BINARY LOGS'   # PURGE BINARY LOGS BEFORE …",
        f"{root}/storage/app": f"sudo du -xh --max-depth=2 {root}/storage/app | sort -h | tail   # uploads",
        f"{root}/storage/logs": "sudo logrotate -f /etc/logrotate.conf   # logs that are written now",
        "/var/log": "sudo du -xah /var/log | sort -h | tail",
        "/var/backups/itqan": "ls -lh /var/backups/itqan   # what runs of this stack set aside",
    }
    rows = [row for row in seen.rows(DISK) if row[0] == "candidate" and float(row[1]) >= ROOM]
    rows.sort(key=lambda row: -float(row[1]))
    candidates = [f"{size(float(row[1]))} in {row[2]}: {looks.get(row[2], '')}" for row in rows]
    held = [
        f"{size(float(row[1]))} deleted and still open, {row[3]}: pid {row[2]} gives it back when it restarts"
        for row in seen.rows(DISK)
        if row[0] == "held"
    ]
    return [*held, *candidates, "sudo du -xh --max-depth=3 / | sort -h | tail -n 20"]

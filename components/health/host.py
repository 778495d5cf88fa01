"""The machine: disk, inodes, memory, load, clock, waiting updates; and the units."""

from __future__ import annotations

from . import limits
from .model import Check, Seen, State, Unreadable, Verdict, graded, lasted, runbook, size

DISK, MACHINE, UPDATES = "health/disk", "health/machine", "health/updates"
GROUP = "host"
SHOWN = 3  # names of one kind; the command that helps has them all


def checks() -> list[Check]:
    """In the order of the table."""
    return [
        Check("disk", GROUP, disk),
        Check("inodes", GROUP, inodes),
        Check("memory", GROUP, memory),
        Check("load", GROUP, load),
        Check("clock", GROUP, clock),
        Check("security updates", GROUP, updates),
        Check("units", GROUP, units),
    ]


def disk(seen: Seen) -> Verdict:
    """The fullest file system."""
    used, target, free = _fullest(seen, 2, 3)
    return Verdict(
        graded(used, limits.DISK_WARN, limits.DISK_BAD),
        f"{used:.0f} % of {target} used, {size(free)} free",
        f"{limits.DISK_WARN} %, {limits.DISK_BAD} %",
        runbook(seen, "disk"),
    )


def inodes(seen: Seen) -> Verdict:
    """The file system with the fewest inodes left; some (btrfs) make them as they need them."""
    used, target, free = _fullest(seen, 4, 5)
    return Verdict(
        graded(used, limits.DISK_WARN, limits.DISK_BAD),
        f"{used:.0f} % of {target} used, {free:.0f} free",
        f"{limits.DISK_WARN} %, {limits.DISK_BAD} %",
        runbook(seen, "disk"),
    )


def _fullest(seen: Seen, total: int, free: int) -> tuple[float, str, float]:
    """Percent used, mount point and what is free, by the columns of total and free."""
    rows = [row for row in seen.rows(DISK) if row[0] == "filesystem" and len(row) == 6]
    try:
        found = [(float(row[total]), row[1], float(row[free])) for row in rows if float(row[total])]
    except ValueError:
        raise Unreadable("df says no numbers") from None
    if not found:
        raise Unreadable("df says nothing")
    return max((100 * (1 - left / whole), target, left) for whole, target, left in found)


def memory(seen: Seen) -> Verdict:
    """What programs can still get without swapping."""
    total, available = seen.number(MACHINE, "MemTotal"), seen.number(MACHINE, "MemAvailable")
    percent = 100 * available / total
    state = graded(percent, limits.MEMORY_WARN, limits.MEMORY_BAD, falling=True)
    return Verdict(
        state,
        f"{percent:.0f} % available, {size(available)} of {size(total)}{_shared(seen)}",
        f"{limits.MEMORY_WARN} %, {limits.MEMORY_BAD} %",
        "ps -eo rss,user,args --sort=-rss | head -n 15",
    )


def load(seen: Seen) -> Verdict:
    """Over five minutes: a release or a dump takes one or two."""
    words = seen.words(MACHINE, "load")
    if len(words) != 3:
        raise Unreadable("the host says no load")
    processors = seen.number(MACHINE, "processors")
    each = float(words[1]) / processors
    return Verdict(
        graded(each, limits.LOAD_WARN, limits.LOAD_BAD),
        f"{each:.1f} for each of {processors:.0f} processors{_shared(seen)}",
        f"{limits.LOAD_WARN:.0f}, {limits.LOAD_BAD:.0f}",
        "ps -eo pcpu,user,args --sort=-pcpu | head -n 15",
    )


def _shared(seen: Seen) -> str:
    return ", of the Docker host" if seen.settings.target == "docker" else ""


def clock(seen: Seen) -> Verdict:
    """The host's clock is asked between two looks at this machine's: what lies between them is right."""
    told = seen.number(MACHINE, "clock")
    off = max(seen.began - told, told - seen.ended, 0.0)
    direction = "behind" if told < seen.began else "ahead of"
    found = f"{off:.1f} s {direction} this machine's" if off else "as this machine's"
    return Verdict(
        graded(off, limits.CLOCK_WARN, limits.CLOCK_BAD),
        found,
        f"{limits.CLOCK_WARN:.0f} s, {limits.CLOCK_BAD:.0f} s",
        "sudo timedatectl set-ntp true; timedatectl timesync-status",
    )


def updates(seen: Seen) -> Verdict:
    """Security updates that wait; lists that are old or absent know nothing of them."""
    fetch = "sudo apt-get update"
    lists = seen.words(UPDATES, "lists")
    if lists == ["absent"]:
        return Verdict("unknown", "the host has no package lists, so nobody knows", "0 waiting", fetch)
    age = seen.number(UPDATES, "now") - seen.number(UPDATES, "lists")
    if not seen.number(UPDATES, "suites"):
        return Verdict("unknown", "none of its package lists is of a security suite", "0 waiting", fetch)
    waiting = sorted({row[1] for row in seen.rows(UPDATES) if row[0] == "update"})
    state: State = "warn" if waiting or age >= limits.LISTS_WARN * 86400 else "good"
    more = ", …" if len(waiting) > SHOWN else ""
    names = f": {', '.join(waiting[:SHOWN])}{more}" if waiting else ""
    return Verdict(
        state,
        f"{len(waiting) or 'none'} waiting{names}; lists {lasted(age)} old",
        f"0 waiting, lists {limits.LISTS_WARN} d",
        f"{fetch} && sudo apt-get upgrade; held ones: ./itqan audit {seen.settings.stack}",
    )


def units(seen: Seen) -> Verdict:
    """What is not as the settings ask: it may work all the same, and `up` would change it."""
    drift = seen.drift
    if not drift.of:
        raise Unreadable("no unit was looked at")
    more = f" and {len(drift.units) - SHOWN} more" if len(drift.units) > SHOWN else ""
    names = f": {', '.join(drift.units[:SHOWN])}{more}" if drift.units else ""
    others = f", {drift.unknown} not of this stack" if drift.unknown else ""
    late = f", {drift.late} not looked at in time" if drift.late else ""
    unread: State = "unknown" if drift.late else "good"
    return Verdict(
        "warn" if drift.units or drift.unknown else unread,
        f"{len(drift.units) or 'none'} of {drift.of} drifted{names}{others}{late}",
        "0",
        f"./itqan audit {seen.settings.stack}",
    )

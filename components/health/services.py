"""What runs: the five services, Supervisor's programs, the scheduler, PHP-FPM's processes."""

from __future__ import annotations

from functools import partial

from settings import Program, Settings

from ..platform import Platform
from ..supervisor import programs
from . import limits
from .model import Check, Seen, Verdict, graded, lasted, runbook

SERVICES, PROGRAMS, SCHEDULER, FPM = "health/services", "health/programs", "health/scheduler", "health/fpm"
STARTING = frozenset({"RUNNING", "STARTING"})


def services(settings: Settings, platform: Platform) -> list[str]:
    """Section "Service Health Checks" of the document."""
    return [
        "nginx",
        f"php{settings.php.version}-fpm",
        platform.database_service,
        "redis-server",
        "supervisor",
    ]


def checks(settings: Settings, platform: Platform) -> list[Check]:
    """In the order of the table."""
    return [
        *(Check(name, "services", partial(service, name)) for name in services(settings, platform)),
        Check("PHP-FPM's processes", "services", pool),
        *(Check(each.name, "programs", partial(program, each)) for each in programs(settings)),
        Check("scheduler", "programs", scheduler),
    ]


def service(name: str, seen: Seen) -> Verdict:
    """A systemd unit."""
    words = seen.words(SERVICES, "service", name)
    line = runbook(seen, _of_service(name))
    if words[-1:] != ["active"]:
        return Verdict("bad", words[-1] if words else "nothing", "active", line)
    if words[0] in ("disabled", "masked"):
        return Verdict("warn", f"active, {words[0]}", "active, enabled", f"sudo systemctl enable {name}")
    return Verdict("good", "active", "active", line)


def _of_service(name: str) -> str:
    """The runbook that is about a service."""
    known = {"nginx": "nginx", "redis-server": "redis", "supervisor": "queue"}
    return known.get(name, "php" if name.startswith("php") else "database")


def program(wanted: Program, seen: Seen) -> Verdict:
    """A program of Supervisor: as many processes as the settings say."""
    words = seen.words(PROGRAMS, "program", wanted.name)
    found = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    shown = (
        ", ".join(f"{count} {state}" for state, count in sorted(found.items())) or "not known to Supervisor"
    )
    line = _of_program(wanted, seen)
    limit = f"{wanted.processes} RUNNING"
    if found == {"RUNNING": wanted.processes}:
        return Verdict("good", shown, limit, line)
    all_begin = set(found) <= STARTING and sum(found.values()) == wanted.processes
    return Verdict("warn" if all_begin else "bad", shown, limit, line)


def _of_program(wanted: Program, seen: Seen) -> str:
    """The runbook that is about a program, or what brings any other one back."""
    for word, name in (("queue:work", "queue"), ("reverb:start", "websocket")):
        if word in wanted.command:
            return runbook(seen, name)
    return _update(seen)


def _update(seen: Seen) -> str:
    return f"./itqan up --stack {seen.settings.stack}"


def scheduler(seen: Seen) -> Verdict:
    """When it was last started: by cron, or by its program."""
    by_cron = seen.settings.scheduler == "cron"
    line = "sudo systemctl restart cron" if by_cron else "sudo supervisorctl restart 'itqan-scheduler:*'"
    limit = f"{limits.SCHEDULER_BAD} s"
    if seen.words(SCHEDULER, "ran") == ["never"]:
        if not by_cron:
            return Verdict("bad", "no log of it", limit, line)
        since = seen.number(SCHEDULER, "now") - seen.number(SCHEDULER, "since")
        if since < limits.SCHEDULER_BAD:
            return Verdict("warn", f"not started yet: cron has it for {since:.0f} s", limit, "wait a minute")
        return Verdict("bad", "not started within the last hour", limit, line)
    age = seen.number(SCHEDULER, "now") - seen.number(SCHEDULER, "ran")
    state = graded(age, limits.SCHEDULER_BAD, limits.SCHEDULER_BAD)
    return Verdict(state, f"started {lasted(age) if age >= 180 else f'{age:.0f} s'} ago", limit, line)


def pool(seen: Seen) -> Verdict:
    """How many of FPM's processes answer a request, this look's own among them, and whether requests wait."""
    most = seen.settings.php.pool.max_children
    if ["socket", "absent"] in seen.rows(FPM):
        return Verdict("bad", "nobody listens on its socket", f"{most} processes", runbook(seen, "php"))
    # a kernel may list what nobody has accepted among the connections
    waiting, busy = seen.number(FPM, "waiting"), min(seen.number(FPM, "connections"), most)
    state = "bad" if waiting else graded(100 * busy / most, limits.POOL_WARN, 101)
    return Verdict(
        state,
        f"{busy:.0f} of {most} busy, {waiting:.0f} requests wait",
        f"{limits.POOL_WARN} %, 0 wait",
        f"{runbook(seen, 'php')}; of visitors: a larger itqan:php.pool.maxChildren, then {_update(seen)}",
    )

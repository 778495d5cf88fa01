"""The application, asked with its own code: `about`, database, Redis, queues, failed jobs."""

from __future__ import annotations

import re
import shlex
from functools import partial

from settings import Program, Settings

from . import limits, release
from .model import LATE, ORDER, Check, Seen, State, Unreadable, Verdict, graded, lasted, runbook

PROBE = "health/application"
GROUP = "application"
WORKER = re.compile(r"\bartisan queue:work\b(?:\s+(?!-)(?P<connection>[\w-]+))?")
QUEUES = re.compile(r"--queue[= ](\S+)")
NOBODY_KNOWS = "-"


def queues(programs: list[Program]) -> list[tuple[str, str]]:
    """Connection and queues that workers take jobs from; empty is the application's default."""
    found = []
    for program in programs:
        if worker := WORKER.search(program.command):
            named = QUEUES.search(program.command)
            found.append((worker["connection"] or "", named[1] if named else ""))
    return list(dict.fromkeys(found))


def arguments(settings: Settings) -> list[str]:
    """The arguments of files/health/application.php."""
    return [f"{connection}={names}" for connection, names in queues(settings.programs)]


def checks(settings: Settings) -> list[Check]:
    """In the order of the table."""
    return [
        Check("artisan about", GROUP, about),
        Check("database", GROUP, partial(answers, "database")),
        Check("redis", GROUP, partial(answers, "redis")),
        *([Check("queue", GROUP, queue)] if queues(settings.programs) else []),
        Check("failed jobs", GROUP, failures),
    ]


def _artisan(seen: Seen, command: str) -> str:
    """A command of the application, as the user whom all its processes belong to."""
    root, user = seen.settings.application.path, seen.settings.server.web_user
    return f"cd {shlex.quote(root)} && sudo -u {user} php artisan {command}"


def _started(seen: Seen) -> None:
    """Raises Unreadable when the application does not start: `artisan about` says why."""
    if not seen.rows(PROBE):
        raise Unreadable(LATE)
    if ["start", "ok"] not in [row[:2] for row in seen.rows(PROBE)]:
        raise Unreadable("the application does not start", runbook(seen, "errors-500"))


def about(seen: Seen) -> Verdict:
    """Whether the application starts, and how."""
    line = runbook(seen, "errors-500")
    try:
        start = seen.words(PROBE, "start")
    except Unreadable:
        return Verdict("bad", "does not start, or not within 3 s", "starts", line)
    if start[:1] != ["ok"]:
        return Verdict("bad", f"does not start: {' '.join(start[1:])}", "starts", line)
    limit = "debug off, no maintenance"
    words = f"Laravel {start[1]}, PHP {start[2]}, {' '.join(seen.words(PROBE, 'environment'))}"
    if seen.words(PROBE, "maintenance") == ["on"]:
        return _closed(seen, words, limit)
    if seen.words(PROBE, "debug") == ["on"]:
        fix = f"./itqan audit {seen.settings.stack}"
        return Verdict("bad", f"{words}, debug on: error pages show variables", limit, fix)
    answer = seen.words(PROBE, "about")
    if answer[:1] != ["ok"]:
        return Verdict("bad", f"{words}; about failed: {' '.join(answer[1:])}", limit, line)
    if seen.words(PROBE, "cached") != ["config", "routes"]:
        return Verdict("warn", f"{words}, configuration or routes not cached", "both cached", line)
    return Verdict("good", words, limit, line)


def _closed(seen: Seen, words: str, limit: str) -> Verdict:
    """Maintenance, by whose doing: to open the site in the midst of a release would show half of it."""
    if found := release.under_way(seen):
        line = f"its end: ./itqan logs {seen.settings.stack} release -f"
        return Verdict("warn", f"{words}, maintenance while a release is under way: {found}", limit, line)
    if step := release.died_in(seen):
        why = f"{words}, maintenance: visitors get 503; a release did not get to its end, it was in {step}"
        return Verdict("bad", why, limit, release.settle(seen))
    return Verdict("bad", f"{words}, maintenance: visitors get 503", limit, _artisan(seen, "up"))


def answers(what: str, seen: Seen) -> Verdict:
    """Whether the database or Redis answers the application, with its own login."""
    _started(seen)
    line = runbook(seen, what)
    words = _attempt(seen, what)
    if words is None:
        return Verdict("bad", "no answer", "3 s", line)
    if words[0] != "ok":
        return Verdict("bad", " ".join(words[1:]), "answers", line)
    return Verdict("good", f"answers in {words[1]} ms", "answers", line)


def _attempt(seen: Seen, *what: str) -> list[str] | None:
    """What an attempt told; None when the program was ended before."""
    try:
        return seen.words(PROBE, *what)
    except Unreadable:
        if ["end"] in seen.rows(PROBE):
            raise
        return None


def failures(seen: Seen) -> Verdict:
    """Jobs that failed for good."""
    _started(seen)
    line = _artisan(seen, "queue:failed")
    limit = f"{limits.FAILED_WARN}, {limits.FAILED_BAD}"
    words = _attempt(seen, "failures")
    if words is None or words[0] != "ok":
        return Verdict("unknown", "the list of failed jobs cannot be read", limit, line)
    count = int(words[2])
    return Verdict(graded(count, limits.FAILED_WARN, limits.FAILED_BAD), f"{count or 'none'}", limit, line)


def queue(seen: Seen) -> Verdict:
    """Jobs that wait, how long the oldest has, and how long one runs; of several queues the worst."""
    _started(seen)
    rows = [row[1:] for row in seen.rows(PROBE) if row[0] == "queue"]
    if not rows:
        return Verdict("bad", "no answer", "3 s", runbook(seen, "redis"))
    judged = [_queue(seen, row[0], row[1:]) for row in rows]
    return min(judged, key=lambda verdict: ORDER.index(verdict.state))


def _queue(seen: Seen, name: str, words: list[str]) -> Verdict:
    line = runbook(seen, "queue")
    if words[:1] != ["ok"] or len(words) != 9:
        return Verdict("bad", f"{name}: {' '.join(words[1:])}", "answers", line)
    ready, delayed, reserved = (int(word) for word in words[2:5])
    made, idle, due, running = (None if word == NOBODY_KNOWS else int(word) for word in words[5:9])
    told, oldest = _oldest(ready, made, idle, due)
    states: list[State] = [
        graded(ready, limits.QUEUE_WARN, limits.QUEUE_BAD),
        graded(oldest, limits.WAIT_WARN, limits.WAIT_BAD),
        graded(running or 0, limits.RUNNING_WARN, float("inf")),
    ]
    for_long = f" for {lasted(running)}" if running and running >= limits.RUNNING_WARN else ""
    return Verdict(
        min(states, key=ORDER.index),
        f"{name}: {ready or 'none'} wait{told}, {reserved or 'none'} run{for_long}, {delayed} for later",
        f"{limits.QUEUE_WARN}, {limits.QUEUE_BAD} jobs; {limits.WAIT_WARN}, {limits.WAIT_BAD} s",
        line,
    )


def _oldest(ready: int, made: int | None, idle: int | None, due: int | None) -> tuple[str, float]:
    """The age of the oldest job in words, and in seconds for the limits.

    A job says when it was made since Laravel 12, or with Horizon. Else there is a bound: no job in a list is
    younger than the last use of it.
    """
    late = due or 0
    if not ready:
        return (f", one {lasted(late)} overdue" if late >= limits.WAIT_WARN else ""), late
    if made is not None:
        return f", the oldest for {lasted(made)}", max(made, late)
    if idle is not None:
        return f", the oldest for {lasted(idle)} or more", max(idle, late)
    return ", nobody knows for how long", late

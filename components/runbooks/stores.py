"""The database and Redis: what the document only names among its health checks."""

from __future__ import annotations

from functools import partial

from settings import Settings

from ..database import CLIENT_FILE
from ..health import Check, Seen, Verdict, application
from ..health.model import Unreadable, size
from ..platform import Platform
from ..unit import call
from .host import (
    GROUP,
    STOPPED,
    application_words,
    artisan,
    is_bad,
    look,
    rebuild,
    resume,
    stopped,
    symptom,
)
from .model import Runbook, Step, Symptom

DATABASE, REDIS = "fix/database", "fix/redis"
# Part of maxmemory from which on Redis counts as full: its own bookkeeping moves by about that much.
FULL = 0.99


def database(settings: Settings, platform: Platform) -> Runbook:
    """A server that is gone, and passwords that do not fit: the server's, .env's, the cached one."""
    service = platform.database_service
    daemon = "/usr/sbin/mysqld" if service == "mysql" else "/usr/sbin/mariadbd"
    alive = symptom(service, settings, platform, explains=True)
    halted = stopped("its process", daemon)
    server = Symptom(Check("server", GROUP, partial(_answer, "server")), explains=True)
    account = Symptom(Check("application's account", GROUP, partial(_answer, "account")))
    used = symptom("database", settings, platform)
    return Runbook(
        name="database",
        section="Service Health Checks: database",
        symptoms=[alive, halted, server, account, used],
        units=["database/service", "database/address", "database/client", "database/schema"],
        steps=[
            resume(halted, daemon),
            Step("the server runs, now and after a restart of the host", unit="database/service"),
            Step("the server listens where it is asked", unit="database/address"),
            Step(
                f"sudo systemctl restart {service}",
                cure=call("systemctl", "restart", service),
                when=partial(is_bad, server),
                patience=30,
            ),
            Step("how root's tools log in as the application", unit="database/client"),
            Step("schema, account, its password and rights", unit="database/schema"),
            Step(".env as the settings say, and cached", unit="release/env", when=partial(is_bad, used)),
            rebuild(settings, when=lambda seen: is_bad(used, seen) and not is_bad(server, seen)),
        ],
        looks=[look(DATABASE, CLIENT_FILE), look(STOPPED)],
        rests_on=("disk",),
        person=lambda _: [
            f"journalctl -u {service} -n 50",
            "sudo mysql -e 'SHOW FULL PROCESSLIST'   # many connections? who holds them",
        ],
    )


def _is_answered(what: str, seen: Seen) -> bool:
    """Whether the application was answered: on a busy host another look may have had no answer in time."""
    return any(row[:2] == [what, "ok"] for row in seen.rows(application.PROBE))


def _answer(who: str, seen: Seen) -> Verdict:
    if _is_answered("database", seen):
        return Verdict("good", "answers the application")
    words = seen.words(DATABASE, who)
    if words[:1] == ["ok"]:
        return Verdict("good", "answers")
    return Verdict("bad", " ".join(words[1:]) or "no answer in time")


def redis(settings: Settings, platform: Platform) -> Runbook:
    """A Redis that is gone, hangs or is full. Never emptied: jobs and sessions are in it."""
    host, port = settings.redis.host, settings.redis.port
    alive = symptom("redis-server", settings, platform, explains=True)
    halted = stopped("its process", "/usr/bin/redis-server")
    server = Symptom(Check("server", GROUP, _redis_answer), explains=True)
    full = Symptom(Check("memory", GROUP, _memory), explains=True)
    saved = Symptom(Check("last save", GROUP, _saved))
    used = symptom("redis", settings, platform)
    return Runbook(
        name="redis",
        section="Service Health Checks: Redis",
        symptoms=[alive, halted, server, full, saved, used],
        units=["redis/address", "redis/service", "redis/login", "redis/password"],
        steps=[
            resume(halted, "/usr/bin/redis-server"),
            Step("Redis listens where it is asked", unit="redis/address"),
            Step("how root's tools log in", unit="redis/login"),
            Step("Redis runs and answers, now and after a restart of the host", unit="redis/service"),
            Step("its password", unit="redis/password"),
            Step(
                "sudo systemctl restart redis-server",
                cure=call("systemctl", "restart", "redis-server"),
                when=partial(is_bad, server),
                patience=15,
            ),
            Step(
                "redis-cli config set maxmemory, as redis.conf has it",
                cure=call("restore_redis_limit", host, port),
                when=lambda seen: is_bad(full, seen) and _differs_from_file(seen),
                patience=3,
            ),
            Step(
                artisan(settings, "cache:clear"),
                cure=call("clear_application_cache", *application_words(settings)),
                when=partial(is_bad, full),
                patience=3,
            ),
            Step(
                "redis-cli config set maxmemory, a quarter more than is used, until it starts anew; "
                "for good: maxmemory in /etc/redis/redis.conf",
                cure=call("raise_redis", host, port),
                when=partial(is_bad, full),
                patience=3,
            ),
            Step(".env as the settings say, and cached", unit="release/env", when=partial(is_bad, used)),
            rebuild(settings, when=lambda seen: is_bad(used, seen) and not is_bad(server, seen)),
        ],
        looks=[look(REDIS, host, port), look(STOPPED)],
        rests_on=("disk",),
        tells=_kinds,
        person=lambda _: [
            "journalctl -u redis-server -n 50",
            "redis-cli --bigkeys -i 0.01   # what is large; FLUSHALL would end jobs and sessions",
        ],
    )


def _redis_answer(seen: Seen) -> Verdict:
    if _is_answered("redis", seen):
        return Verdict("good", "answers the application")
    words = seen.words(REDIS, "answer")
    if words == ["ok"]:
        return Verdict("good", "answers")
    return Verdict("bad", "no answer" if words == ["none"] else "does not let this stack in")


def _memory(seen: Seen) -> Verdict:
    used, most = seen.number(REDIS, "used"), seen.number(REDIS, "most")
    policy = " ".join(seen.words(REDIS, "policy"))
    if not most:
        return Verdict("good", f"{size(used)}, no limit")
    found = f"{size(used)} of {size(most)} used, {policy}"
    # with another policy Redis makes room by itself
    return Verdict("bad" if used >= FULL * most and policy == "noeviction" else "good", found)


def _saved(seen: Seen) -> Verdict:
    """Redis refuses writes while it cannot save (stop-writes-on-bgsave-error)."""
    words = seen.words(REDIS, "saved")
    return Verdict("good" if words == ["ok"] else "bad", f"the last save to its disk: {' '.join(words)}")


def _differs_from_file(seen: Seen) -> bool:
    """Whether somebody has set the limit at run time; a file without one has 0."""
    try:
        file = (seen.words(REDIS, "file") or ["0"])[0]
        return bytes_of(file) != seen.number(REDIS, "most")
    except Unreadable:
        return False


def bytes_of(text: str) -> int:
    """A size as redis.conf has it: 1k is 1000, 1kb is 1024, and so on. What is none is -1."""
    units = {"": 1, "k": 1000, "kb": 1024, "m": 1000**2, "mb": 1024**2, "g": 1000**3, "gb": 1024**3}
    digits = text.rstrip("kmgbKMGB")
    unit = text[len(digits) :].lower()
    return int(digits) * units[unit] if digits.isdigit() and unit in units else -1


def _kinds(seen: Seen) -> list[str]:
    """What a full Redis is full of."""
    rows = [row for row in seen.rows(REDIS) if row[0] == "kind"]
    return [f"database {row[1]}, of a thousand keys: {row[2]} of {' '.join(row[3:])}" for row in rows]

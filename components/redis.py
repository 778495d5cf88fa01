"""Redis: the distribution's own configuration, as the document says; a password where there is one."""

from __future__ import annotations

from settings import Settings

from .digests import key
from .part import Part
from .platform import Platform
from .render import managed
from .unit import Unit, call, file_unit, lines, secret_file_line

LOGIN = "/etc/itqan/redis.login"
CONFIGURATION = "/etc/redis/itqan.conf"
# The account of everybody who gives no name, and the word of its rule that nobody is asked for a password
# (redis.io/docs, "ACL").
ACCOUNT, NO_PASSWORD = "default", "nopass"


def units(settings: Settings, platform: Platform) -> list[Unit]:
    """Section "Software Stack": Redis, "Default Ubuntu config"; the document has no password."""
    host, port = settings.redis.host, settings.redis.port
    password = settings.redis_password and settings.redis_password.get_secret_value()
    return [
        # before all else that asks Redis anything
        *([_login(settings, password)] if password else []),
        Unit(
            # before the service, whose unit goes on to say whether anything answers
            name="redis/address",
            probe=call("probe_exposed", port),
            expect=f"port {port} not exposed",
            apply=call("bind_redis", host, port),
        ),
        _service(host, port, is_open=not password),
        *([_password(settings, password)] if password and settings.previous("redis") != NO_PASSWORD else []),
    ]


def _service(host: object, port: int, *, is_open: bool) -> Unit:
    """Redis runs and answers; everybody when it has no password, so that one can be given up, too."""
    answers = call("wait_until", 10, "redis_answers", host, port)
    return Unit(
        name="redis/service",
        probe=lines(
            call("probe_service", "redis-server"),
            call("probe_redis", host, port, *(["open"] if is_open else [])),
            call("probe_listening", port),
        ),
        expect=lines(
            "service redis-server enabled active",
            f"redis {host}:{port} PONG",
            f"port {port} local only",
        ),
        apply=lines(
            call("enable_now", "redis-server"),
            call("open_redis", host, port, CONFIGURATION) if is_open else answers,
        ),
    )


def _passwords(settings: Settings, password: str) -> list[str]:
    """Those that open Redis, the application's first; while it is being changed the old one too."""
    previous = settings.previous("redis")
    return [password] if previous in (None, NO_PASSWORD) else [password, previous]


def _login(settings: Settings, password: str) -> Unit:
    """How root's own tools log in: whichever password Redis knows yet."""
    logins = [f"AUTH {ACCOUNT} {_word(known)}\n" for known in _passwords(settings, password)]
    content = f"ECHO {_word(managed('components/redis.py'))}\n{''.join(logins)}"
    return file_unit("redis/login", LOGIN, content, mode="600", key=key(settings))


def _password(settings: Settings, password: str) -> Unit:
    """Redis asks for the password, now and after a restart; connections that are there stay."""
    host, port, known = settings.redis.host, settings.redis.port, _passwords(settings, password)
    content = f"# {managed('components/redis.py')}\nrequirepass {_word(password)}\n"
    return Unit(
        name="redis/password",
        probe=lines(call("probe_secret_file", CONFIGURATION), call("probe_redis_password", host, port)),
        expect=lines(
            secret_file_line(CONFIGURATION, "redis:redis", "640", content, key(settings)),
            f"redis passwords {len(known)}",
            f"file /etc/redis/redis.conf include {CONFIGURATION}",
        ),
        apply=call("require_redis_password", host, port, CONFIGURATION),
        payload="".join(f"{_word(one)}\n" for one in known) + content,
        secret=True,
        remove=call("rm", "-f", CONFIGURATION),  # Redis is open by then: redis/service
    )


def _word(value: str) -> str:
    """A word in double quotes, as redis.conf and redis-cli read it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


class Redis(Part):
    """Redis."""

    part = "redis"

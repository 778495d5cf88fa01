"""Redis: the distribution's own configuration, as the document says."""

from __future__ import annotations

from settings import Settings

from .part import Part
from .platform import Platform
from .unit import Unit, call, lines


def units(settings: Settings, platform: Platform) -> list[Unit]:
    """Section "Software Stack": Redis, "Default Ubuntu config"."""
    return [
        Unit(
            name="redis/service",
            probe=lines(
                call("probe_service", "redis-server"),
                call("probe_redis", settings.redis.host, settings.redis.port),
                call("probe_listening", settings.redis.port),
            ),
            expect=lines(
                "service redis-server enabled active",
                f"redis {settings.redis.host}:{settings.redis.port} PONG",
                f"port {settings.redis.port} local only",
            ),
            apply=lines(
                call("enable_now", "redis-server"),
                call(
                    "wait_until",
                    10,
                    "redis-cli",
                    "-h",
                    settings.redis.host,
                    "-p",
                    settings.redis.port,
                    "ping",
                ),
            ),
        )
    ]


class Redis(Part):
    """Redis."""

    part = "redis"

"""Redis: the distribution's own configuration, as the document says."""

from __future__ import annotations

from settings import Settings

from .part import Part
from .platform import Platform
from .unit import Unit, call, lines


def units(settings: Settings, platform: Platform) -> list[Unit]:
    """Section "Software Stack": Redis, "Default Ubuntu config"."""
    host, port = settings.redis.host, settings.redis.port
    return [
        Unit(
            # first: the unit of the service goes on to say whether anything answers
            name="redis/address",
            probe=call("probe_exposed", port),
            expect=f"port {port} not exposed",
            apply=call("bind_redis", host, port),
        ),
        Unit(
            name="redis/service",
            probe=lines(
                call("probe_service", "redis-server"),
                call("probe_redis", host, port),
                call("probe_listening", port),
            ),
            expect=lines(
                "service redis-server enabled active",
                f"redis {host}:{port} PONG",
                f"port {port} local only",
            ),
            apply=lines(
                call("enable_now", "redis-server"),
                call(
                    "wait_until",
                    10,
                    "redis-cli",
                    "-h",
                    host,
                    "-p",
                    port,
                    "ping",
                ),
            ),
        ),
    ]


class Redis(Part):
    """Redis."""

    part = "redis"

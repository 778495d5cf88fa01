"""Rotation of the application's logs, which the document does not have: without it they fill the disk."""

from __future__ import annotations

from settings import Settings

from .part import Part
from .platform import Platform
from .render import render
from .unit import Unit, call, file_unit

FILE = "/etc/logrotate.d/itqan-platform"
TIMER = "logrotate.timer"
# As systemd writes it. The distributions' timer looks once a day: too seldom for a log that grows quickly.
CALENDAR = "*-*-* 00/2:00:00"


def units(settings: Settings, platform: Platform) -> list[Unit]:
    """What is rotated, and when logrotate looks; the host's other logs have their packages' own rules."""
    rules = render(
        "logrotate/itqan-platform.j2", root=settings.application.path, web_user=settings.server.web_user
    )
    drop_in = f"/etc/systemd/system/{TIMER}.d/itqan.conf"
    return [
        file_unit("logrotate/logs", FILE, rules, test=("accept_rotation", FILE)),
        file_unit(
            "logrotate/timer",
            drop_in,
            render("logrotate/timer.conf.j2", calendar=CALENDAR),
            probe=f"{call('probe_service', TIMER)}\n{call('probe_timer', TIMER)}",
            expect=f"service {TIMER} enabled active\ntimer {TIMER} {CALENDAR}",
            then=call("reload_timer", TIMER),
        ),
    ]


class Logrotate(Part):
    """The rotation of logs."""

    part = "logrotate"

"""cron: the Laravel scheduler, once a minute, as the web user."""

from __future__ import annotations

from settings import Settings

from .part import Part
from .platform import Platform
from .render import managed
from .services import service_unit
from .unit import Unit, call, digest, lines


def crontab(settings: Settings) -> str:
    """The web user's crontab: the document's line, or none when Supervisor runs the scheduler."""
    if settings.scheduler != "cron":
        return ""
    command = f"cd {settings.application.path} && php artisan schedule:run >> /dev/null 2>&1"
    return f"# {managed('components/cron.py')}\n* * * * * {command}\n"


def units(settings: Settings, platform: Platform) -> list[Unit]:
    """Section "Cron Jobs" of the document: one line for one user on the whole host."""
    user, content = settings.server.web_user, crontab(settings)
    return [
        service_unit("cron/service", "cron"),
        Unit(
            name="cron/scheduler",
            probe=call("probe_crontab", user, settings.application.path),
            expect=lines(
                f"crontab {user} {digest(content) if content else 'absent'}",
                f"crontabs run the scheduler {1 if content else 0} times",
            ),
            apply=lines(
                call("keep_one_scheduler", user, settings.application.path), call("install_crontab", user)
            ),
            payload=content,
            remove=call("crontab", "-r", "-u", user),
        ),
    ]


class Cron(Part):
    """The scheduler."""

    part = "cron"

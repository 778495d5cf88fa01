"""All checks, and what they need to know of the host."""

from __future__ import annotations

import shlex

from settings import Settings

from ..platform import Platform
from ..render import text
from ..supervisor import programs
from ..unit import Unit
from . import application, backups, host, limits, release, services, site
from .model import Check, Result, Seen, Unreadable, Verdict, question

# Nobody can ask for more than the document's own commands where a check has no answer at all.
SEE_FOR_YOURSELF = "./itqan audit"
# Below the application, what may be a file system of its own.
MOUNTED = ("storage", "storage/app", "storage/logs")


def checks(settings: Settings, platform: Platform) -> list[Check]:
    """Every check of a stack, in the order of the table."""
    return [
        *services.checks(settings, platform),
        *application.checks(settings),
        *site.checks(),
        *host.checks(),
        *backups.checks(settings),
    ]


def judged_as(name: str, settings: Settings, platform: Platform) -> Check:
    """The check of that name. Raises KeyError."""
    return {check.name: check for check in checks(settings, platform)}[name]


def probes(settings: Settings, platform: Platform, tenant: str, seconds: int = limits.PROBE) -> list[Unit]:
    """What the host is asked, all at once; nothing is expected of it.

    Arguments: `tenant`, a name that nobody has; `seconds`, after which a probe is ended.
    """
    application_path, web_user = settings.application.path, settings.server.web_user
    log = next((p.log for p in programs(settings) if "schedule:work" in p.command), "-")
    folders = [
        "/",
        application_path,
        *(f"{application_path}/{folder}" for folder in MOUNTED),
        settings.application.backups,
        "/var/lib/mysql",
        "/var/lib/redis",
        "/var/log",
    ]
    php = f"php{settings.php.version}"
    asked: dict[str, tuple[str, ...]] = {
        services.SERVICES: tuple(services.services(settings, platform)),
        services.PROGRAMS: tuple(program.name for program in programs(settings)),
        services.SCHEDULER: (settings.scheduler, application_path, log),
        services.FPM: (f"/run/php/{php}-fpm.sock",),
        site.CERTIFICATE: (settings.certificate.lineage,),
        site.NAMES: (str(settings.name_server or ""), *site.asked_names(settings, tenant)),
        host.DISK: tuple(folders),
        host.MACHINE: (),
        host.UPDATES: (),
        backups.PROBE: (settings.application.backups,),
    }
    made = [question(name, *words) for name, words in asked.items()]
    words = (str(seconds - 1), php, web_user, application_path, *application.arguments(settings))
    php_asked = Unit(application.PROBE, _application(words), expect="", apply="")
    return [*made, release.look(application_path), php_asked]


def _application(words: tuple[str, ...]) -> str:
    """The program for PHP comes on standard input: nothing is written to the host."""
    body, program = text(f"{application.PROBE}.sh"), text(f"{application.PROBE}.php")
    return f"{shlex.join(['set', '--', *words])}\n{{\n{body}}} <<'PHP'\n{program}PHP"


def judged(asked: list[Check], seen: Seen) -> list[Result]:
    """Each check's verdict on what was seen."""
    return [Result(check.name, check.group, _verdict(check, seen)) for check in asked]


def _verdict(check: Check, seen: Seen) -> Verdict:
    try:
        return check.judge(seen)
    except Unreadable as error:
        return Verdict("unknown", str(error), help=error.help or f"{SEE_FOR_YOURSELF} {seen.settings.stack}")
    except (ValueError, IndexError):
        return Verdict(
            "unknown", "the answer cannot be read", help=f"{SEE_FOR_YOURSELF} {seen.settings.stack}"
        )

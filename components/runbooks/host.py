"""What runbooks share: how the host is asked, what several of them look at, steps that several have."""

from __future__ import annotations

import shlex
from functools import partial

from settings import Settings

from ..health import Check, Seen, Verdict, application, release
from ..health.checks import judged_as
from ..render import text
from ..unit import Unit, call
from .model import Step, Symptom

GROUP = "runbook"
TOOL = "/usr/local/sbin/itqan-release"
STOPPED = "fix/stopped"


def look(name: str, *words: object, library: str = "") -> Unit:
    """A probe of files/fix; nothing is expected of it.

    Arguments: `library`, a file of functions before it.
    """
    body = f"{text(library)}\n{text(f'{name}.sh')}" if library else text(f"{name}.sh")
    return Unit(name, f"{shlex.join(['set', '--', *map(str, words)])}\n{body}", expect="", apply="")


def artisan(settings: Settings, *words: str) -> str:
    """Commands of the application, as the user whom all its processes belong to."""
    root, user = settings.application.path, settings.server.web_user
    commands = " && ".join(f"sudo -u {user} php artisan {word}" for word in words)
    return f"cd {shlex.quote(root)} && {commands}"


def application_words(settings: Settings) -> tuple[str, str, str]:
    """User, PHP and root, as the functions of files/fix/cures.sh take them."""
    return settings.server.web_user, f"php{settings.php.version}", settings.application.path


def symptom(
    name: str, settings: Settings, platform: object, *troubles: str, explains: bool = False
) -> Symptom:
    """One of health's own checks."""
    return Symptom(judged_as(name, settings, platform), frozenset(troubles or ("bad",)), explains)  # type: ignore[arg-type]


def is_bad(check: Symptom, seen: Seen) -> bool:
    """Whether a symptom is there."""
    return check.verdict(seen).state in check.troubles


# -- processes that a signal has stopped


def stopped(name: str, pattern: str) -> Symptom:
    """No process that begins with `pattern` (awk's words: a plain beginning) is stopped by a signal."""
    return Symptom(Check(name, GROUP, partial(_stopped, pattern)))


def _stopped(pattern: str, seen: Seen) -> Verdict:
    found = [row for row in seen.rows(STOPPED) if row[0] == "stopped" and pattern in " ".join(row[2:])]
    if not found:
        return Verdict("good", "none")
    numbers = ", ".join(row[1] for row in found)
    return Verdict("bad", f"{len(found)} stopped by a signal (pid {numbers}): there, and doing nothing")


def resume(check: Symptom, pattern: str) -> Step:
    """What a signal has stopped goes on, and nothing is lost."""
    return Step(
        f"sudo pkill -CONT -f '^{pattern}'",
        cure=call("resume", pattern),
        when=partial(is_bad, check),
        patience=5,
    )


# -- the application


def in_maintenance(seen: Seen) -> bool:
    """Whether somebody, or a release, has closed the application."""
    return ["maintenance", "on"] in seen.rows(application.PROBE)


def ends_maintenance(settings: Settings, seen: Seen) -> list[str]:
    """Who ends it: a release that died would be open to visitors, half of it."""
    if step := release.died_in(seen):
        return [
            f"a release did not get to its end, it was in {step}; the next one takes it back or finishes it:",
            f"  {release.settle(seen)}",
        ]
    return ["maintenance mode is ended by who began it:", f"  {artisan(settings, 'up')}"]


def starts() -> Symptom:
    """Whether the application starts at all."""
    return Symptom(Check("application", GROUP, _starts), explains=True)


def _starts(seen: Seen) -> Verdict:
    rows = [row for row in seen.rows(application.PROBE) if row[0] == "start"]
    if not rows:
        return Verdict("unknown", "says nothing in time")
    if rows[0][1:2] != ["ok"]:
        return Verdict("bad", f"does not start: {' '.join(rows[0][2:])}")
    return Verdict("good", "starts")


def rebuild(settings: Settings, **options: object) -> Step:
    """Configuration and routes, and views, cached anew; workers read them."""
    return Step(
        artisan(settings, "config:cache", "route:cache", "view:cache"),
        cure=call("rebuild_caches", *application_words(settings)),
        **options,  # type: ignore[arg-type]
    )

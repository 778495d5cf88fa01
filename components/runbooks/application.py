"""Sections "Application 500 errors" and "Permission denied errors"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from settings import Settings

from ..health import Check, Seen, Verdict, application, site
from ..health.model import FAILED, runbook
from ..platform import Platform
from ..supervisor import programs
from ..unit import call
from .host import (
    GROUP,
    TOOL,
    application_words,
    artisan,
    ends_maintenance,
    in_maintenance,
    is_bad,
    look,
    rebuild,
    starts,
)
from .model import LATE, Runbook, Step, Symptom

LOG, WRITABLE = "fix/log", "fix/writable"


def errors(settings: Settings, platform: Platform) -> Runbook:
    """The last error is named, then the caches are cleared and built again."""
    begins = starts()
    cached = Symptom(Check("caches", GROUP, _cached))
    return Runbook(
        name="errors-500",
        section="Application 500 errors",
        symptoms=[
            Symptom(Check("page", GROUP, partial(_page, site.PAGE))),
            Symptom(Check("tenant", GROUP, partial(_page, site.TENANT))),
            begins,
            cached,
            Symptom(Check("maintenance mode", GROUP, _maintenance)),
        ],
        units=["release/env"],
        steps=[
            Step(".env as the settings say, and cached", unit="release/env"),
            Step(
                artisan(settings, "config:clear", "cache:clear", "route:clear", "view:clear"),
                cure=call("clear_caches", *application_words(settings)),
                when=lambda seen: not in_maintenance(seen) and not _only(cached, seen),
                patience=4,
            ),
            rebuild(settings, when=lambda seen: not in_maintenance(seen)),
        ],
        looks=[look(LOG, settings.application.path)],
        rests_on=("disk", "permissions", "nginx", "php", "database", "redis"),
        waits=True,
        tells=_log,
        person=partial(_errors_person, settings),
    )


def _only(cached: Symptom, seen: Seen) -> bool:
    """Whether caches that are missing are all that is wrong: there is nothing to clear."""
    pages = all(_page(question, seen).state != "bad" for question in (site.PAGE, site.TENANT))
    return is_bad(cached, seen) and pages


def _page(question: str, seen: Seen) -> Verdict:
    """A status of 500 and more; that nobody answers is nginx's matter, and 503 in maintenance is meant."""
    answer = seen.answer(question)
    if answer.startswith(FAILED):
        return Verdict("unknown", f"no page: {answer.removeprefix(FAILED).strip()}")
    status = int(answer.split()[0])
    if in_maintenance(seen):
        return Verdict("good", f"{status} in maintenance")
    return Verdict("bad" if status >= 500 else "good", f"status {status}")


def _cached(seen: Seen) -> Verdict:
    words = seen.words(application.PROBE, "cached")
    if words == ["config", "routes"]:
        return Verdict("good", "configuration and routes")
    return Verdict("bad", f"cached is {' and '.join(words) or 'nothing'}, not configuration and routes")


def _maintenance(seen: Seen) -> Verdict:
    if in_maintenance(seen):
        return Verdict("bad", "on: visitors get 503, workers take no job")
    return Verdict("good", "off")


def _log(seen: Seen) -> list[str]:
    logs = {"error": "the application's log", "php": "nginx's log"}
    rows = [row for row in seen.rows(LOG) if row[0] in logs]
    return [f"last error in {logs[row[0]]}: {' '.join(row[1:])}" for row in rows]


def _errors_person(settings: Settings, seen: Seen) -> Sequence[str]:
    if in_maintenance(seen):
        return ends_maintenance(settings, seen)
    databases = [
        f"the {what} refuses the application: {runbook(seen, what)}"
        for what in ("database", "redis")
        if any(row[:2] == [what, "failed"] for row in seen.rows(application.PROBE))
    ]
    return [
        *databases,
        f"sudo tail -n 50 {settings.application.path}/storage/logs/laravel.log",
        "sudo tail -n 50 /var/log/nginx/error.log",
        "if it began with a release:",
        f"  ./itqan releases {seen.settings.stack}",
        f"  ./itqan rollback {seen.settings.stack}",
    ]


def permissions(settings: Settings) -> Runbook:
    """The table "File Permissions"; with the document's own lines .env would be open and git stuck."""
    root, writable = settings.application.path, settings.permissions.writable
    paths = " ".join(f"{root}/{path}/" for path in writable.paths)  # one may be a link (strategy atomic)
    logs = " ".join(program.log for program in programs(settings))
    closed = Symptom(Check("web user's files", GROUP, _closed), explains=True)
    return Runbook(
        name="permissions",
        section="Permission denied errors",
        symptoms=[closed],
        units=["host/directories", "release/permissions"],
        steps=[
            Step("owners and modes of the folders", unit="host/directories"),
            Step("owners and modes as in the table", unit="release/permissions"),
            Step(
                f"sudo chown -R {writable.owner} {paths}; sudo chmod -R {writable.mode} {paths}",
                cure=call(TOOL, "permissions"),
                when=partial(is_bad, closed),
            ),
            Step(".env with its owner and mode", unit="release/env"),
        ],
        looks=[look(WRITABLE, root, settings.server.web_user, logs, *writable.paths)],
        rests_on=("disk",),
        waits=True,
        person=lambda _: [f"sudo -u {settings.server.web_user} find {paths} -not -writable -ls"],
    )


def _closed(seen: Seen) -> Verdict:
    """What the web user cannot write below the writable folders."""
    if ["end"] not in seen.rows(WRITABLE):
        return Verdict("unknown", LATE)
    found = [" ".join(row[1:]) for row in seen.rows(WRITABLE) if row[0] == "closed"]
    if not found:
        return Verdict("good", "all writable")
    more = ", …" if len(found) > 3 else ""
    return Verdict("bad", f"closed to it: {', '.join(found[:3])}{more}")

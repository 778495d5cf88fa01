"""Sections "Queue not processing jobs", "WebSocket not connecting", "PHP-FPM restart"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from settings import Program, Settings

from ..health import Check, Seen, Verdict, application, site
from ..health.application import WORKER
from ..health.model import FAILED, runbook
from ..platform import Platform
from ..unit import call, lines
from .host import (
    GROUP,
    STOPPED,
    artisan,
    ends_maintenance,
    in_maintenance,
    is_bad,
    look,
    resume,
    stopped,
    symptom,
)
from .model import Runbook, Step, Symptom
from .site import RELOAD

REVERB = "fix/reverb"
REVERB_COMMAND = re.compile(r"\bartisan reverb:start\b")
PORT = re.compile(r"--port[= ](\d+)")
# Seconds that a process gets for the job it is at, whatever its stopwaitsecs: somebody waits for the queue.
LONGEST_STOP = 60


def _starts(programs: Sequence[Program]) -> list[str]:
    """What the command lines of programs begin with, before their options."""
    return list(dict.fromkeys(program.command.split(" --")[0] for program in programs))


def _restart(program: Program, check: Symptom) -> Step:
    """The document's line; with a limit, as a process that is stuck does not end by itself."""
    patience = min(program.stop_wait_seconds, LONGEST_STOP)
    return Step(
        f"sudo supervisorctl restart '{program.name}:*'",
        cure=call("restart_program", program.name, patience),
        when=partial(is_bad, check),
        patience=15,
    )


def _as_web_user(settings: Settings, word: str) -> str:
    """Bash that runs one word of artisan as the web user."""
    user, version, root = settings.server.web_user, settings.php.version, settings.application.path
    return lines(call("cd", root), f"{call('as', user, f'php{version}', 'artisan', *word.split())} >&2")


def queue(settings: Settings, platform: Platform, *, retry: bool) -> Runbook:
    """Workers that are stopped, stuck or gone; jobs stay where they are.

    Arguments: `retry`, whether jobs that failed for good are tried again.
    """
    workers = [program for program in settings.programs if WORKER.search(program.command)]
    halted = stopped("workers' processes", "artisan queue:work")
    running = [symptom(worker.name, settings, platform) for worker in workers]
    waiting = [symptom("queue", settings, platform, "bad", "warn")] if workers else []
    failed = symptom("failed jobs", settings, platform, "bad", "warn")
    stuck = Symptom(Check("workers", GROUP, partial(_any_bad, [halted, *running, *waiting])))
    names = [f"supervisor/{worker.name}" for worker in workers]
    symptoms = [symptom("supervisor", settings, platform), *running, halted, *waiting, _closed()]
    again = Step(
        artisan(settings, "queue:retry all"),
        cure=_as_web_user(settings, "queue:retry all"),
        when=partial(is_bad, failed),
    )
    return Runbook(
        name="queue",
        section="Queue not processing jobs",
        symptoms=[*symptoms, *([failed] if retry else [])],
        units=["supervisor/service", "supervisor/files", *names],
        steps=[
            Step("Supervisor runs, now and after a restart of the host", unit="supervisor/service"),
            Step("no other programs than the settings'", unit="supervisor/files"),
            *(resume(halted, start) for start in _starts(workers)),
            *(Step("its file and its processes", unit=name) for name in names),
            Step(
                artisan(settings, "queue:restart"),
                cure=_as_web_user(settings, "queue:restart"),
                when=lambda seen: is_bad(stuck, seen) and not in_maintenance(seen),
            ),
            *(_restart(worker, stuck) for worker in workers),
            *([again] if retry else []),
        ],
        looks=[look(STOPPED)],
        rests_on=("disk", "redis", "errors-500"),
        waits=True,
        tells=partial(_failed, settings),
        person=lambda seen: [
            *(ends_maintenance(settings, seen) if in_maintenance(seen) else []),
            "workers run and yet jobs wait: they are slow or many; more processes: itqan:programs",
            *(f"sudo tail -n 50 {settings.application.path}/{worker.log}" for worker in workers),
        ],
    )


def _any_bad(checks: Sequence[Symptom], seen: Seen) -> Verdict:
    return Verdict("bad" if any(is_bad(check, seen) for check in checks) else "good", "")


def _closed() -> Symptom:
    """In maintenance workers take no job (`queue:work` without --force)."""

    def judge(seen: Seen) -> Verdict:
        if in_maintenance(seen):
            return Verdict("bad", "on: workers take no job")
        return Verdict("good", "off")

    return Symptom(Check("maintenance mode", GROUP, judge))


def _failed(settings: Settings, seen: Seen) -> list[str]:
    """Jobs that failed for good are told, and left: to try them again is the owner's decision."""
    rows = [row for row in seen.rows(application.PROBE) if row[:2] == ["failures", "ok"]]
    if not rows or rows[0][3] == "0":
        return []
    return [
        f"{rows[0][3]} jobs failed for good: {artisan(settings, 'queue:failed')}",
        f"to try them all again: {runbook(seen, 'queue')} --retry-failed",
    ]


def websocket(settings: Settings, platform: Platform) -> Runbook:
    """Reverb, its port, and nginx's way to it."""
    programs = [program for program in settings.programs if REVERB_COMMAND.search(program.command)]
    ports = [found[1] for program in programs if (found := PORT.search(program.command))]
    halted = stopped("Reverb's process", "artisan reverb:start")
    opened = symptom("WebSocket", settings, platform)
    orphan = Symptom(Check("Reverb beside Supervisor's", GROUP, _orphan))
    names = [f"supervisor/{program.name}" for program in programs]
    return Runbook(
        name="websocket",
        section="WebSocket not connecting",
        symptoms=[
            symptom("supervisor", settings, platform),
            *(symptom(program.name, settings, platform) for program in programs),
            halted,
            orphan,
            opened,
        ],
        units=["supervisor/service", *names],
        steps=[
            Step(
                "sudo kill PID of a Reverb that Supervisor did not start",
                cure="end_orphans",
                when=partial(is_bad, orphan),
                patience=3,
            ),
            *(resume(halted, start) for start in _starts(programs)),
            Step("Supervisor runs, now and after a restart of the host", unit="supervisor/service"),
            *(Step("its file and its process", unit=name) for name in names),
            *(_restart(program, opened) for program in programs),
            Step("/app leads to Reverb, as everything in the site's file", unit="nginx/site"),
            Step(
                RELOAD.command,
                cure=RELOAD.cure,
                when=partial(is_bad, opened),
            ),
        ],
        looks=[look(STOPPED), look(REVERB, ports[0] if ports else 8080)],
        rests_on=("disk", "nginx", "certificate", "errors-500"),
        waits=True,
        tells=_listens,
        person=lambda _: [
            *(f"sudo tail -n 50 {settings.application.path}/{program.log}" for program in programs),
            f"sudo ss -ltnp 'sport = :{ports[0] if ports else 8080}'",
            "sudo tail -n 20 /var/log/nginx/error.log",
        ],
    )


def _orphan(seen: Seen) -> Verdict:
    found = [row[1] for row in seen.rows(REVERB) if row[0] == "orphan"]
    return Verdict("bad", f"pid {', '.join(found)}: it has the port") if found else Verdict("good", "none")


def _listens(seen: Seen) -> list[str]:
    """Who has Reverb's port, where that is somebody else."""
    rows = [row for row in seen.rows(REVERB) if row[0] == "listens"]
    return [
        f"Reverb's port is held by {row[2]} (pid {row[1]})" for row in rows if row[2:] and row[2] != "php"
    ]


def php(settings: Settings, platform: Platform) -> Runbook:
    """FPM that hangs or is gone: reload before restart, which the document has alone."""
    service = f"php{settings.php.version}-fpm"
    halted = stopped("PHP-FPM's processes", "php-fpm: ")
    alive = symptom(service, settings, platform, explains=True)
    pool = symptom("PHP-FPM's processes", settings, platform)
    gateway = Symptom(Check("page", GROUP, _gateway), explains=True)
    stuck = Symptom(Check("FPM", GROUP, partial(_any_bad, [alive, pool, gateway, halted])))
    test = f"sudo php-fpm{settings.php.version} -t"
    return Runbook(
        name="php",
        section="PHP-FPM restart",
        symptoms=[alive, halted, pool, gateway],
        units=["php/pool", "php/fpm-limits", "php/pools", "php/service"],
        steps=[
            resume(halted, "php-fpm: "),
            Step("no further pools", unit="php/pools"),
            Step("the pool's file", unit="php/pool"),
            Step("FPM's limits", unit="php/fpm-limits"),
            Step("FPM runs, now and after a restart of the host", unit="php/service"),
            Step(
                f"{test} && sudo systemctl reload {service}",
                cure=lines(f"php-fpm{settings.php.version} -t", call("systemctl", "reload", service)),
                when=partial(is_bad, stuck),
                # requests that are under way get process_control_timeout, 30 s
                patience=40,
            ),
            Step(
                f"{test} && sudo systemctl restart {service}",
                cure=lines(f"php-fpm{settings.php.version} -t", call("systemctl", "restart", service)),
                when=partial(is_bad, stuck),
                patience=15,
            ),
        ],
        looks=[look(STOPPED)],
        rests_on=("disk",),
        person=lambda seen: [
            f"journalctl -u {service} -n 50; sudo tail -n 50 /var/log/{service}.log",
            "if it is busy with real visitors: a larger itqan:php.pool.maxChildren, then "
            f"./itqan up --stack {seen.settings.stack}",
        ],
    )


def _gateway(seen: Seen) -> Verdict:
    """nginx says that FPM does not answer, or a page does not come at all."""
    answer = seen.answer(site.PAGE)
    if answer.startswith(FAILED):
        late = "no answer in time" in answer
        return Verdict("bad" if late else "unknown", answer.removeprefix(FAILED).strip() or "no answer")
    status = answer.split()[0]
    return Verdict("bad" if status in ("502", "504") else "good", f"status {status}")

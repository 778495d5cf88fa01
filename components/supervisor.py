"""Supervisor: the queue workers, Reverb, and their files under the document's names."""

from __future__ import annotations

from settings import Program, Settings

from .part import Part
from .platform import Platform
from .render import render
from .sandbox import sandbox_unit, writable_application
from .services import service_unit
from .unit import Unit, call, file_unit, lines

FOLDER = "/etc/supervisor/conf.d"


# The alternative to the cron line.
SCHEDULER = Program(
    name="itqan-scheduler",
    file="itqan-scheduler.conf",
    command="php artisan schedule:work",
    log="storage/logs/scheduler.log",
)


def programs(settings: Settings) -> list[Program]:
    """The documented programs; the scheduler is one of them when the settings say so."""
    return settings.programs if settings.scheduler == "cron" else [*settings.programs, SCHEDULER]


def templates(settings: Settings) -> dict[str, str]:
    """Every program's file, the scheduler's too, by the name that the document's templates have."""
    made = {program.file: program_content(settings, program) for program in (*settings.programs, SCHEDULER)}
    return {f"itqan-{name.removeprefix('itqan-')}": text for name, text in made.items()}


def units(settings: Settings, platform: Platform) -> list[Unit]:
    """Section "Background Processes (Supervisor)" of the document."""
    wanted = programs(settings)
    return [
        service_unit("supervisor/service", "supervisor"),
        *([_sandbox(settings, wanted)] if settings.is_strict else []),
        _files(wanted),
        *(_program(settings, program) for program in wanted),
        _workers(settings),
        *([_processes(settings, wanted)] if settings.is_rotating else []),
    ]


def _sandbox(settings: Settings, wanted: list[Program]) -> Unit:
    """Before the programs: a restart of Supervisor stops them, each in the time that the settings give it.

    The patient ones first: while a worker ends its job, Reverb goes on.
    """
    patient = sorted(wanted, key=lambda program: -program.stop_wait_seconds)
    stops = [f"{call('supervisorctl', 'stop', f'{program.name}:*')} >&2 || true" for program in patient]
    before = lines(*stops, "supervisorctl stop all >&2")
    return sandbox_unit("supervisor/sandbox", "supervisor", *writable_application(settings), before=before)


def _files(wanted: list[Program]) -> Unit:
    """No other program files: the repository's itqan-reverb.conf beside reverb.conf starts Reverb twice.

    Nor a program that runs on although its file is gone.
    """
    names = [program.file for program in wanted]
    return Unit(
        name="supervisor/files",
        probe=lines(
            call("probe_unknown", FOLDER, "*.conf", *names),
            call("probe_groups", *(program.name for program in wanted)),
        ),
        expect=f"unknown {FOLDER} none\nfurther programs none",
        apply=lines(call("keep_only", FOLDER, "*.conf", *names), "supervisorctl update >&2"),
    )


def program_content(settings: Settings, program: Program) -> str:
    """A program's file; the web user is said explicitly, a program without a user runs as root."""
    return render(
        "supervisor/program.conf.j2",
        program=program,
        command=program.command.replace("{reverb_host}", settings.reverb_host),
        root=settings.application.path,
        user=settings.server.web_user,
        home="/var/www",
    )


def _program(settings: Settings, program: Program) -> Unit:
    path = f"{FOLDER}/{program.file}"
    pattern = program.command.split(" --")[0]
    return file_unit(
        f"supervisor/{program.name}",
        path,
        program_content(settings, program),
        probe=lines(call("probe_program", program.name), call("probe_loaded", program.name, pattern, path)),
        expect=lines(f"program {program.name} RUNNING {program.processes}", f"loaded {program.name} current"),
        then=call("start_program", program.name, program.processes, pattern, path),
    )


def _workers(settings: Settings) -> Unit:
    """Every process of the application has the code that was released, and none works in a deleted folder."""
    return Unit(
        name="supervisor/workers",
        probe=call("probe_workers", settings.server.web_user, settings.application.path),
        expect="processes of an earlier release none",
        apply="/usr/local/sbin/itqan-release workers",
    )


def _processes(settings: Settings, wanted: list[Program]) -> Unit:
    """While a secret is being changed: who read the old one is gone before the old one stops working."""
    root, user = settings.application.path, settings.server.web_user
    names = [program.name for program in wanted]
    return Unit(
        name="supervisor/processes",
        probe=call("probe_processes", user, root),
        expect="processes with an older configuration none",
        apply=call("renew_processes", user, root, settings.php.version, *names),
    )


class Supervisor(Part):
    """The background processes."""

    part = "supervisor"

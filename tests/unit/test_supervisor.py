"""Supervisor: programs, files and logs under the document's names, never as root."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from components.unit import Unit
from settings import Settings

Units = Callable[[Settings], dict[str, Unit]]


def program(unit: Unit) -> dict[str, str]:
    """The settings of a program's file."""
    entries = [line.split("=", 1) for line in (unit.payload or "").splitlines() if "=" in line]
    return {entry[0]: entry[1] for entry in entries}


def test_the_queue_workers(prod_units: dict[str, Unit]) -> None:
    unit = prod_units["supervisor/itqan-worker"]
    assert "[program:itqan-worker]" in (unit.payload or "").splitlines()
    assert program(unit) == {
        "process_name": "%(program_name)s_%(process_num)02d",
        "command": "php artisan queue:work redis --sleep=3 --tries=3 --max-time=3600",
        "directory": "/var/www/itqan-platform",
        "user": "www-data",
        "environment": 'HOME="/var/www",USER="www-data"',
        "numprocs": "2",
        "autostart": "true",
        "autorestart": "true",
        "stopasgroup": "true",
        "killasgroup": "true",
        "stopwaitsecs": "3600",
        "redirect_stderr": "true",
        "stdout_logfile": "/var/www/itqan-platform/storage/logs/worker.log",
    }
    assert unit.expect.splitlines()[1:] == ["program itqan-worker RUNNING 2", "loaded itqan-worker current"]


def test_reverb(prod_units: dict[str, Unit]) -> None:
    unit = prod_units["supervisor/reverb"]
    assert unit.expect.startswith("file /etc/supervisor/conf.d/reverb.conf ")
    settings = program(unit)
    assert settings["process_name"] == "%(program_name)s"
    assert settings["command"] == "php artisan reverb:start --host=0.0.0.0 --port=8080"
    assert settings["stdout_logfile"] == "/var/www/itqan-platform/storage/logs/reverb.log"


def test_no_program_runs_as_root(any_units: list[Unit]) -> None:
    files = [unit for unit in any_units if unit.part == "supervisor" and "[program:" in (unit.payload or "")]
    assert len(files) >= 2
    assert [unit.name for unit in files if program(unit).get("user") != "www-data"] == []


@pytest.mark.parametrize("scheduler", ["cron", "supervisor"])
def test_the_scheduler_runs_once(stack: Callable[..., Settings], units_of: Units, scheduler: str) -> None:
    units = units_of(stack("prod", scheduler=scheduler))
    by_supervisor = "supervisor/itqan-scheduler" in units
    by_cron = "schedule:run" in (units["cron/scheduler"].payload or "")
    assert (by_supervisor, by_cron) == (scheduler == "supervisor", scheduler == "cron")
    if by_supervisor:
        assert program(units["supervisor/itqan-scheduler"])["command"] == "php artisan schedule:work"


def test_a_second_file_for_a_program_is_drift(prod_units: dict[str, Unit]) -> None:
    unit = prod_units["supervisor/files"]
    assert unit.expect == "unknown /etc/supervisor/conf.d none\nfurther programs none"
    assert unit.probe.splitlines() == [
        "probe_unknown /etc/supervisor/conf.d '*.conf' itqan-worker.conf reverb.conf",
        "probe_groups itqan-worker reverb",
    ]


def test_the_stop_time_covers_a_jobs_longest_run(prod: Settings) -> None:
    worker = prod.programs[0]
    assert f"--max-time={worker.stop_wait_seconds}" in worker.command

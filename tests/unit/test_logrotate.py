"""Rotation of logs: every log of the application is in it, and nothing that others read is lost."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.render import text
from components.unit import Unit
from settings import Settings

needs_logrotate = pytest.mark.skipif(
    shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin") is None, reason="logrotate is not here"
)
Units = Callable[[Settings], dict[str, Unit]]


def blocks(unit: Unit) -> dict[str, list[str]]:
    """The directives of each pattern of files."""
    found = re.findall(r"(?m)^(/\S+) \{\n(.*?)^\}", unit.payload or "", re.DOTALL)
    return {pattern: [line.strip() for line in body.splitlines()] for pattern, body in found}


def test_every_log_of_the_application_is_rotated(prod_units: dict[str, Unit], prod: Settings) -> None:
    unit = prod_units["logrotate/logs"]
    assert "/etc/logrotate.d/itqan-platform root:root 644 " in unit.expect
    found = blocks(unit)
    root = prod.application.path
    assert list(found) == [f"{root}/storage/logs/*.log", "/var/log/itqan/*.log", "/var/log/itqan/*.jsonl"]
    for program in prod.programs:
        assert re.fullmatch(r"storage/logs/[^/]+\.log", program.log)


def test_the_applications_logs_stay_the_web_users(prod_units: dict[str, Unit]) -> None:
    """Storage is the web user's to write in: root does not work there."""
    rules = blocks(prod_units["logrotate/logs"])["/var/www/itqan-platform/storage/logs/*.log"]
    assert "su www-data www-data" in rules
    assert "create 664 www-data www-data" in rules
    for rule in ("daily", "maxsize 50M", "rotate 14", "compress", "delaycompress", "dateext"):
        assert rule in rules
    assert "copytruncate" not in rules


def test_what_rollback_reads_is_rotated_by_size_alone(prod_units: dict[str, Unit]) -> None:
    rules = blocks(prod_units["logrotate/logs"])["/var/log/itqan/*.jsonl"]
    assert {"size 10M", "rotate 4", "notifempty"} <= set(rules)
    assert not {"daily", "dateext", "compress"} & set(rules)


def test_the_log_of_releases_is_read_with_those_before_it(tmp_path: Path) -> None:
    log = tmp_path / "releases.jsonl"
    (tmp_path / "releases.jsonl.4").write_text("oldest\n")
    (tmp_path / "releases.jsonl.1").write_text("old\n")
    log.write_text("new\n")
    script = f"{text('host/probes.sh')}\nprobe_releases {log}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "oldest\nold\nnew\n"


def test_the_timer_looks_more_often_than_daily(prod_units: dict[str, Unit]) -> None:
    unit = prod_units["logrotate/timer"]
    assert "file /etc/systemd/system/logrotate.timer.d/itqan.conf root:root 644 " in unit.expect
    assert "timer logrotate.timer *-*-* 00/2:00:00" in unit.expect
    # an empty one first: else the distribution's own would count too
    assert "OnCalendar=\nOnCalendar=*-*-* 00/2:00:00\n" in (unit.payload or "")


# -- logrotate itself


@pytest.fixture
def here(tmp_path: Path, staging_units: dict[str, Unit]) -> Iterator[Path]:
    """The rules with a folder in the place of the application's and of the log's, for root."""
    rules = staging_units["logrotate/logs"].payload or ""
    for old, new in (
        ("/var/www/itqan-platform", str(tmp_path)),
        ("/var/log/itqan", f"{tmp_path}/log"),
        ("www-data", "root"),
        ("systemctl kill", f"touch {tmp_path}/told; : systemctl kill"),
    ):
        rules = rules.replace(old, new)
    (tmp_path / "storage" / "logs").mkdir(parents=True)
    (tmp_path / "log").mkdir()
    (tmp_path / "rules").write_text(rules)
    (tmp_path / "rules").chmod(0o644)
    yield tmp_path


def rotate(here: Path, *options: str) -> None:
    """As the timer does."""
    command = ["logrotate", "--state", str(here / "state"), *options, str(here / "rules")]
    path = f"{os.environ['PATH']}:/usr/sbin"
    subprocess.run(command, env={**os.environ, "PATH": path}, check=True, capture_output=True)


def names(folder: Path) -> list[str]:
    return sorted(re.sub(r"-\d{8}-\d+", "-DATE", path.name) for path in folder.iterdir())


@needs_logrotate
def test_a_log_that_has_outgrown_its_size_is_rotated_and_kept(here: Path) -> None:
    logs = here / "storage" / "logs"
    (logs / "laravel.log").write_text("small\n")
    with (logs / "worker.log").open("w") as file:
        file.write("first\n")
        file.truncate(51 * 1024 * 1024)
    rotate(here)  # the first time it only notes what there is, sizes count at once
    assert names(logs) == ["laravel.log", "worker.log", "worker.log-DATE"]
    assert (here / "told").exists()
    [old] = logs.glob("worker.log-*")
    assert old.open().readline() == "first\n"
    assert (logs / "worker.log").stat().st_mode & 0o777 == 0o664


@needs_logrotate
def test_a_writer_that_goes_on_loses_nothing(here: Path) -> None:
    logs = here / "storage" / "logs"
    writer = (logs / "laravel.log").open("w")
    writer.write("before\n")
    writer.flush()
    rotate(here, "--force")
    writer.write("after\n")
    writer.close()
    [old] = logs.glob("laravel.log-*")
    assert old.read_text() == "before\nafter\n"
    assert (logs / "laravel.log").read_text() == ""

"""Faults at many moments of an `up`: one more ends as expected, nothing is lost, nothing half written."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import faults
from tests.e2e.copy import Copy, itqan, poll, running_copy
from tests.e2e.faults import APPLICATION, IMPATIENT, LINEAGE, OTHER_AUTHORITY, visited, whole_run

__all__ = ["visited", "whole_run"]

MOMENTS = 20  # kills, spread evenly over a run
COLD = 40.0  # seconds that a first run takes at most, once the images are there
# Processes on the host are killed as soon as something is there: the moments that leave most.
HALFWAY = {
    "checkout": f"[ -e {APPLICATION}/.git/index.lock ]",
    "composer": f"[ -e {APPLICATION}/.git/itqan-vendor ]",
    "npm": f"[ -e {APPLICATION}/.git/itqan-build ]",
    "migration": f"[ -e {APPLICATION}/bootstrap/cache/config.next.php ]",
}
FPM = "/run/itqan-fpm.conf"
LETSENCRYPT = "/etc/letsencrypt"


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_run_killed_at_any_moment_is_finished_by_the_next(
    visited: Copy, whole_run: float, moment: int
) -> None:
    faults.kill_the_engine(visited, whole_run * (moment + 0.5) / MOMENTS)


@pytest.mark.parametrize("moment", range(4))
def test_a_release_killed_at_any_moment_is_finished_by_the_next(visited: Copy, moment: int) -> None:
    with faults.new_commit(visited):
        faults.kill_the_engine(visited, 3 + 4 * moment, "true", "503")


@pytest.mark.parametrize("what", HALFWAY)
def test_a_release_that_dies_on_the_host(visited: Copy, what: str) -> None:
    with faults.new_commit(visited):
        faults.kill_on_the_host(visited, "true", HALFWAY[what])


@pytest.mark.parametrize("hundredths", [0, 10, 30, 60, 100, 200])
def test_a_hand_over_of_fpm_that_dies_on_the_host(visited: Copy, hundredths: int) -> None:
    """From its first to its last moment somebody answers, and in the end it is FPM itself."""
    visited.bash(IMPATIENT)
    poll(lambda: visited.get("/up").status == 200, 30, "the site answers")
    with faults.Visitor(visited) as visitor:
        wait = f"sleep {hundredths / 100}; {faults.KILL_RUNNERS}"
        faults.kill_on_the_host(visited, "true", f"[ -e {FPM} ]", wait)
    visitor.require()
    assert visited.bash("pgrep -c -f '^php-fpm: master'") == "1"


@pytest.mark.parametrize(
    "when",
    [
        "pgrep -x certbot >/dev/null",
        f"[ {LETSENCRYPT}/archive/{LINEAGE} -nt /run/faults ]",
        f"[ {LETSENCRYPT}/live/{LINEAGE} -nt /run/faults ]",
        f"[ {LETSENCRYPT}/renewal -nt /run/faults ]",
    ],
)
@pytest.mark.parametrize("first", [False, True])
def test_a_certbot_that_dies_on_the_host(visited: Copy, when: str, first: bool) -> None:
    """The renewed certificate, and the first one under its name."""
    names = f"{LETSENCRYPT}/{{archive,live}}/{LINEAGE} {LETSENCRYPT}/renewal/{LINEAGE}.conf"
    wrong = f"rm -rf {names}" if first else OTHER_AUTHORITY
    with faults.Visitor(visited) as visitor:
        faults.kill_on_the_host(
            visited, f"{wrong}; sleep 0.05; touch /run/faults", when, "pkill -KILL certbot || true"
        )
    visitor.require()


@pytest.fixture
def cold(tmp_path: Path) -> Iterator[str]:
    """The name of a stack that was never up."""
    stack = "soak-cold"
    itqan("down", "--yes", "--stack", stack, check=False)
    yield stack
    with running_copy(stack, tmp_path):
        pass


@pytest.mark.parametrize("moment", range(4))
def test_a_first_run_killed_at_any_moment_is_finished_by_the_next(cold: str, moment: int) -> None:
    run = faults.start_up(cold)
    try:
        run.wait(timeout=COLD * (moment + 0.5) / 4)
    except subprocess.TimeoutExpired:
        faults.kill(run)
    itqan("up", "--stack", cold)
    poll(lambda: itqan("audit", cold, check=False).returncode == 0, 180, "a clean audit")
    itqan("preview", "--stack", cold)


@pytest.mark.parametrize("moment", range(5))
def test_a_cut_connection(visited: Copy, whole_run: float, moment: int) -> None:
    faults.cut_connections(visited, whole_run * (moment + 0.5) / 5)


def test_sshd_restarted_again_and_again(visited: Copy) -> None:
    faults.restart_sshd(visited)


@pytest.mark.parametrize("moment", range(3))
def test_a_reboot_in_the_middle(visited: Copy, whole_run: float, moment: int) -> None:
    faults.reboot(visited, whole_run * (moment + 0.5) / 3)


@pytest.mark.parametrize("moment", range(5))
def test_a_loss_of_power_in_the_middle(visited: Copy, whole_run: float, moment: int) -> None:
    faults.reboot(visited, whole_run * (moment + 0.5) / 5, "docker kill -s KILL")


@pytest.mark.parametrize(("folder", "wrong", "file", "said"), faults.FULL.values(), ids=faults.FULL)
def test_a_full_disk_says_so_and_loses_nothing(
    visited: Copy, folder: str, wrong: str, file: str, said: str
) -> None:
    faults.full_disk_is_said(visited, folder, wrong, file, said)


def test_a_full_disk_below_a_release(visited: Copy) -> None:
    with faults.new_commit(visited):
        faults.full_disk_is_said(
            visited,
            APPLICATION,
            "true",
            f"{APPLICATION}/.env",
            f"itqan: release/code: the disk is full: nothing is left on {APPLICATION}",
        )


def test_a_full_disk_below_the_database(visited: Copy) -> None:
    """It may find room in its own files; either way nothing is lost."""
    visited.bash("mysql -e 'ALTER DATABASE itqan_platform CHARACTER SET latin1'")
    with faults.full_disk(visited, "/var/lib/mysql", "systemctl stop mariadb", "systemctl start mariadb"):
        itqan("up", "--stack", visited.stack, check=False)
    faults.up(visited)
    faults.require_whole(visited)


def test_dpkg_locked_by_another_process(visited: Copy) -> None:
    faults.lock_dpkg(visited, 60)


def test_a_download_that_fails(visited: Copy) -> None:
    faults.fail_a_download(visited)


def test_two_runs_at_once(visited: Copy) -> None:
    faults.two_at_once(visited)


def test_the_default_of_sshd_for_new_connections(visited: Copy) -> None:
    faults.default_startups(visited)

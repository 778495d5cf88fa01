"""Faults at many moments of an `up`: one more ends as expected, nothing is lost, nothing half written."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest
import urllib3

from tests.e2e.copy import ROOT, Copy, itqan, poll

APPLICATION = "/var/www/itqan-platform"
MOMENTS = 20  # kills, spread evenly over a run
ROWS = "mysql -N -e 'SELECT COUNT(*) FROM itqan_platform.soak'"
# Drifts that give a run something to do in every part.
WRONG = f"""
chmod 600 /etc/nginx/sites-available/itqan-platform
echo '; drift' >>/etc/php/8.4/fpm/pool.d/www.conf
rm -f /etc/letsencrypt/renewal-hooks/deploy/nginx.sh /etc/apt/preferences.d/itqan
systemctl disable -q --now cron
echo '; drift' >>/etc/supervisor/conf.d/itqan-worker.conf
sed -i 's/^LOG_LEVEL=.*/LOG_LEVEL=debug/' {APPLICATION}/.env
chmod 700 {APPLICATION}/storage/app
mysql -e 'ALTER DATABASE itqan_platform CHARACTER SET latin1'
hostname wrong
"""


class Visitor(threading.Thread):
    """Asks for the site all the time; keeps every answer that is not 200."""

    def __init__(self, copy: Copy) -> None:
        super().__init__(daemon=True)
        self._copy, self._ended = copy, threading.Event()
        self.bad: list[str] = []
        self.asked = 0

    def run(self) -> None:
        while not self._ended.wait(0.05):
            self.asked += 1
            try:
                status = self._copy.get("/up").status
            except (urllib3.exceptions.HTTPError, OSError) as error:
                self.bad.append(repr(error))
            else:
                if status != 200:
                    self.bad.append(str(status))

    def end(self) -> None:
        self._ended.set()
        self.join()


@pytest.fixture(scope="module")
def visited(copy: Copy) -> Iterator[Copy]:
    """The copy with rows and an upload that have to survive."""
    copy.bash(
        "mysql itqan_platform -e 'CREATE TABLE soak (id INT); INSERT INTO soak VALUES (1), (2)'\n"
        f"echo kept >{APPLICATION}/storage/app/upload && chown www-data: {APPLICATION}/storage/app/upload"
    )
    yield copy
    copy.bash("mysql -e 'DROP TABLE itqan_platform.soak'")


@pytest.fixture(scope="module")
def whole_run(visited: Copy) -> float:
    """Seconds of a run that heals all of WRONG."""
    visited.bash(WRONG)
    started = time.monotonic()
    itqan("up", "--stack", visited.stack)
    return time.monotonic() - started


def start_up(copy: Copy) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [str(ROOT / "itqan"), "up", "--stack", copy.stack],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def require_whole(copy: Copy) -> None:
    """Everything is as expected, nothing is lost, nothing half written lies about."""
    poll(lambda: itqan("audit", "--stack", copy.stack, check=False).returncode == 0, 30, "a clean audit")
    assert copy.bash(ROWS) == "2"
    assert copy.bash(f"cat {APPLICATION}/storage/app/upload") == "kept"
    assert copy.bash("find /etc /home /usr/local/sbin -name '.itqan*'") == ""
    itqan("preview", "--stack", copy.stack)


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_run_killed_at_any_moment_is_finished_by_the_next(
    visited: Copy, whole_run: float, moment: int
) -> None:
    visited.bash(WRONG)
    visitor = Visitor(visited)
    visitor.start()
    run = start_up(visited)
    time.sleep(whole_run * (moment + 0.5) / MOMENTS)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    itqan("up", "--stack", visited.stack)
    visitor.end()
    require_whole(visited)
    assert visitor.asked
    assert visitor.bad == []


@pytest.mark.parametrize("moment", range(5))
def test_a_cut_connection(visited: Copy, whole_run: float, moment: int) -> None:
    """Every SSH session of the host ends while a run is under way."""
    visited.bash(WRONG)
    run = start_up(visited)
    time.sleep(whole_run * (moment + 0.5) / 5)
    visited.bash("pkill -KILL -f '^sshd(-session)?: root' || true")
    run.wait(timeout=300)
    itqan("up", "--stack", visited.stack)
    require_whole(visited)


def test_sshd_restarted_again_and_again(visited: Copy) -> None:
    visited.bash(WRONG)
    run = start_up(visited)
    while run.poll() is None:
        visited.bash("systemctl reset-failed ssh; systemctl restart ssh", check=False)
        time.sleep(0.5)
    itqan("up", "--stack", visited.stack)
    require_whole(visited)


def test_a_reboot_in_the_middle(visited: Copy, whole_run: float) -> None:
    visited.bash(WRONG)
    run = start_up(visited)
    time.sleep(whole_run / 2)
    command = ["docker", "restart", "-t", "5", visited.outputs["container"]]
    subprocess.run(command, check=True, capture_output=True)
    run.wait(timeout=300)
    poll(lambda: visited.get("/up").status == 200, 60, "the application after a reboot")
    itqan("up", "--stack", visited.stack)
    require_whole(visited)


def test_a_full_disk_says_so_and_loses_nothing(visited: Copy) -> None:
    """/etc/nginx/sites-available on a file system without room for one more file."""
    folder = "/etc/nginx/sites-available"
    visited.bash(
        f"cp -a {folder} /root/sites && mount -t tmpfs -o size=16k,mode=755 none {folder}\n"
        f"cp -a /root/sites/. {folder}/\n"
        f"sed -i 's/client_max_body_size.*/client_max_body_size 1m;/' {folder}/itqan-platform\n"
        f"cat /dev/zero >{folder}/full 2>/dev/null || true"
    )
    failed = itqan("up", "--stack", visited.stack, check=False)
    visited.bash(f"umount {folder} && rm -r /root/sites && nginx -t -q")
    assert failed.returncode == 1
    assert "cannot be written (disk full?); the file that was there is untouched" in failed.stderr
    itqan("up", "--stack", visited.stack)
    require_whole(visited)


def test_dpkg_locked_by_another_process(visited: Copy) -> None:
    """unattended-upgrades at work: apt waits for it."""
    visited.bash(
        "dpkg -r unzip >&2\n"
        "systemd-run -q --unit=soak-lock python3 -c 'import fcntl, time\n"
        'f = open("/var/lib/dpkg/lock-frontend", "w")\n'
        "fcntl.lockf(f, fcntl.LOCK_EX)\n"
        "time.sleep(60)'"
    )
    itqan("up", "--stack", visited.stack)
    require_whole(visited)


def test_two_runs_at_once(visited: Copy) -> None:
    """One does the work; the other one says who has the stack, or comes after it."""
    visited.bash(WRONG)
    first, second = start_up(visited), start_up(visited)
    statuses = sorted([first.wait(timeout=300), second.wait(timeout=300)])
    assert statuses[0] == 0
    itqan("up", "--stack", visited.stack)
    require_whole(visited)


def test_the_default_of_sshd_for_new_connections(visited: Copy) -> None:
    visited.bash(WRONG)
    visited.bash("echo 'MaxStartups 10:30:100' >/etc/ssh/sshd_config.d/00-soak.conf && systemctl reload ssh")
    itqan("up", "--stack", visited.stack)
    visited.bash("rm /etc/ssh/sshd_config.d/00-soak.conf && systemctl reload ssh")
    require_whole(visited)

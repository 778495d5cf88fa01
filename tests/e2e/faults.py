"""Faults in the middle of an `up`: how each is made, and what has to be true after one more."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import urllib3

from .copy import ROOT, Copy, edited, itqan, poll

APPLICATION = "/var/www/itqan-platform"
LINEAGE = "itqanway.com-0001"
ROWS = "mysql -N -e 'SELECT COUNT(*) FROM itqan_platform.faults'"
UPLOAD = f"{APPLICATION}/storage/app/upload"
POOL = "/etc/php/8.4/fpm/pool.d/www.conf"
SAMPLE = ROOT / "files/sample-app"
# Drifts that give a run something to do in every part.
WRONG = f"""
chmod 600 /etc/nginx/sites-available/itqan-platform
echo '; drift' >>{POOL}
rm -f /etc/letsencrypt/renewal-hooks/deploy/nginx.sh /etc/apt/preferences.d/itqan
systemctl disable -q --now cron
echo '; drift' >>/etc/supervisor/conf.d/itqan-worker.conf
sed -i 's/^LOG_LEVEL=.*/LOG_LEVEL=debug/' {APPLICATION}/.env
chmod 700 {APPLICATION}/storage/app
mysql -e 'ALTER DATABASE itqan_platform CHARACTER SET latin1'
hostname wrong
"""
# A pool that cuts off its requests at a reload, as a server that somebody made by hand has it.
IMPATIENT = f"sed -i /process_control_timeout/d {POOL} && systemctl restart php8.4-fpm"
# As if another authority had signed the certificate: the next run asks for a new one.
OTHER_AUTHORITY = (
    f"sed -i 's|^server = .*|server = https://another.test/dir|' /etc/letsencrypt/renewal/{LINEAGE}.conf"
)
# Everything of ours that runs on the host, at once: what is left is what a loss of power leaves.
KILL_RUNNERS = "pkill -KILL -s \"$(ps -o sid= -C itqan-converge | tr -d ' ' | sort -u | paste -sd,)\" || true"
SITE = "/etc/nginx/sites-available"
PLACED = "cannot be written (disk full?); the file that was there is untouched"
# A folder without room, what a run has to write there, a file that must stay as it is, and what is said.
FULL = {
    "site": (
        SITE,
        f"sed -i s/client_max_body_size/#/ {SITE}/itqan-platform",
        f"{SITE}/itqan-platform",
        PLACED,
    ),
    "env": (
        APPLICATION,
        f"sed -i s/^LOG_LEVEL=.*/LOG_LEVEL=debug/ {APPLICATION}/.env",
        f"{APPLICATION}/.env",
        f"{APPLICATION}/.env: {PLACED}",
    ),
    "certificate": (
        "/etc/letsencrypt",
        OTHER_AUTHORITY,
        f"/etc/letsencrypt/live/{LINEAGE}/*.pem",
        "itqan: certificates/lineage: the disk is full: nothing is left on /etc/letsencrypt",
    ),
    "apt": (
        "/var/cache/apt",
        "dpkg -r unzip >&2; apt-get clean",
        "/etc/apt/preferences.d/itqan",
        "itqan: packages/installed: the disk is full: nothing is left on /var/cache/apt",
    ),
    "dpkg": (
        "/var/lib/dpkg",
        "dpkg -r unzip >&2; apt-get clean",
        "/etc/apt/preferences.d/itqan",
        "itqan: packages/installed: the disk is full: nothing is left on /var/lib/dpkg",
    ),
}
# Where the stack writes, what it or its programs could have left half written.
HALF_WRITTEN = (
    *("*.itqan-new", "*.itqan-before*", "itqan-fpm*", "*.sock.itqan", "itqan-payload*", "itqan-words*"),
    *("tmp_obj_*", "tmp_pack_*", "*.next.php", "*.dpkg-new", "*.dpkg-tmp"),
)
LEFT = (
    "find /etc /home /root /run /srv /usr/local /var/www /var/lib/itqan /var/spool/cron -xdev "
    r"\( -path '*/node_modules' -o -path /run/lock \) -prune "
    + "".join(f"-o -name '{name}' -print " for name in HALF_WRITTEN)
    + f"-o -path '{APPLICATION}/.git/itqan-*' -print -o -path '*.git/*.lock' -print; dpkg --audit"
)


class Visitor:
    """Asks for the site all the time, while its context lasts; counts the answers."""

    def __init__(self, copy: Copy) -> None:
        self._copy, self._ended = copy, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.answers: Counter[str] = Counter()

    def _run(self) -> None:
        while not self._ended.wait(0.05):
            try:
                self.answers[str(self._copy.get("/up").status)] += 1
            except (urllib3.exceptions.HTTPError, OSError) as error:
                self.answers[repr(error)] += 1

    def __enter__(self) -> Visitor:
        self._thread.start()
        poll(lambda: self.answers["200"], 30, "the site answers")
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def require(self, *allowed: str) -> None:
        """No other answer than 200 and those that the documented procedure allows."""
        assert set(self.answers) <= {"200", *allowed}, self.answers


@pytest.fixture(scope="module")
def visited(copy: Copy) -> Iterator[Copy]:
    """The copy with rows and an upload that have to survive."""
    copy.bash(
        "mysql itqan_platform -e 'CREATE TABLE faults (id INT); INSERT INTO faults VALUES (1), (2)'\n"
        f"echo kept >{UPLOAD} && chown www-data: {UPLOAD}"
    )
    yield copy
    copy.bash(f"mysql -e 'DROP TABLE itqan_platform.faults'; rm {UPLOAD}")


@pytest.fixture(scope="module")
def whole_run(visited: Copy) -> float:
    """Seconds of a run that heals all of WRONG."""
    visited.bash(WRONG)
    started = time.monotonic()
    up(visited)
    return time.monotonic() - started


def up(copy: Copy) -> None:
    """The run after the fault."""
    itqan("up", "--stack", copy.stack)


def start_up(stack: str) -> subprocess.Popen[bytes]:
    """A run that goes on beside what the test does."""
    return subprocess.Popen(
        [str(ROOT / "itqan"), "up", "--stack", stack],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill(run: subprocess.Popen[bytes]) -> None:
    """The command line and the engine, with no time to clear up."""
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def require_whole(copy: Copy) -> None:
    """Everything is as expected, nothing is lost, nothing half written lies about, the site answers."""
    poll(lambda: itqan("audit", copy.stack, check=False).returncode == 0, 180, "a clean audit")
    assert copy.bash(ROWS) == "2"
    assert copy.bash(f"cat {UPLOAD}") == "kept"
    assert copy.bash(LEFT) == ""
    assert copy.get("/up").status == 200
    itqan("preview", "--stack", copy.stack)


@contextmanager
def new_commit(copy: Copy) -> Iterator[None]:
    """Another commit of the application, whose dependencies and assets have to be made anew; then back."""
    description = '"description": "'
    word = f"at {time.time_ns()} "
    with edited(SAMPLE / "composer.debian.json", description, f"{description}{word}"):
        css = SAMPLE / "resources/css/app.css"
        first = css.read_text().splitlines()[0]
        with edited(css, first, f"/* {word}*/\n{first}"):
            yield
    up(copy)


def kill_the_engine(copy: Copy, after: float, wrong: str = WRONG, *allowed: str) -> None:
    """kill -9 of a run some seconds after its start."""
    copy.bash(wrong)
    with Visitor(copy) as visitor:
        run = start_up(copy.stack)
        time.sleep(after)
        kill(run)
        up(copy)
    require_whole(copy)
    visitor.require(*allowed)


def kill_on_the_host(copy: Copy, wrong: str, when: str, what: str = KILL_RUNNERS) -> None:
    """What runs on the host is killed as soon as a condition there holds; then one more run."""
    copy.bash(wrong)
    run = start_up(copy.stack)
    seen = copy.bash(
        f"SECONDS=0; until {when}; do if ((SECONDS > 120)); then exit; fi; done; {what}; echo seen"
    )
    run.wait(timeout=600)
    assert seen == "seen", f"never: {when}"
    up(copy)
    require_whole(copy)


def cut_connections(copy: Copy, after: float) -> None:
    """Every SSH session of the host ends while a run is under way."""
    copy.bash(WRONG)
    with Visitor(copy) as visitor:
        run = start_up(copy.stack)
        time.sleep(after)
        copy.bash("pkill -KILL -f '^sshd(-session)?: root' || true")
        run.wait(timeout=300)
        up(copy)
    require_whole(copy)
    visitor.require()


def restart_sshd(copy: Copy) -> None:
    """sshd restarts again and again."""
    copy.bash(WRONG)
    run = start_up(copy.stack)
    while run.poll() is None:
        copy.bash("systemctl reset-failed ssh; systemctl restart ssh", check=False)
        time.sleep(0.5)
    up(copy)
    require_whole(copy)


def reboot(copy: Copy, after: float, command: str = "docker restart -t 5") -> None:
    """The host stops and starts in the middle of a run."""
    copy.bash(WRONG)
    run = start_up(copy.stack)
    time.sleep(after)
    subprocess.run([*command.split(), copy.outputs["container"]], check=True, capture_output=True)
    if "kill" in command:
        subprocess.run(["docker", "start", copy.outputs["container"]], check=True, capture_output=True)
    run.wait(timeout=300)
    poll(lambda: copy.get("/up").status == 200, 180, "the application after a reboot")
    up(copy)
    require_whole(copy)


@contextmanager
def full_disk(copy: Copy, folder: str, before: str = "true", after: str = "true") -> Iterator[None]:
    """A folder on a file system of its own that has no room for one more block.

    Arguments: `before` and `after`, what stops and starts a service that has files open there.
    """
    copy.bash(
        f"cp -a {folder} /root/kept; {before}\n"
        f"size=$(($(du -sk {folder} | cut -f1) * 11 / 10 + 256))\n"
        f"mount -t tmpfs -o size=${{size}}k none {folder} && cp -a /root/kept/. {folder}/; {after}\n"
        f"cat /dev/zero >{folder}/.full 2>/dev/null || true"
    )
    try:
        yield
    finally:
        copy.bash(f"rm -f {folder}/.full; {before}; umount -l {folder} && rm -r /root/kept; {after}")


def full_disk_is_said(copy: Copy, folder: str, wrong: str, file: str, said: str) -> None:
    """A run on a full disk fails with one clear line and leaves `file`; with room it ends as expected."""
    copy.bash(wrong)
    with full_disk(copy, folder):
        before = copy.bash(f"sha256sum {file}")
        failed = itqan("up", "--stack", copy.stack, check=False)
        assert copy.bash(f"sha256sum {file}") == before
    assert failed.returncode == 1
    lines = [line for line in failed.stderr.splitlines() if said in line]
    assert lines, failed.stderr
    assert "Traceback" not in failed.stderr
    up(copy)
    require_whole(copy)


def lock_dpkg(copy: Copy, seconds: int) -> None:
    """unattended-upgrades at work: apt waits for it."""
    copy.bash(
        "dpkg -r unzip >&2\n"
        "systemd-run -q --unit=faults-lock python3 -c 'import fcntl, time\n"
        'f = open("/var/lib/dpkg/lock-frontend", "w")\n'
        "fcntl.lockf(f, fcntl.LOCK_EX)\n"
        f"time.sleep({seconds})'"
    )
    up(copy)
    assert copy.bash("systemctl is-active faults-lock", check=False) != "active", "apt waited for the lock"
    require_whole(copy)


def fail_a_download(copy: Copy) -> None:
    """The archive refuses: one clear line, and the next run ends well."""
    proxy = "/etc/apt/apt.conf.d/99-faults"
    copy.bash(
        f"""dpkg -r unzip >&2; apt-get clean; echo 'Acquire::http::Proxy "http://127.0.0.1:9";' >{proxy}"""
    )
    failed = itqan("up", "--stack", copy.stack, check=False)
    copy.bash(f"rm {proxy}")
    assert failed.returncode == 1
    assert "packages: apt could not install unzip: its words stand above" in failed.stderr
    up(copy)
    require_whole(copy)


def two_at_once(copy: Copy) -> None:
    """One does the work; the other one says who has the stack, or comes after it."""
    copy.bash(WRONG)
    first, second = start_up(copy.stack), start_up(copy.stack)
    statuses = sorted([first.wait(timeout=300), second.wait(timeout=300)])
    assert statuses[0] == 0
    up(copy)
    require_whole(copy)


def default_startups(copy: Copy) -> None:
    """sshd's own limit for connections that are not logged in yet."""
    file = "/etc/ssh/sshd_config.d/00-faults.conf"
    copy.bash(WRONG)
    copy.bash(f"echo 'MaxStartups 10:30:100' >{file} && systemctl reload ssh")
    try:
        up(copy)
    finally:
        copy.bash(f"rm {file} && systemctl reload ssh")
    require_whole(copy)

"""Health of a copy: a healthy one in one connection, then broken in many ways; each named with what helps."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .copy import Copy, itqan, poll

LIVE = "/etc/letsencrypt/live/itqanway.com-0001"
QUEUE = "itqan_database_queues:default"
FAILED = (
    "INSERT INTO failed_jobs (uuid, connection, queue, payload, exception)"
    " VALUES ('health', 'redis', 'x', '{}', 'x')"
)
# Of the machine that the tests run on, not of the copy.
MACHINE = {"load", "memory", "disk", "inodes"}
# What a copy cannot have: its package lists are those of its image.
LACKING = {"security updates"}


def health(copy: Copy, *options: str) -> subprocess.CompletedProcess[str]:
    return itqan("health", copy.stack, *options, check=False)


def found(copy: Copy) -> dict[str, dict[str, Any]]:
    """Every check by its name."""
    shown = health(copy, "--json")
    assert shown.returncode == 2, shown.stderr
    return {check["check"]: check for check in json.loads(shown.stdout)["checks"]}


def wrong(copy: Copy) -> dict[str, str]:
    """What is not good, but for what a copy cannot have and the machine."""
    checks = found(copy)
    return {
        name: f"{check['state']}: {check['found']}"
        for name, check in checks.items()
        if check["state"] not in ("good", "skipped") and name not in MACHINE | LACKING
    }


def wait_until_healthy(copy: Copy) -> None:
    """Workers start a moment after they are told to, and cron has to have had its first minute."""
    poll(lambda: wrong(copy), 90, "a healthy copy", lambda left: not left)


def connections(copy: Copy) -> int:
    """How often somebody logged in over SSH."""
    return int(copy.bash("journalctl -q -u ssh -o cat | grep -c '^Accepted publickey' || true"))


@pytest.fixture(scope="class")
def broken(copy: Copy) -> Iterator[Copy]:
    """The copy with its workers stopped, jobs that wait and one that failed, another certificate on the disk,
    and no process of FPM that answers; as it was afterwards.
    """
    kept = copy.bash(f"readlink {LIVE}/cert.pem")
    jobs = " ".join(["stuffed"] * 1200)
    copy.bash(
        f"supervisorctl stop 'itqan-worker:*' >&2\n"
        f"redis-cli rpush {QUEUE} {jobs} >&2\n"
        f'mysql itqan_platform -e "{FAILED}"\n'
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj /CN=itqan.test"
        " -keyout /dev/null -out /root/another.pem 2>/dev/null\n"
        f"ln -sfn /root/another.pem {LIVE}/cert.pem\n"
        "pkill -STOP -f '^php-fpm: pool www'"
    )
    yield copy
    copy.bash(
        "pkill -CONT -f '^php-fpm: pool www'\n"
        f"ln -sfn {kept} {LIVE}/cert.pem; rm /root/another.pem\n"
        "mysql itqan_platform -e \"DELETE FROM failed_jobs WHERE uuid = 'health'\"\n"
        f"redis-cli lrem {QUEUE} 0 stuffed >&2\n"
        "supervisorctl start 'itqan-worker:*' >&2"
    )


@pytest.fixture(scope="class")
def seen(broken: Copy) -> dict[str, dict[str, Any]]:
    """All of it in one look."""
    return found(broken)


def test_of_a_healthy_copy_everything_is_good_in_one_connection(copy: Copy) -> None:
    wait_until_healthy(copy)
    before = connections(copy)
    checks = found(copy)
    poll(lambda: connections(copy) > before, 10, "a line of sshd about the connection")
    assert connections(copy) == before + 1
    assert checks["LiveKit"]["state"] == "skipped"
    for name in ("last backup", "last restore test"):
        assert checks[name]["state"] == "skipped"
    assert checks["artisan about"]["found"].startswith("Laravel ")
    assert checks["units"]["found"] == f"none of {copy.outputs['units']} drifted"


class TestBroken:
    @pytest.mark.parametrize(
        ("name", "says", "helps"),
        [
            ("itqan-worker", "2 STOPPED", "./itqan fix"),
            ("queue", "redis:default: 1200 wait", "./itqan fix"),
            ("failed jobs", "1", "artisan queue:failed"),
            ("certificate as served", "another one", "certificate"),
            ("PHP-FPM's processes", "requests wait", "maxChildren"),
            ("page", "no answer in time", "php"),
            ("units", "supervisor/itqan-worker", "./itqan audit"),
        ],
    )
    def test_what_is_broken_is_named_with_what_helps(
        self, seen: dict[str, dict[str, Any]], name: str, says: str, helps: str
    ) -> None:
        check = seen[name]
        assert check["state"] in ("bad", "warn")
        assert says in check["found"]
        assert helps in check["help"]

    def test_what_is_not_broken_stays_good(self, seen: dict[str, dict[str, Any]]) -> None:
        for name in (
            "nginx",
            "redis",
            "database",
            "reverb",
            "artisan about",
            "scheduler",
            "apex from inside",
        ):
            assert (name, seen[name]["state"]) == (name, "good")

    def test_one_line_says_it_and_the_page_too(self, broken: Copy, tmp_path: Path) -> None:
        page = tmp_path / "status.html"
        shown = health(broken, "--line", "--html", str(page))
        assert shown.returncode == 2
        assert shown.stdout.startswith(f"BAD itqan {broken.stack}: ") and shown.stdout.count("\n") == 1
        assert "itqan-worker bad: 2 STOPPED" in shown.stdout
        assert f"Health of {broken.stack}: bad" in page.read_text()


def test_a_redis_that_is_cut_off_is_named_everywhere(copy: Copy) -> None:
    """And the database is still asked."""
    copy.bash("systemctl stop redis-server")
    try:
        checks = found(copy)
    finally:
        copy.bash("systemctl start redis-server")
    for name in ("redis-server", "redis", "queue"):
        assert (name, checks[name]["state"]) == (name, "bad")
    assert checks["redis"]["help"] == f"./itqan fix {copy.stack} redis"
    assert checks["redis"]["found"] == "Connection refused"
    assert checks["database"]["state"] == "good"


def test_a_redis_that_hangs_holds_up_nothing_else(copy: Copy) -> None:
    copy.bash("pkill -STOP -x redis-server")
    try:
        checks = found(copy)
    finally:
        copy.bash("pkill -CONT -x redis-server")
    assert (checks["redis"]["state"], checks["redis"]["found"]) == ("bad", "no answer")
    for name in ("database", "artisan about", "apex from inside", "certificate"):
        assert (name, checks[name]["state"]) == (name, "good")
    assert copy.bash("pgrep -x redis-cli || true") == ""


def test_it_leaves_the_copy_as_it_was(copy: Copy) -> None:
    wait_until_healthy(copy)


def test_a_host_that_refuses_is_an_error_and_a_line_for_monitoring(copy: Copy) -> None:
    copy.bash("systemctl stop ssh.socket ssh.service")
    try:
        refused, line = health(copy), health(copy, "--line")
    finally:
        copy.bash("systemctl start ssh.service")
    assert (refused.returncode, refused.stdout, line.returncode) == (1, "", 1)
    assert f"cannot look at root@{copy.outputs['address']} port 22: connection refused" in refused.stderr
    site = "the site, asked from here: page: 200; WebSocket: 101"
    assert site in refused.stderr, f"{refused.stderr}\n{copy.last_words()}"
    assert line.stdout.startswith(f"UNKNOWN itqan {copy.stack}: cannot look at root@")

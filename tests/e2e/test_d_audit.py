"""The audit of a copy: a clean one, one with drift, one that cannot be reached; it changes nothing."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pytest

from .copy import Copy, itqan, poll, pulumi

SITE = "/etc/nginx/sites-available/itqan-platform"
ROOT = "/var/www/itqan-platform"
# What running services write by themselves: logs (sshd's of the look itself), tables, the application's own.
WRITTEN = (
    "/var/log",
    "/var/lib/mysql",
    "/var/lib/redis",
    "/var/lib/systemd",
    "/var/www/itqan-platform/storage",
)
MOUNTED = ("/proc", "/sys", "/run", "/tmp")
SCHEDULER = "/etc/supervisor/conf.d/itqan-scheduler.conf"


def audit(copy: Copy) -> subprocess.CompletedProcess[str]:
    return itqan("audit", "--json", "--stack", copy.stack, check=False)


def report(copy: Copy) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(audit(copy).stdout)
    return found


def differing(copy: Copy) -> dict[str, tuple[str, str]]:
    units = report(copy)["units"]
    return {u["unit"]: (u["expected"], u["found"]) for u in units if u["state"] == "differs"}


def snapshot(copy: Copy) -> set[str]:
    """Every path of the server with inode, size, times, mode, owner.

    A folder is marked by the kernel when something in it is written for the first time since its image was
    made (https://docs.kernel.org/filesystems/overlayfs.html), which its ctime shows.
    """
    skipped, above = (
        " -o ".join(f"-path {path}" for path in paths)
        for paths in ((*MOUNTED, *WRITTEN), sorted({str(PurePosixPath(path).parent) for path in WRITTEN}))
    )
    marked = "%p %i %s %T@ %m %u"
    listed = copy.bash(
        rf"find / -xdev \( {skipped} \) -prune -o \( {above} \) -printf '{marked}\n' "
        rf"-o -printf '{marked} %C@\n'"
    )
    return set(listed.splitlines())


def wait_until_clean(copy: Copy) -> None:
    """Workers that were told to restart need a moment."""
    poll(lambda: audit(copy).returncode == 0, 30, "an audit without a difference")


@pytest.fixture
def drifted(copy: Copy) -> Iterator[Copy]:
    """The copy with five drifts, healed afterwards."""
    wait_until_clean(copy)
    copy.bash(
        f"chmod 600 {SITE}; systemctl disable -q --now cron; chmod 755 /home/deploy/backups\n"
        f"sed -i 's/^APP_DEBUG=.*/APP_DEBUG=true/' {ROOT}/.env\n"
        f"printf '[program:itqan-scheduler]\\ndirectory={ROOT}\\ncommand=php artisan schedule:work\\n' "
        f">{SCHEDULER}\nsupervisorctl update"
    )
    yield copy
    itqan("up", "--stack", copy.stack)


def test_a_clean_copy_is_as_expected_in_a_table(copy: Copy) -> None:
    wait_until_clean(copy)
    shown = itqan("audit", copy.stack)
    assert "differs" not in shown.stdout
    assert f"itqan {copy.stack}, root@" in shown.stdout.splitlines()[-1]
    assert shown.stdout.count("as expected") == copy.outputs["units"] + 1


def test_it_changes_nothing_on_the_host(copy: Copy) -> None:
    before = snapshot(copy)
    assert len(before) > 10_000
    for _ in range(3):
        audit(copy)
    assert snapshot(copy) ^ before == set()
    copy.bash("touch /root/seen; rm /root/seen")
    assert {line.split()[0] for line in snapshot(copy) ^ before} == {"/root"}


def test_it_changes_nothing_on_a_drifted_host(drifted: Copy) -> None:
    before = snapshot(drifted)
    assert audit(drifted).returncode == 2
    assert snapshot(drifted) ^ before == set()


def test_drift_is_named_with_what_was_found(drifted: Copy) -> None:
    found = differing(drifted)
    assert set(found) >= {
        "nginx/site",
        "cron/service",
        "host/directories",
        "release/env",
        "supervisor/files",
    }
    assert found["cron/service"] == ("service cron enabled active", "service cron disabled inactive")
    shown = itqan("audit", drifted.stack, check=False)
    assert shown.returncode == 2
    assert any(
        line.split() == ["nginx/site", "differs", "file", SITE, "644", "600"]
        for line in shown.stdout.splitlines()
    )


def test_what_runs_on_the_host_is_a_finding_that_up_settles(drifted: Copy) -> None:
    made = [f for f in report(drifted)["findings"] if f["line"] == f"./itqan up --stack {drifted.stack}"]
    assert [finding["section"] for finding in made] == [
        "Environment Configuration (.env)",
        "Background Processes (Supervisor)",
        "Cron Jobs",
        "Backup",
    ]
    itqan(*shlex.split(made[0]["line"])[1:])
    wait_until_clean(drifted)
    left = report(drifted)["findings"]
    assert [finding for finding in left if finding in made] == []


def test_the_lines_of_the_documents_findings_ask_for_what_settles_them(copy: Copy) -> None:
    """That one `up` with them then leaves no finding is tests/e2e/test_g_strict.py's."""
    made = report(copy)["findings"]
    assert [finding["section"] for finding in made] == [
        "File Permissions",
        "Background Processes (Supervisor)",
    ]
    try:
        for line in {finding["line"] for finding in made}:
            pulumi(*shlex.split(line)[1:])
        assert set(differing(copy)) >= {"release/env", "supervisor/reverb"}
    finally:
        pulumi("config", "rm", "--stack", copy.stack, "itqan:hardening")


def test_a_host_that_refuses_is_one_clear_error(copy: Copy) -> None:
    copy.bash("systemctl stop ssh.socket ssh.service")
    try:
        refused = audit(copy)
    finally:
        copy.bash("systemctl start ssh.service")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"cannot look at root@{copy.outputs['address']} port 22: connection refused" in refused.stderr
    assert "Traceback" not in refused.stderr

"""Runbooks: breakages that take long to make or to cure, and what no step may remove."""

from __future__ import annotations

import re

import pytest

from tests.e2e import faults
from tests.e2e.breaks import PACKAGES, REVERB, ROOT, WORKERS, Break, fix, require_cured, says, snapshot
from tests.e2e.copy import Copy

HOME = "/home/deploy"
CONFIGURATION = "/etc/redis/redis.conf"
# The processes that are there now are stopped again and again: they neither go on nor end when told to.
# Those that come after them are left alone.
STUCK_FOR_GOOD = """
workers=$(pgrep -d ' ' -f '^php artisan queue:work')
systemd-run -q --unit=stuck bash -c "while sleep 0.02; do kill -STOP $workers; done"
sleep 0.5
"""
FULL_BY_FILE = f"""
cp -a {CONFIGURATION} /root/redis.conf
redis-cli -n 1 eval "local value = string.rep('x', 1000)
for i = 1, 6000 do redis.call('set', 'itqan_database_itqan_cache_:x' .. i, value) end" 0 >&2
echo 'maxmemory 5mb' >>{CONFIGURATION}
redis-cli config set maxmemory 5mb >&2
"""
CASES = {
    "workers that do not end": Break(
        "queue",
        STUCK_FOR_GOOD,
        lambda _: True,
        "2 stopped by a signal",
        "sudo supervisorctl restart 'itqan-worker:*'",
        WORKERS,
        undo="systemctl stop stuck",
    ),
    "Redis full by its file": Break(
        "redis",
        FULL_BY_FILE,
        says("redis-cli set x y", "OOM"),
        "of itqan_database_itqan_cache_:x",
        "artisan cache:clear",
        WORKERS | REVERB,
        undo=f"cp -a /root/redis.conf {CONFIGURATION}; rm /root/redis.conf; redis-cli config set maxmemory 0",
    ),
    "another password in the cached configuration": Break(
        "database",
        f"sed -i \"s/'password' => '[^']*',/'password' => 'another',/\" {ROOT}/bootstrap/cache/config.php",
        lambda copy: copy.get("/").status == 500,
        "database bad: SQLSTATE[HY000] [1045]",
        "artisan config:cache",
        WORKERS | REVERB,
    ),
    "no inode left": Break(
        "disk",
        f"mount -t tmpfs -o nr_inodes=50 none {PACKAGES}\n"
        f"for number in {{1..60}}; do : >{PACKAGES}/a_$number.deb || break; done 2>/dev/null",
        says(f": >{PACKAGES}/x", "No space left"),
        f"no inode left on {PACKAGES}",
        "sudo apt-get clean",
        undo=f"umount {PACKAGES}",
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_what_is_broken_is_cured_and_nothing_else_touched(copy: Copy, what: str) -> None:
    require_cured(copy, CASES[what], snapshot(copy))


def test_all_processes_of_fpm_busy_for_long(copy: Copy) -> None:
    """A reload gives requests thirty seconds; no restart is needed."""
    slow = f"{ROOT}/public/slow.php"
    before = snapshot(copy)
    copy.bash(
        f"printf '<?php sleep(600);' >{slow}; chown deploy:www-data {slow}; chmod 755 {slow}\n"
        "for number in {1..8}; do\n"
        "    systemd-run -q --unit=slow-$number"
        " curl -sk --resolve itqan.test:443:127.0.0.1 https://itqan.test/slow.php\n"
        "done\n"
        "until [ \"$(ss -Hxl src /run/php/php8.4-fpm.sock | awk '{print $3}')\" != 0 ]; do sleep 0.1; done"
    )
    try:
        done = fix(copy, "php")
    finally:
        copy.bash(f"systemctl stop 'slow-*'; rm {slow}", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 of 5 busy" in done.stdout
    assert "systemctl reload php8.4-fpm" in done.stdout.splitlines()[-1]
    assert snapshot(copy).runs == before.runs


def test_of_a_full_disk_only_what_can_be_made_again_is_removed(copy: Copy) -> None:
    """The home of the deploy user has both: npm's cache, and the backups."""
    with faults.full_disk(copy, HOME):
        copy.bash(
            f"rm {HOME}/.full; echo dump >{HOME}/backups/kept.sql; mkdir -p {HOME}/.npm/_cacache\n"
            f"cat /dev/zero >{HOME}/.npm/_cacache/full 2>/dev/null || true"
        )
        done = fix(copy, "disk")
        assert copy.bash(f"cat {HOME}/backups/kept.sql; ls {HOME}/.ssh | wc -l") == "dump\n1"
    assert done.returncode == 0, done.stdout + done.stderr
    # Composer's cache comes before it, where the copy has one
    assert re.fullmatch(r"cured by step \d: npm cache clean --force", done.stdout.splitlines()[-1])


def test_what_only_a_person_may_remove_is_named_and_left(copy: Copy) -> None:
    with faults.full_disk(copy, f"{HOME}/backups"):
        copy.bash(f"mv {HOME}/backups/.full {HOME}/backups/itqan.sql")
        done = fix(copy, "disk")
        assert copy.bash(f"ls {HOME}/backups") == "itqan.sql"
        copy.bash(f"rm {HOME}/backups/itqan.sql")
    assert done.returncode == 1
    assert f"nothing left on {HOME}/backups" in done.stdout

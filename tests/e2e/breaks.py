"""What each runbook is about, made on a running copy; and what of the copy may be another afterwards."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .copy import Copy, itqan, poll

ROOT = "/var/www/itqan-platform"
SITE = "/etc/nginx/sites-available/itqan-platform"
LINEAGE = "itqanway.com-0001"
LIVE = f"/etc/letsencrypt/live/{LINEAGE}"
WORKERS, REVERB = frozenset({"itqan-worker"}), frozenset({"reverb"})
SERVICES = ("nginx", "php8.4-fpm", "mariadb", "redis-server", "supervisor", "cron", "ssh")

CACHED_CONFIGURATION = f"echo '<?php return [' >{ROOT}/bootstrap/cache/config.php"
STUCK_WORKERS = "pkill -STOP -f '^php artisan queue:work'"
# As somebody starts Reverb by hand, who wonders why Supervisor's does not start any more.
REVERB_BY_HAND = f"""
supervisorctl stop 'reverb:*' >&2
cd {ROOT}
systemd-run -q --unit=by-hand -p User=www-data -p WorkingDirectory={ROOT} \
    php artisan reverb:start --host=0.0.0.0 --port=8080
until ss -Hltn 'sport = :8080' | grep -q .; do sleep 0.1; done
"""
WRONG_MODES = f"""
chown root:root {ROOT}/storage/logs/laravel.log {ROOT}/storage/framework {ROOT}/storage/framework/views
chmod 600 {ROOT}/storage/logs/laravel.log
chmod 700 {ROOT}/storage/framework {ROOT}/storage/framework/views
"""
NGINX_BY_HAND = f"sed -i '2i client_max_body_sice 20M;' {SITE}; systemctl restart nginx || true"
HUNG_FPM = "pkill -STOP -f '^php-fpm: pool www'"
# Of the same names, ended yesterday; linked as certbot links its own.
EXPIRED_CERTIFICATE = f"""
cd /etc/letsencrypt/archive/{LINEAGE}
number=$(($(find . -name 'cert*.pem' | grep -oE '[0-9]+' | sort -n | tail -n 1) + 1))
echo $number >/run/expired
at() {{ date -ud "$1" +%y%m%d%H%M%SZ; }}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=itqan.test \
    -addext 'subjectAltName=DNS:*.itqan.test,DNS:itqan.test' -not_before "$(at '-90 days')" \
    -not_after "$(at '-1 day')" -keyout privkey$number.pem -out cert$number.pem 2>/dev/null
cp cert$number.pem fullchain$number.pem
cp cert$number.pem chain$number.pem
for item in cert privkey chain fullchain; do
    ln -sfn "../../archive/{LINEAGE}/$item$number.pem" {LIVE}/$item.pem
done
systemctl reload nginx
"""
WRONG_PASSWORD = """
for host in 127.0.0.1 localhost; do mysql -e "ALTER USER itqan@'$host' IDENTIFIED BY 'another'"; done
"""
FULL_REDIS = "redis-cli config set maxmemory 1000000 >&2"
PACKAGES = "/var/cache/apt/archives"
FULL_DISK = f"""
mount -t tmpfs -o size=8m none {PACKAGES}
cat /dev/zero >{PACKAGES}/a_1_all.deb 2>/dev/null || true
"""


@dataclass(frozen=True)
class Break:
    """Something that is broken, and the runbook that cures it.

    script    how it is made
    broken    whether it shows
    found     a part of what the runbook finds
    step      a part of the step that cures it
    restarts  services and programs whose processes may be others afterwards
    undo      what takes away what the runbook leaves on purpose
    """

    book: str
    script: str
    broken: Callable[[Copy], bool]
    found: str
    step: str
    restarts: frozenset[str] = field(default_factory=frozenset)
    undo: str = ""


def status(copy: Copy, path: str = "/") -> int:
    """The site's answer."""
    return copy.get(path).status


def says(script: str, words: str) -> Callable[[Copy], bool]:
    """Whether a script on the host, whatever it ends with, prints words."""
    return lambda copy: words in copy.bash(f"{{ {script}; }} 2>&1 || true")


def _certificate_is_refused(copy: Copy) -> bool:
    return "Verify return code: 0" not in copy.bash(
        "openssl s_client -connect 127.0.0.1:443 -servername itqan.test </dev/null 2>/dev/null"
    )


BREAKS = {
    "cached configuration broken": Break(
        "errors-500",
        CACHED_CONFIGURATION,
        lambda copy: status(copy) == 500,
        "application bad: does not start: ParseError",
        "artisan config:cache",
        WORKERS | REVERB,
    ),
    "workers stuck": Break(
        "queue",
        STUCK_WORKERS,
        lambda _: True,
        "2 stopped by a signal",
        "sudo pkill -CONT -f '^php artisan queue:work redis'",
    ),
    "Reverb dead, its port taken": Break(
        "websocket",
        REVERB_BY_HAND,
        says("supervisorctl status", "STOPPED"),
        "Reverb beside Supervisor's bad: pid",
        "unit supervisor/reverb",
        REVERB,
    ),
    "modes wrong": Break(
        "permissions",
        WRONG_MODES,
        says(f"runuser -u www-data -- touch {ROOT}/storage/logs/laravel.log", "denied"),
        "closed to it: ",
        "",
    ),
    "nginx's configuration broken by hand": Break(
        "nginx",
        NGINX_BY_HAND,
        says("systemctl is-active nginx", "failed"),
        'unknown directive "client_max_body_sice"',
        "unit nginx/site",
        frozenset({"nginx"}),
    ),
    "FPM hung": Break(
        "php", HUNG_FPM, lambda _: True, "stopped by a signal", "sudo pkill -CONT -f '^php-fpm: '"
    ),
    "certificate expired": Break(
        "certificate",
        EXPIRED_CERTIFICATE,
        _certificate_is_refused,
        "ended 1 days ago",
        "sudo certbot renew",
        undo=f"rm /etc/letsencrypt/archive/{LINEAGE}/*$(cat /run/expired).pem /run/expired",
    ),
    "database password wrong": Break(
        "database",
        WRONG_PASSWORD,
        lambda copy: status(copy) == 500,
        "application's account bad: ERROR 1045",
        "unit database/schema",
    ),
    "Redis full": Break(
        "redis",
        FULL_REDIS,
        says("redis-cli set x y", "OOM"),
        "memory bad: ",
        "redis-cli config set maxmemory, as redis.conf has it",
        # a worker that Redis refuses a write ends, and is started again
        WORKERS | REVERB,
    ),
    "disk full": Break(
        "disk",
        FULL_DISK,
        says(f"echo x >{PACKAGES}/x", "No space left"),
        f"nothing left on {PACKAGES}",
        "sudo apt-get clean",
        undo=f"umount {PACKAGES}",
    ),
}


@dataclass(frozen=True)
class Snapshot:
    """A copy as audit and systemd tell it.

    differs  units that are not as expected
    unknown  what nothing accounts for
    runs     services and programs with their processes, and since when
    """

    differs: dict[str, str]
    unknown: list[str]
    runs: dict[str, str]


def snapshot(copy: Copy) -> Snapshot:
    """A copy as it is now."""
    report: dict[str, Any] = json.loads(itqan("audit", copy.stack, "--json", check=False).stdout)
    return Snapshot(
        {unit["unit"]: unit["found"] for unit in report["units"] if unit["state"] == "differs"},
        [f"{item['surrounding']}: {line}" for item in report["unknown"] for line in item["lines"]],
        runs(copy),
    )


def runs(copy: Copy) -> dict[str, str]:
    """Services and programs with their processes, and since when."""
    asked = "systemctl show -p Id -p MainPID -p ActiveEnterTimestampMonotonic"
    shown = copy.bash(f"{asked} {' '.join(SERVICES)}; supervisorctl status || true")
    found: dict[str, str] = {}
    for block in shown.split("\n\n"):
        for line in block.splitlines():
            if program := re.match(r"([a-z-]+)(?::\S+)? +([A-Z]+) +(pid \d+)?", line):
                found[program[1]] = f"{found.get(program[1], '')}{program[2]} {program[3]} "
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in values:
            name = values.pop("Id").removesuffix(".service")
            found[name] = " ".join(values.values())
    return found


def fix(copy: Copy, *words: str) -> subprocess.CompletedProcess[str]:
    """A runbook, as it is typed."""
    return itqan("fix", copy.stack, *words, check=False)


def require_cured(copy: Copy, case: Break, before: Snapshot) -> Snapshot:
    """What is broken is cured by the step that should, nothing else touched. Returns what is there now."""
    copy.bash(case.script)
    try:
        poll(lambda: case.broken(copy), 60, f"broken, for {case.book}")
        done = fix(copy, case.book)
        told = done.stdout + done.stderr
        assert done.returncode == 0, told
        assert case.found in done.stdout
        cured = next(line for line in done.stdout.splitlines() if line.startswith("cured by step "))
        assert case.step in cured, told
    finally:
        copy.bash(case.undo or "true", check=False)
    copy.require_page()
    return require_untouched(copy, before, case.restarts)


def require_untouched(copy: Copy, before: Snapshot, restarts: frozenset[str]) -> Snapshot:
    """All is as it was, but for processes that the runbook names. Returns what is there now."""
    after = poll(lambda: snapshot(copy), 30, "as before", lambda now: now.differs == before.differs)
    assert after.unknown == before.unknown
    others = {name for name, run in after.runs.items() if run != before.runs.get(name)}
    assert others <= restarts
    assert set(after.runs) == set(before.runs)
    return after

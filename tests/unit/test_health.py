"""Health: each check's verdicts by table, the probes on a foreign host, the report's forms, the command."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.health import Drift, Result, Seen, Verdict, checks, judged, limits, probes
from components.health.application import queues
from components.health.model import graded
from components.observation import State, parse, script
from components.platform import load_platform
from components.render import probe_library, text
from components.unit import Unit
from operations import cli, command, health
from operations.audit import side_of
from operations.errors import ConfigurationError, OperationError
from operations.health import Health
from operations.hosts import UnseenHost
from operations.outside import Way
from operations.pages import health_page
from operations.steps import Steps
from settings import Settings
from tests.conftest import BACKUP_KEY, SECOND_PLACE

Make = Callable[..., Settings]

NOW = 1_800_000_000.0
DAY = 86400
DIGEST = "AB" * 32
TENANT = "health-0a1b"
QUEUE = "queue redis:default ok 1"
APPLICATION = f"""start ok 10.48.29 8.4.16
environment production
debug off
maintenance off
cached config routes
about ok 40
database ok 2
failures ok 1 0
redis ok 1
{QUEUE} 0 0 0 - - - -
end"""
# What a healthy production server prints, probe by probe, and what others answer.
HOST = {
    "health/services": "\n".join(
        f"service {name} enabled active"
        for name in ("nginx", "php8.4-fpm", "mysql", "redis-server", "supervisor")
    ),
    "health/programs": "program itqan-worker RUNNING 2\nprogram reverb RUNNING 1",
    "health/scheduler": f"now {NOW:.0f}\nran {NOW - 31:.0f}",
    "health/fpm": "waiting 0\nconnections 1",
    "health/certificate": f"from {NOW - 30 * DAY:.0f}\nuntil {NOW + 60 * DAY:.0f}\ndigest {DIGEST}",
    "health/names": f"name itqanway.com 2a02:4780:41:52de::1 72.62.92.156\n"
    f"name {TENANT}.itqanway.com 2a02:4780:41:52de::1 72.62.92.156\nname conference.itqanway.com 192.0.2.7",
    "health/disk": "filesystem / 388000000000 300000000000 1000 900\nfilesystem /boot 0 0 0 0",
    "health/machine": f"clock {NOW:.6f}\nMemTotal 31000000000\nMemAvailable 20000000000\n"
    "load 0.10 0.20 0.30\nprocessors 8",
    "health/updates": f"now {NOW:.0f}\nlists {NOW - 3600:.0f}\nsuites 2",
    "health/backups": f"now {NOW:.0f}\nbackup {NOW - 8 * 3600:.3f} 1200000 backup_1.database.sql.gz.age\n"
    f"result make {NOW - 8 * 3600} ok backup_1\nresult copy {NOW - 8 * 3600} ok backup_1\n"
    f"result verify {NOW - DAY} ok backup_1: 5 rows in 2 tables",
    "health/application": APPLICATION,
    "health/release": "release none",
}
OUTSIDE = {
    "page": "200 0.120",
    "tenant": "404 0.090",
    "websocket": "101",
    "served": DIGEST,
    "livekit": f"TLSv1.3 {NOW + 50 * DAY:.0f}",
    "dns itqanway.com": "2a02:4780:41:52de::1 72.62.92.156",
    f"dns {TENANT}.itqanway.com": "2a02:4780:41:52de::1 72.62.92.156",
    "dns conference.itqanway.com": "192.0.2.7",
}
HOPE = "last restore test"
NO_ANSWER = "error no answer in time"
RUNNING = "release running\nSTEP step 6, migrate\nBY root from 192.0.2.1"
DIED = RUNNING.replace("running", "left")


def seen_of(settings: Settings, host: dict[str, str], outside: dict[str, str]) -> Seen:
    return Seen(
        settings=settings,
        platform=load_platform(settings.platform),
        tenant=TENANT,
        began=NOW - 0.3,
        ended=NOW + 0.3,
        host=host,
        outside=outside,
        drift=Drift((), 0, 48),
    )


def verdicts(seen: Seen) -> dict[str, Verdict]:
    results = judged(checks(seen.settings, seen.platform), seen)
    assert len({result.name for result in results}) == len(results)
    return {result.name: result.verdict for result in results}


@pytest.fixture
def healthy(stack: Callable[..., Settings]) -> Seen:
    """A server with backups."""
    return seen_of(stack("prod", backup={"keys": [BACKUP_KEY], "second": SECOND_PLACE}), HOST, OUTSIDE)


def line(old: str, new: str) -> str:
    """What the application says with one line exchanged."""
    assert old in APPLICATION
    return APPLICATION.replace(old, new)


def machine(**values: str) -> str:
    printed = HOST["health/machine"]
    for key, value in values.items():
        printed = re.sub(rf"(?m)^{key} .*$", f"{key} {value}", printed)
    return printed


def backups(**values: str) -> str:
    printed = HOST["health/backups"]
    for kind, value in values.items():
        word = kind if kind == "backup" else f"result {kind}"
        printed = re.sub(rf"(?m)^{word} .*$", f"{word} {value}", printed)
    return printed


WARN, BAD, UNKNOWN = "warn", "bad", "unknown"
# check, probe, what it prints, state, a part of what is found, a part of the command that helps
ON_THE_HOST: list[tuple[str, str, str, str, str, str]] = [
    ("nginx", "services", "service nginx enabled failed", BAD, "failed", "prod nginx"),
    ("nginx", "services", "service nginx disabled active", WARN, "disabled", "systemctl enable nginx"),
    ("nginx", "services", "service nginx absent", BAD, "absent", "prod nginx"),
    ("nginx", "services", "", UNKNOWN, "did not answer in time", "audit prod"),
    ("nginx", "services", "service cron enabled active", UNKNOWN, "does not say", "audit prod"),
    (
        "itqan-worker",
        "programs",
        "program itqan-worker RUNNING 1 STOPPED 1",
        BAD,
        "1 STOPPED",
        "prod queue",
    ),
    ("itqan-worker", "programs", "program itqan-worker RUNNING 1", BAD, "1 RUNNING", "prod queue"),
    (
        "itqan-worker",
        "programs",
        "program itqan-worker RUNNING 1 STARTING 1",
        WARN,
        "1 STARTING",
        "prod queue",
    ),
    ("itqan-worker", "programs", "program itqan-worker", BAD, "not known", "prod queue"),
    ("itqan-worker", "programs", "program itqan-worker RUNNING", UNKNOWN, "cannot be read", "audit"),
    ("itqan-worker", "programs", "", UNKNOWN, "did not answer in time", "audit"),
    ("scheduler", "scheduler", f"now {NOW:.0f}\nran {NOW - 121:.0f}", BAD, "121 s ago", "restart cron"),
    (
        *("scheduler", "scheduler", f"now {NOW:.0f}\nsince {NOW - 121:.0f}\nran never"),
        *(BAD, "not started within", "restart cron"),
    ),
    (
        *("scheduler", "scheduler", f"now {NOW:.0f}\nsince {NOW - 30:.0f}\nran never"),
        *(WARN, "not started yet: cron has it for 30 s", "wait"),
    ),
    ("scheduler", "scheduler", "now x\nran y", UNKNOWN, "no number", "audit"),
    ("PHP-FPM's processes", "fpm", "waiting 0\nconnections 4", WARN, "4 of 5 busy", "maxChildren"),
    (
        "PHP-FPM's processes",
        "fpm",
        "waiting 3\nconnections 5",
        BAD,
        "5 of 5 busy, 3 requests wait",
        "maxChildren",
    ),
    ("PHP-FPM's processes", "fpm", "socket absent", BAD, "nobody listens", "prod php"),
    ("PHP-FPM's processes", "fpm", "waiting 3", UNKNOWN, "does not say: connections", "audit"),
    ("artisan about", "application", "", BAD, "does not start", "prod errors-500"),
    (
        "artisan about",
        "application",
        "start failed Error in x.php line 3",
        BAD,
        "x.php line 3",
        "prod errors-500",
    ),
    (
        "artisan about",
        "application",
        line("about ok 40", "about failed Oops in a.php line 1"),
        BAD,
        "Oops",
        "prod errors-500",
    ),
    ("artisan about", "application", line("maintenance off", "maintenance on"), BAD, "503", "artisan up"),
    ("artisan about", "application", line("debug off", "debug on"), BAD, "debug on", "audit prod"),
    (
        "artisan about",
        "application",
        line("cached config routes", "cached config "),
        WARN,
        "not cached",
        "prod errors-500",
    ),
    ("artisan about", "application", "start ok 10 8.4", UNKNOWN, "does not say", "audit"),
    (
        "database",
        "application",
        line("database ok 2", "database failed refused"),
        BAD,
        "refused",
        "prod database",
    ),
    ("database", "application", "start ok 10 8.4", BAD, "no answer", "prod database"),
    ("database", "application", line("database ok 2\n", ""), UNKNOWN, "does not say", "audit"),
    ("database", "application", "start failed x", UNKNOWN, "does not start", "prod errors-500"),
    ("database", "application", "", UNKNOWN, "did not answer in time", "audit"),
    (
        "redis",
        "application",
        line("redis ok 1\n", "redis failed down\n"),
        BAD,
        "down",
        "prod redis",
    ),
    ("redis", "application", "start ok 10 8.4", BAD, "no answer", "prod redis"),
    ("failed jobs", "application", line("failures ok 1 0", "failures ok 1 1"), WARN, "1", "queue:failed"),
    ("failed jobs", "application", line("failures ok 1 0", "failures ok 1 100"), BAD, "100", "queue:failed"),
    (
        "failed jobs",
        "application",
        line("failures ok 1 0", "failures failed x"),
        UNKNOWN,
        "cannot be",
        "queue:f",
    ),
    ("queue", "application", line(f"{QUEUE} 0", f"{QUEUE} 100"), WARN, "100 wait", "prod queue"),
    ("queue", "application", line(f"{QUEUE} 0", f"{QUEUE} 1000"), BAD, "1000 wait", "prod queue"),
    (
        "queue",
        "application",
        line(f"{QUEUE} 0 0 0 -", f"{QUEUE} 2 0 0 61"),
        WARN,
        "oldest for 1 min",
        "prod queue",
    ),
    (
        "queue",
        "application",
        line(f"{QUEUE} 0 0 0 -", f"{QUEUE} 2 0 0 600"),
        BAD,
        "oldest for 10 min",
        "prod queue",
    ),
    (
        "queue",
        "application",
        line(f"{QUEUE} 0 0 0 - -", f"{QUEUE} 2 0 0 - 700"),
        BAD,
        "12 min or more",
        "prod queue",
    ),
    (
        "queue",
        "application",
        line(f"{QUEUE} 0 0 0 - - -", f"{QUEUE} 0 3 0 - - 90"),
        WARN,
        "2 min overdue",
        "prod queue",
    ),
    (
        "queue",
        "application",
        line(f"{QUEUE} 0 0 0 - - - -", f"{QUEUE} 0 0 1 - - - 95"),
        WARN,
        "1 run for",
        "prod queue",
    ),
    (
        "queue",
        "application",
        line(f"{QUEUE} 0 0 0 - - - -", "queue redis:default failed gone"),
        BAD,
        "gone",
        "prod queue",
    ),
    ("queue", "application", "start ok 10 8.4", BAD, "no answer", "prod redis"),
    ("queue", "application", line(f"{QUEUE} 0", f"{QUEUE} many"), UNKNOWN, "cannot be read", "audit"),
    (
        "certificate",
        "certificate",
        f"from {NOW - 63 * DAY}\nuntil {NOW + 27 * DAY}\ndigest x",
        WARN,
        "27 of",
        "prod certificate",
    ),
    (
        "certificate",
        "certificate",
        f"from {NOW - 82 * DAY}\nuntil {NOW + 8 * DAY}\ndigest x",
        BAD,
        "8 of 90",
        "prod certificate",
    ),
    (
        "certificate",
        "certificate",
        f"from {NOW - 92 * DAY}\nuntil {NOW - 2 * DAY}\ndigest x",
        BAD,
        "2 days ago",
        "prod certificate",
    ),
    (
        "certificate",
        "certificate",
        "certificate absent",
        BAD,
        "no lineage itqanway.com-0001",
        "prod certificate",
    ),
    ("certificate", "certificate", "", UNKNOWN, "did not answer in time", "audit"),
    (
        "certificate as served",
        "certificate",
        f"digest {'CD' * 32}",
        BAD,
        "another one",
        "prod certificate",
    ),
    ("certificate as served", "certificate", "", UNKNOWN, "did not answer in time", "audit"),
    ("apex from inside", "names", "name itqanway.com 192.0.2.9", BAD, "192.0.2.9", "dig itqanway.com"),
    ("apex from inside", "names", "name itqanway.com error no answer", BAD, "no answer", "dig"),
    ("apex from inside", "names", "name itqanway.com", BAD, "no address", "dig"),
    ("apex from inside", "names", "", UNKNOWN, "did not answer in time", "audit"),
    (
        "conference from inside",
        "names",
        "name conference.itqanway.com 72.62.92.156",
        BAD,
        "72.62",
        "dig conf",
    ),
    (
        "disk",
        "disk",
        "filesystem / 100 15 10 9\nfilesystem /var 100 50 10 9",
        WARN,
        "85 % of /",
        "prod disk",
    ),
    (
        "disk",
        "disk",
        "filesystem / 100 50 10 9\nfilesystem /var 100 4 10 9",
        BAD,
        "96 % of /var",
        "prod disk",
    ),
    ("disk", "disk", "filesystem / many 4 10 9", UNKNOWN, "no numbers", "audit"),
    ("disk", "disk", "", UNKNOWN, "df says nothing", "audit"),
    ("inodes", "disk", "filesystem / 100 50 100 10", WARN, "90 % of /", "prod disk"),
    ("inodes", "disk", "filesystem / 100 50 100 1", BAD, "99 % of /", "prod disk"),
    ("inodes", "disk", "", UNKNOWN, "df says nothing", "audit"),
    ("memory", "machine", machine(MemAvailable="3000000000"), WARN, "10 % available", "--sort=-rss"),
    ("memory", "machine", machine(MemAvailable="1000000000"), BAD, "3 % available", "--sort=-rss"),
    ("memory", "machine", "MemTotal 1", UNKNOWN, "does not say: MemAvailable", "audit"),
    ("load", "machine", machine(load="1 16.0 1"), WARN, "2.0 for each of 8", "--sort=-pcpu"),
    ("load", "machine", machine(load="1 40.0 1"), BAD, "5.0 for each of 8", "--sort=-pcpu"),
    ("load", "machine", "load 1", UNKNOWN, "no load", "audit"),
    ("clock", "machine", machine(clock=f"{NOW + 6:.1f}"), WARN, "5.7 s ahead of", "set-ntp"),
    ("clock", "machine", machine(clock=f"{NOW - 70:.1f}"), BAD, "69.7 s behind", "set-ntp"),
    ("clock", "machine", "", UNKNOWN, "did not answer in time", "audit"),
    (
        "security updates",
        "updates",
        f"now {NOW}\nlists {NOW}\nupdate b\nupdate a\nsuites 1",
        WARN,
        "2 waiting: a, b",
        "upgrade",
    ),
    (
        "security updates",
        "updates",
        f"now {NOW}\nlists {NOW - 8 * DAY}\nsuites 1",
        WARN,
        "lists 8 d old",
        "update",
    ),
    ("security updates", "updates", f"now {NOW}\nlists absent", UNKNOWN, "nobody knows", "apt-get update"),
    (
        "security updates",
        "updates",
        f"now {NOW}\nlists {NOW}\nsuites 0",
        UNKNOWN,
        "none of its",
        "apt-get update",
    ),
    ("last backup", "backups", f"now {NOW}", WARN, "no backup yet", "./itqan backup prod"),
    ("last backup", "backups", backups(backup=f"{NOW - 27 * 3600} 9 a"), WARN, "1 d ago", "./itqan backup"),
    ("last backup", "backups", backups(backup=f"{NOW - 80 * 3600} 9 a"), BAD, "3 d ago", "./itqan backup"),
    ("last backup", "backups", backups(make=f"{NOW} failed no disk"), WARN, "failed: no disk", "journalctl"),
    ("last backup", "backups", f"now {NOW}\nrestoring", BAD, "did not get to its end", "restore prod"),
    ("last backup", "backups", "", UNKNOWN, "did not answer in time", "audit"),
    ("second place", "backups", f"now {NOW}", WARN, "no copy yet", "./itqan backup prod"),
    ("second place", "backups", backups(copy=f"{NOW} failed refused"), WARN, "refused", "./itqan backup"),
    ("second place", "backups", backups(copy=f"{NOW - 30 * 3600} ok a"), WARN, "1 d ago", "./itqan backup"),
    ("second place", "backups", backups(copy=f"{NOW - 80 * 3600} ok a"), BAD, "3 d ago", "./itqan backup"),
    (HOPE, "backups", f"now {NOW}", WARN, "never", "./itqan backup verify prod"),
    (HOPE, "backups", backups(verify=f"{NOW} failed 1 row"), BAD, "it failed: 1 row", "backup verify prod"),
    (HOPE, "backups", backups(verify=f"{NOW - 9 * DAY} ok a"), WARN, "9 d ago: a", "backup verify prod"),
    (HOPE, "backups", backups(verify=f"{NOW - 40 * DAY} ok a"), BAD, "40 d ago: a", "backup verify prod"),
    (HOPE, "backups", "", UNKNOWN, "did not answer in time", "audit"),
]
# check, question, answer, state, a part of what is found, a part of the command that helps
FROM_OUTSIDE: list[tuple[str, str, str | None, str, str, str]] = [
    ("page", "page", "500 0.100", BAD, "itqanway.com: 500", "prod errors-500"),
    ("page", "page", "200 1.200", WARN, "200 in 1.20 s", "prod errors-500"),
    ("page", "page", "error certificate: expired", BAD, "certificate: expired", "prod certificate"),
    ("page", "page", "nonsense", UNKNOWN, "cannot be read", "audit"),
    ("page", "page", None, UNKNOWN, "nobody was asked", "audit"),
    ("tenant", "tenant", "502 0.100", BAD, f"{TENANT}.itqanway.com: 502", "prod errors-500"),
    ("tenant", "tenant", "error no answer in time", BAD, "no answer in time", "prod php"),
    ("WebSocket", "websocket", "404", BAD, "404", "prod websocket"),
    ("WebSocket", "websocket", "error refused", BAD, "refused", "prod websocket"),
    ("WebSocket", "websocket", None, UNKNOWN, "nobody was asked", "audit"),
    ("LiveKit", "livekit", f"TLSv1.3 {NOW + 10 * DAY}", WARN, "certificate 10 days", "s_client"),
    ("LiveKit", "livekit", f"TLSv1.3 {NOW + 2 * DAY}", BAD, "certificate 2 days", "s_client"),
    ("LiveKit", "livekit", "error refused", BAD, "refused", "s_client"),
    ("LiveKit", "livekit", "TLSv1.3 None", UNKNOWN, "cannot be read", "audit"),
    ("certificate as served", "served", "CD" * 32, BAD, "another one, cdcdcdcd", "prod certificate"),
    ("certificate as served", "served", "error refused", BAD, "none: refused", "prod nginx"),
    ("apex from outside", "dns itqanway.com", "192.0.2.9", BAD, "192.0.2.9", "audit prod"),
    ("apex from outside", "dns itqanway.com", "72.62.92.156", BAD, "72.62.92.156", "audit prod"),
    ("apex from outside", "dns itqanway.com", "error the name cannot be resolved", BAD, "cannot be", "audit"),
    ("tenant from outside", f"dns {TENANT}.itqanway.com", "", BAD, "no address", "audit prod"),
    ("conference from outside", "dns conference.itqanway.com", "72.62.92.156", BAD, "72.62", "audit prod"),
    ("conference from outside", "dns conference.itqanway.com", None, UNKNOWN, "nobody was asked", "audit"),
]


class TestVerdicts:
    def test_a_healthy_server_is_good(self, healthy: Seen) -> None:
        assert {name for name, verdict in verdicts(healthy).items() if verdict.state != "good"} == set()

    def test_a_server_of_which_nobody_makes_backups_warns_and_says_how(self, prod: Settings) -> None:
        found = verdicts(seen_of(prod, HOST, OUTSIDE))
        wrong = {name: verdict.help for name, verdict in found.items() if verdict.state != "good"}
        assert wrong == dict.fromkeys(("last backup", HOPE), "./itqan backup key prod FILE")

    def test_a_copy_has_no_backups_and_that_is_not_bad(self, staging: Settings) -> None:
        found = verdicts(seen_of(staging, {**HOST, "health/backups": f"now {NOW}"}, OUTSIDE))
        assert {name: found[name].state for name in ("last backup", HOPE)} == dict.fromkeys(
            ("last backup", HOPE), "skipped"
        )
        assert "second place" not in found

    def test_a_copy_that_is_told_to_make_them_is_held_to_it(self, stack: Callable[..., Settings]) -> None:
        settings = stack("staging", backup={"keys": [BACKUP_KEY]})
        found = verdicts(seen_of(settings, {**HOST, "health/backups": f"now {NOW}"}, OUTSIDE))
        assert found["last backup"].state == "warn"

    def test_the_document_s_checks_and_more_are_there(self, healthy: Seen) -> None:
        assert list(verdicts(healthy)) == [
            *("nginx", "php8.4-fpm", "mysql", "redis-server", "supervisor", "PHP-FPM's processes"),
            *("itqan-worker", "reverb", "scheduler"),
            *("artisan about", "database", "redis", "queue", "failed jobs"),
            *("certificate", "certificate as served"),
            *(
                f"{kind} from {where}"
                for kind in ("apex", "tenant", "conference")
                for where in ("outside", "inside")
            ),
            *("page", "tenant", "WebSocket", "LiveKit"),
            *("disk", "inodes", "memory", "load", "clock", "security updates", "units"),
            *("last backup", "second place", HOPE),
        ]

    @pytest.mark.parametrize(("name", "probe", "printed", "state", "found", "helps"), ON_THE_HOST)
    def test_of_what_the_host_prints(
        self, healthy: Seen, name: str, probe: str, printed: str, state: str, found: str, helps: str
    ) -> None:
        changed = replace(healthy, host={**healthy.host, f"health/{probe}": printed})
        self.hold(verdicts(changed)[name], state, found, helps)

    @pytest.mark.parametrize(("name", "question", "answer", "state", "found", "helps"), FROM_OUTSIDE)
    def test_of_what_is_answered_outside(
        self, healthy: Seen, name: str, question: str, answer: str | None, state: str, found: str, helps: str
    ) -> None:
        outside = {**healthy.outside, question: answer}
        given = {key: value for key, value in outside.items() if value is not None}
        self.hold(verdicts(replace(healthy, outside=given))[name], state, found, helps)

    @staticmethod
    def hold(verdict: Verdict, state: str, found: str, helps: str) -> None:
        assert verdict.state == state
        assert found in verdict.found
        assert helps in verdict.help
        if state != UNKNOWN:
            assert verdict.limit

    def test_every_check_is_tried_in_the_tables(self, healthy: Seen) -> None:
        """But for those of which the tables try one of several alike."""
        tried = {row[0] for row in (*ON_THE_HOST, *FROM_OUTSIDE)} | {"units"}
        alike = {"php8.4-fpm", "mysql", "redis-server", "supervisor", "reverb", "tenant from inside"}
        assert set(verdicts(healthy)) == tried | alike

    @pytest.mark.parametrize(
        ("drift", "state", "found"),
        [
            (Drift((), 0, 48), "good", "none of 48 drifted"),
            (Drift(("nginx/site",), 0, 48), WARN, "1 of 48 drifted: nginx/site"),
            (Drift((), 2, 48), WARN, "2 not of this stack"),
            (Drift(tuple("abcde"), 0, 48), WARN, "a, b, c and 2 more"),
            (Drift((), 0, 48, late=7), UNKNOWN, "none of 48 drifted, 7 not looked at in time"),
            (Drift(("nginx/site",), 0, 48, late=7), WARN, "nginx/site, 7 not looked at in time"),
            (Drift((), 0, 0), UNKNOWN, "no unit was looked at"),
        ],
    )
    def test_of_units(self, healthy: Seen, drift: Drift, state: str, found: str) -> None:
        verdict = verdicts(replace(healthy, drift=drift))["units"]
        assert (verdict.state, found in verdict.found) == (state, True)
        assert verdict.help == "./itqan audit prod"

    def test_nothing_seen_is_nothing_good(self, prod: Settings) -> None:
        seen = replace(seen_of(prod, {}, {}), drift=Drift())
        assert {verdict.state for verdict in verdicts(seen).values()} == {BAD, UNKNOWN}
        assert [name for name, v in verdicts(seen).items() if v.state == BAD] == ["artisan about"]

    @pytest.mark.parametrize(
        ("release", "state", "found", "line"),
        [
            (RUNNING, WARN, "a release is under way: step 6, migrate, begun by root", "logs prod release -f"),
            (DIED, BAD, "503; a release did not get to its end, it was in step 6", "./itqan up --stack prod"),
        ],
    )
    def test_nobody_is_told_to_open_half_a_release(
        self, healthy: Seen, release: str, state: str, found: str, line: str
    ) -> None:
        closed = APPLICATION.replace("maintenance off", "maintenance on")
        host = {**healthy.host, "health/application": closed, "health/release": release}
        verdict = verdicts(replace(healthy, host=host))["artisan about"]
        assert (verdict.state, found in verdict.found, line in verdict.help) == (state, True, True)

    def test_a_unit_that_was_not_looked_at_in_time_has_not_drifted(self, prod: Settings) -> None:
        side = side_of(prod, "0" * 40)
        late, other, *rest = side.units
        states = [State(late, ""), State(other, "another"), *(State(unit, unit.expect) for unit in rest)]
        drift = health.drift_of(side, states)
        assert (drift.units, drift.late, drift.of) == ((other.name,), 1, len(side.units))

    def test_a_copy_has_no_livekit_and_that_is_not_bad(self, staging: Settings) -> None:
        verdict = verdicts(seen_of(staging, HOST, {}))["LiveKit"]
        assert (verdict.state, "a copy has no LiveKit" in verdict.found) == ("skipped", True)

    def test_a_copy_s_conference_has_the_address_of_the_settings(self, staging: Settings) -> None:
        outside = {"dns conference.itqan.test": "192.0.2.10"}
        assert verdicts(seen_of(staging, {}, outside))["conference from outside"].state == "good"

    def test_a_scheduler_of_supervisor_is_restarted_there(self, stack: Make) -> None:
        settings = stack("prod", scheduler="supervisor")
        host = {**HOST, "health/scheduler": f"now {NOW}\nran {NOW - 300}"}
        verdict = verdicts(seen_of(settings, host, OUTSIDE))["scheduler"]
        assert (verdict.state, verdict.help) == (BAD, "sudo supervisorctl restart 'itqan-scheduler:*'")

    def test_of_several_queues_the_worst_counts(self, healthy: Seen) -> None:
        further = APPLICATION.replace("end", "queue redis:mails ok 1 2000 0 0 - - - -\nend")
        changed = replace(healthy, host={**healthy.host, "health/application": further})
        verdict = verdicts(changed)["queue"]
        assert (verdict.state, verdict.found[:22]) == (BAD, "redis:mails: 2000 wait")

    def test_a_short_lived_certificate_is_judged_by_its_own_lifetime(self, healthy: Seen) -> None:
        printed = f"from {NOW - 2 * DAY}\nuntil {NOW + 4 * DAY}\ndigest {DIGEST}"
        changed = replace(healthy, host={**healthy.host, "health/certificate": printed})
        assert verdicts(changed)["certificate"].state == "good"

    @pytest.mark.parametrize(
        ("value", "falling", "state"),
        [
            (9, False, "good"),
            (10, False, WARN),
            (20, False, BAD),
            (21, True, "good"),
            (20, True, WARN),
            (10, True, BAD),
        ],
    )
    def test_limits_belong_to_what_they_begin(self, value: float, falling: bool, state: str) -> None:
        warn, bad = (20, 10) if falling else (10, 20)
        assert graded(value, warn, bad, falling=falling) == state

    def test_warnings_come_before_the_end(self) -> None:
        for name in ("DISK", "LOAD", "CLOCK", "QUEUE", "WAIT", "FAILED", "PAGE", "BACKUP"):
            assert getattr(limits, f"{name}_WARN") < getattr(limits, f"{name}_BAD")
        for name in ("MEMORY", "FOREIGN"):
            assert getattr(limits, f"{name}_WARN") > getattr(limits, f"{name}_BAD")

    def test_a_command_never_spans_lines(self, any_settings: Settings) -> None:
        for verdict in verdicts(seen_of(any_settings, HOST, OUTSIDE)).values():
            assert verdict.help.isprintable() and verdict.found.isprintable()


class TestQueues:
    @pytest.mark.parametrize(
        ("command", "found"),
        [
            ("php artisan queue:work redis --sleep=3", [("redis", "")]),
            ("php artisan queue:work --queue=high,default", [("", "high,default")]),
            ("php artisan queue:work redis --queue high", [("redis", "high")]),
            ("php artisan reverb:start --host=x", []),
        ],
    )
    def test_are_those_that_workers_take_jobs_from(
        self, stack: Make, command: str, found: list[tuple[str, str]]
    ) -> None:
        program = {"name": "w", "file": "w.conf", "command": command, "log": "w.log"}
        settings = stack("prod", programs=[program])
        assert queues(settings.programs) == found
        names = [check.name for check in checks(settings, load_platform(settings.platform))]
        assert ("queue" in names) == bool(found)


class TestProbes:
    @pytest.mark.parametrize("kind", ["cron", "supervisor"])
    def test_answer_on_a_foreign_host_without_a_word_of_error(self, stack: Make, kind: str) -> None:
        # 127.0.0.9 has no name server: names are asked for in vain, and at once
        settings = stack("prod", scheduler=kind, dns={"server": "127.0.0.9"})
        asked = probes(settings, load_platform(settings.platform), TENANT)
        program = script(asked, limits.PROBE)
        done = subprocess.run(["bash"], input=program.encode(), capture_output=True, check=True)
        assert done.stderr == b""
        found = {state.unit.name: state.found for state in parse(done.stdout, asked)}
        assert set(found) == set(HOST)
        seen = seen_of(settings, found, {})
        assert {verdicts(seen)[name].state for name in ("disk", "memory", "load")} <= {"good", WARN, BAD}

    def test_one_that_hangs_is_ended_with_what_it_waits_for(self) -> None:
        hangs = Unit("health/hangs", "echo begun; sleep 3600.125 | cat", "", "")
        quick = Unit("health/quick", "echo there", "", "")
        program = script([hangs, quick], limit=1)
        began = time.monotonic()
        done = subprocess.run(["bash"], input=program.encode(), capture_output=True, check=True)
        assert time.monotonic() - began < 30
        assert done.stderr == b""
        assert [state.found for state in parse(done.stdout, [hangs, quick])] == ["", "there"]
        left = subprocess.run(["pgrep", "-f", "^sleep 3600.125"], capture_output=True, check=False)
        assert left.stdout == b""

    @pytest.mark.parametrize("place", ["app/.git/itqan-undo", ".app/undo"])
    def test_a_release_is_under_way_while_the_tool_holds_its_lock(self, tmp_path: Path, place: str) -> None:
        """With either strategy; what holds it without a journal is no release."""
        root, journal, lock = tmp_path / "app", tmp_path / place / "journal", tmp_path / "lock"
        body = text("health/release.sh").replace("/run/lock/itqan-release-tool.lock", str(lock))
        program = f"{probe_library()}\nset -- {root}\n{body}"

        def found(before: str = "") -> str:
            done = subprocess.run(
                ["bash", "-c", f"{before}\n{program}"], capture_output=True, text=True, check=True
            )
            assert done.stderr == ""
            return done.stdout.strip()

        held = f"exec 8>{lock}; flock 8"
        assert found() == found(held) == "release none"
        journal.parent.mkdir(parents=True)
        journal.write_text("BY root from 192.0.2.1\nSTEP start\nSTEP step 6, migrate\n")
        assert (found(held), found()) == (RUNNING, DIED)

    @pytest.mark.parametrize("folder", ["storage", "storage/app", "storage/logs"])
    def test_a_file_system_below_the_application_is_looked_at(self, prod: Settings, folder: str) -> None:
        asked = {unit.name: unit.probe for unit in probes(prod, load_platform(prod.platform), TENANT)}
        words = asked["health/disk"].splitlines()[0].split()
        assert f"{prod.application.path}/{folder}" in words

    def test_carry_no_secret(self, any_settings: Settings, secrets: dict[str, str]) -> None:
        asked = probes(any_settings, load_platform(any_settings.platform), TENANT)
        text = "\n".join(unit.probe for unit in asked)
        assert [name for name, value in secrets.items() if value in text] == []


@pytest.fixture
def report(healthy: Seen) -> Health:
    """One bad, one unknown, one that warns."""
    host = {
        **healthy.host,
        "health/backups": backups(verify=f"{NOW - 9 * DAY} ok a"),
        "health/fpm": "",
        "health/programs": "program itqan-worker STOPPED 2\nprogram reverb RUNNING 1",
    }
    seen = replace(healthy, host=host)
    results = judged(checks(seen.settings, seen.platform), seen)
    return Health("prod", "deploy@h port 22", 0.51, NOW, results)


class TestReport:
    def test_the_table_has_a_line_for_each_check_and_helps_where_it_is_needed(self, report: Health) -> None:
        lines = report.table().splitlines()
        groups = {result.group for result in report.results}
        assert len(lines) == 1 + len(report.results) + len(groups) + 2
        stopped = next(text for text in lines if "itqan-worker " in text)
        assert re.split(r"\s{2,}", stopped.strip()) == [
            "itqan-worker",
            "bad",
            "2 STOPPED",
            "2 RUNNING",
            "./itqan fix prod queue",
        ]
        assert "systemctl" not in next(text for text in lines if text.startswith("  nginx"))
        assert lines[-1] == "itqan prod, deploy@h port 22: 1 bad, 1 unknown, 1 warn, 33 good, in 0.51 s"

    def test_colours_change_nothing_else(self, report: Health) -> None:
        coloured = report.table(colours=True)
        assert coloured.count("\x1b[31m") == 1
        assert re.sub(r"\x1b\[\d+m", "", coloured) == report.table()

    def test_the_line_names_what_is_wrong_the_worst_first(self, report: Health) -> None:
        assert report.line().startswith(
            "BAD itqan prod: 1 bad, 1 unknown, 1 warn, 33 good: itqan-worker bad: 2 STOPPED; PHP-FPM's"
        )
        assert report.line().isprintable()

    def test_what_the_host_prints_cannot_move_the_cursor(self, report: Health) -> None:
        evil = Result("disk", "host", Verdict("bad", "a\x1b[2J\nb", "x", "y"))
        shown = replace(report, results=[evil])
        assert "\x1b" not in shown.table() + shown.line()
        assert shown.line().count("\n") == 0

    def test_json_has_all_of_it(self, report: Health) -> None:
        found = json.loads(report.to_json())
        assert (found["state"], found["stack"], found["at"]) == ("bad", "prod", "2027-01-15T08:00:00+00:00")
        assert found["counts"] == {"good": 33, "warn": 1, "bad": 1, "unknown": 1}
        assert [check["check"] for check in found["checks"]] == [result.name for result in report.results]
        assert set(found["checks"][0]) == {"check", "group", "state", "found", "limit", "help"}

    def test_the_page_says_what_helps(self, report: Health) -> None:
        page = health_page(report)
        assert "Health of prod: bad" in page and "Comparison" not in page
        assert page.count("<article>") == 3
        assert "./itqan fix prod queue" in page

    @pytest.mark.parametrize(
        ("states", "worst"),
        [(["good", "skipped"], "good"), (["good", "warn"], "warn"), (["warn", "unknown"], "unknown")],
    )
    def test_the_worst_counts(self, report: Health, states: list[Any], worst: str) -> None:
        made = [Result(str(number), "x", Verdict(state, "")) for number, state in enumerate(states)]
        shown = replace(report, results=made)
        assert (shown.state, shown.failed) == (worst, worst != "good")


class TestDrift:
    @pytest.mark.parametrize(
        ("found", "differs"),
        [
            ("commit " + "a" * 40 + "\nchanges none", False),
            ("commit absent\nchanges none", True),
            ("commit " + "a" * 40 + "\nchanges 2", True),
        ],
    )
    def test_another_commit_is_none(self, found: str, differs: bool) -> None:
        unit = Unit("release/code", "", f"commit {health.ANY_COMMIT}\nchanges none", "")
        assert health._differs(State(unit, found)) == differs

    def test_a_repository_that_does_not_answer_is_not_asked(self, stack: Make) -> None:
        settings = stack("prod", release={"repository": "https://127.0.0.1:1/gone", "ref": "main"})
        assert side_of(settings, health.ANY_COMMIT).commit == health.ANY_COMMIT


class TestCommand:
    @pytest.fixture
    def looked(self, monkeypatch: pytest.MonkeyPatch, report: Health, prod: Settings) -> list[Health]:
        """What the next looks find, the last again and again."""
        found = [report]
        monkeypatch.setattr(health, "stack_settings", lambda *_: (prod, None))
        monkeypatch.setattr(health, "look_at", lambda *_: found.pop(0) if len(found) > 1 else found[0])
        return found

    def run(self, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["itqan", "health", "prod", *words])
        return cli.main()

    def test_exits_with_2_when_anything_is_not_good(
        self, monkeypatch: pytest.MonkeyPatch, looked: list[Health], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(monkeypatch) == command.DIFFERENT
        assert capsys.readouterr().out.splitlines()[-1] == looked[0].closing_line()

    def test_exits_with_0_when_all_is_good(
        self, monkeypatch: pytest.MonkeyPatch, looked: list[Health], report: Health
    ) -> None:
        good = [result for result in report.results if result.verdict.state == "good"]
        looked[:] = [replace(report, results=good)]
        assert self.run(monkeypatch, "--json") == command.AS_EXPECTED

    def test_a_host_that_cannot_be_looked_at_is_1_and_a_line_too(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def refuse(*_: object) -> Settings:
            raise OperationError("cannot look at x:\n  is the copy up?")

        monkeypatch.setattr(health, "stack_settings", refuse)
        assert self.run(monkeypatch) == command.FAILED
        assert capsys.readouterr().out == ""
        assert self.run(monkeypatch, "--line") == command.FAILED
        assert capsys.readouterr().out == "UNKNOWN itqan prod: cannot look at x:; is the copy up?\n"

    @pytest.mark.parametrize(
        ("page", "websocket", "told"),
        [
            ("200 0.120", "101", "page: 200; WebSocket: 101"),
            (NO_ANSWER, NO_ANSWER, f"page: {NO_ANSWER}; WebSocket: {NO_ANSWER}"),
        ],
    )
    def test_of_a_host_that_cannot_be_looked_at_the_site_is_told(
        self, monkeypatch: pytest.MonkeyPatch, prod: Settings, page: str, websocket: str, told: str
    ) -> None:
        """Whether the server is gone, or only the way to it."""

        def refuse(*_: object) -> None:
            raise UnseenHost("cannot look at x")

        asked = {"page": lambda: page, "websocket": lambda: websocket}
        monkeypatch.setattr("operations.outside.questions", lambda *_: asked)
        monkeypatch.setattr(health, "look", refuse)
        with pytest.raises(UnseenHost, match=f"cannot look at x\n  the site, asked from here: {told}$"):
            health.see(prod, Way("192.0.2.1", 443, None))

    def test_one_form_at_a_time(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run(monkeypatch, "--json", "--line") == command.FAILED
        assert "not allowed with" in capsys.readouterr().err

    @pytest.mark.parametrize("period", ["0", "x", "1e9"])
    def test_a_period_is_seconds(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], period: str
    ) -> None:
        assert self.run(monkeypatch, "--watch", period) == command.FAILED
        assert "allowed: seconds, 1 to 86400" in capsys.readouterr().err

    def test_watching_goes_on_where_a_host_cannot_be_looked_at(
        self,
        monkeypatch: pytest.MonkeyPatch,
        prod: Settings,
        report: Health,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        rounds: list[float] = []

        def look(*_: object) -> Health:
            if len(rounds) == 1:
                raise OperationError("cannot look at x")
            return report

        def sleep(seconds: float) -> None:
            rounds.append(seconds)
            if len(rounds) == 3:
                raise KeyboardInterrupt

        monkeypatch.setattr(health, "stack_settings", lambda *_: (prod, None))
        monkeypatch.setattr(health, "look_at", look)
        monkeypatch.setattr("operations.health.time.sleep", sleep)
        page = tmp_path / "status.html"
        assert self.run(monkeypatch, "--line", "--watch", "7", "--html", str(page)) == command.INTERRUPTED
        said = capsys.readouterr()
        assert said.out == f"{report.line()}\n" * 2
        assert said.err.startswith("itqan: cannot look at x\n")
        assert all(6 < seconds <= 7 for seconds in rounds)
        assert "Health of prod: bad" in page.read_text()

    def test_a_stack_without_a_file_is_told_what_to_type(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(health, "ready_engine", lambda _: None)
        with pytest.raises(ConfigurationError, match=r"type: \./itqan up --stack gone$"):
            health.stack_settings("gone", Steps())

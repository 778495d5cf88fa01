"""Runbooks: what each finds and plans by table, what stays alone, the loop until it is cured, the command."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.health import Seen, limits
from components.observation import Endpoint, Unreachable, parse, perform, script
from components.observation import State as UnitState
from components.platform import load_platform
from components.render import text
from components.runbooks import Diagnosis, Runbook, diagnosis, looks, plan, runbooks
from components.runbooks.stores import bytes_of
from components.unit import Unit
from operations import cli, host_cli
from operations import fix as module
from operations.audit import side_of
from operations.errors import OperationError
from operations.fix import Outcome
from operations.health import Sight
from operations.steps import Silent
from settings import Settings
from tests.unit.test_health import DIED, HOST, NOW, OUTSIDE, QUEUE, RUNNING, line, seen_of

GIGABYTE = 10**9
ROOT = "/var/www/itqan-platform"
# What a healthy host answers to the runbooks' own questions.
LOOKS = {
    "fix/log": f"file {ROOT}/storage/logs/laravel.log",
    "fix/writable": "end",
    "fix/stopped": "",
    "fix/nginx": "test ok",
    "fix/reverb": "listens 42 php\nport taken",
    "fix/database": "server ok\naccount ok",
    "fix/redis": "answer ok\nused 1000000\nmost 0\npolicy noeviction\nsaved ok\nfile",
    "fix/disk": f"filesystem / {388 * GIGABYTE} {300 * GIGABYTE} 1000 900\ndevice 7 /\n"
    f"garbage apt 7 {GIGABYTE} 3\ngarbage journal 7 100000000 2",
}
NO_ANSWER = "error no answer in time"
FULL = f"filesystem / {388 * GIGABYTE} 0 1000 900\ndevice 7 /\ndevice 8 /boot\n"
OOM = "answer ok\nused 1000000\nmost 1000000\npolicy noeviction\nsaved ok\nfile"
# runbook; what the host prints or others answer otherwise; units that differ; parts of what is found; the
# steps that are planned, by a part of each
CASES: dict[str, tuple[str, dict[str, str], tuple[str, ...], list[str], list[str]]] = {
    "page 500": (
        "errors-500",
        {"page": "500 0.1", "fix/log": "file x\nerror [2026-01-01] production.ERROR: Oops"},
        (),
        ["page bad: status 500"],
        ["artisan config:clear", "artisan config:cache"],
    ),
    "does not start": (
        "errors-500",
        {"health/application": "start failed ParseError in config.php line 1", "page": "500 0.1"},
        (),
        ["application bad: does not start: ParseError in config.php line 1"],
        ["artisan config:clear", "artisan config:cache"],
    ),
    "caches missing": (
        "errors-500",
        {"health/application": line("cached config routes", "cached config ")},
        (),
        ["caches bad: cached is config"],
        ["artisan config:cache"],
    ),
    "another .env": (
        "errors-500",
        {},
        ("release/env",),
        ["release/env differs"],
        ["unit release/env", "artisan config:clear", "artisan config:cache"],
    ),
    "maintenance": (
        "errors-500",
        {"health/application": line("maintenance off", "maintenance on"), "page": "503 0.1"},
        (),
        ["maintenance mode bad: on"],
        [],
    ),
    "workers stopped by a signal": (
        "queue",
        {"fix/stopped": "stopped 7 php artisan queue:work redis --sleep=3\nstopped 8 nginx: worker process"},
        (),
        ["workers' processes bad: 1 stopped by a signal (pid 7)"],
        [
            "pkill -CONT -f '^php artisan queue:work redis'",
            "artisan queue:restart",
            "supervisorctl restart 'itqan-w",
        ],
    ),
    "workers gone": (
        "queue",
        {"health/programs": "program itqan-worker FATAL 2\nprogram reverb RUNNING 1"},
        ("supervisor/itqan-worker",),
        ["itqan-worker bad: 2 FATAL", "supervisor/itqan-worker differs"],
        ["unit supervisor/itqan-worker", "artisan queue:restart", "supervisorctl restart 'itqan-worker:*'"],
    ),
    "jobs wait": (
        "queue",
        {"health/application": line(f"{QUEUE} 0 0 0 -", f"{QUEUE} 2 0 0 700")},
        (),
        ["queue bad: redis:default: 2 wait"],
        ["artisan queue:restart", "supervisorctl restart 'itqan-worker:*'"],
    ),
    "jobs wait for the end of maintenance": (
        "queue",
        {"health/application": line("maintenance off", "maintenance on")},
        (),
        ["maintenance mode bad: on"],
        [],
    ),
    "Reverb gone": (
        "websocket",
        {"health/programs": "program itqan-worker RUNNING 2\nprogram reverb STOPPED 1", "websocket": "502"},
        ("supervisor/reverb",),
        ["reverb bad: 1 STOPPED", "WebSocket bad: itqanway.com/app: 502"],
        ["unit supervisor/reverb", "supervisorctl restart 'reverb:*'", "systemctl reload nginx"],
    ),
    "Reverb by hand": (
        "websocket",
        {"fix/reverb": "orphan 9\nlistens 9 php\nport taken"},
        (),
        ["Reverb beside Supervisor's bad: pid 9"],
        ["sudo kill PID"],
    ),
    "log of root": (
        "permissions",
        {"fix/writable": "closed storage/logs/laravel.log root:root 600\nend"},
        (),
        ["web user's files bad: closed to it: storage/logs/laravel.log root:root 600"],
        ["sudo chown -R deploy:www-data"],
    ),
    "table": (
        "permissions",
        {},
        ("release/permissions",),
        ["release/permissions differs"],
        ["unit release/permissions"],
    ),
    "syntax": (
        "nginx",
        {"fix/nginx": "test failed [emerg] unknown directive in /etc/nginx/x:3"},
        ("nginx/site",),
        ["nginx -t bad: [emerg] unknown directive in /etc/nginx/x:3", "nginx/site differs"],
        ["unit nginx/site"],
    ),
    "no certificate that nginx could show": (
        "nginx",
        {"health/certificate": "certificate absent", "fix/nginx": "test failed x", "served": "error refused"},
        ("nginx/service",),
        ["nginx -t bad: x"],
        [],
    ),
    "silent": (
        "nginx",
        {"served": NO_ANSWER},
        (),
        ["port 443 bad: no answer in time"],
        ["systemctl reload nginx", "systemctl restart nginx"],
    ),
    "requests wait": (
        "php",
        {"health/fpm": "waiting 4\nconnections 5", "page": NO_ANSWER},
        (),
        ["PHP-FPM's processes bad: 5 of 5 busy, 4 requests wait", "page bad: no answer in time"],
        ["sudo systemctl reload php8.4-fpm", "sudo systemctl restart php8.4-fpm"],
    ),
    "FPM stopped by a signal": (
        "php",
        {"fix/stopped": "stopped 5 php-fpm: pool www"},
        (),
        ["1 stopped by a signal (pid 5)"],
        ["pkill -CONT -f '^php-fpm: '", "systemctl reload php8.4-fpm", "systemctl restart php8.4-fpm"],
    ),
    "expired": (
        "certificate",
        {"health/certificate": f"from {NOW - 92 * 86400}\nuntil {NOW - 2 * 86400}\ndigest {'AB' * 32}"},
        ("certificates/lineage",),
        ["certificate bad: ended 2 days ago", "certificates/lineage differs"],
        ["sudo certbot renew --cert-name itqanway.com-0001", "unit certificates/lineage"],
    ),
    "no certificate": (
        "certificate",
        {"health/certificate": "certificate absent", "served": "AB" * 32},
        ("certificates/lineage",),
        ["certificate bad: no lineage"],
        ["unit certificates/lineage"],
    ),
    "another one is shown": (
        "certificate",
        {"served": "CD" * 32},
        ("nginx/certificate",),
        ["certificate as served bad: another one"],
        ["unit nginx/certificate", "systemctl reload nginx"],
    ),
    "password of the account": (
        "database",
        {
            "fix/database": "server ok\naccount failed ERROR 1045 Access denied",
            "health/application": line("database ok 2", "database failed Access denied"),
        },
        ("database/schema",),
        ["application's account bad: ERROR 1045", "database bad: Access denied", "database/schema differs"],
        ["unit database/schema", "artisan config:cache"],
    ),
    "password in the cached configuration": (
        "database",
        {"health/application": line("database ok 2", "database failed Access denied")},
        (),
        ["database bad: Access denied"],
        ["artisan config:cache"],
    ),
    "database hangs": (
        "database",
        {
            "fix/database": "server failed\naccount failed",
            "health/application": line("database ok 2", "database failed gone"),
        },
        (),
        ["server bad: no answer"],
        ["sudo systemctl restart mysql"],
    ),
    "limit set by hand": (
        "redis",
        {"fix/redis": OOM},
        (),
        ["memory bad: 1.0 MB of 1.0 MB used, noeviction"],
        ["config set maxmemory, as redis.conf has it", "artisan cache:clear", "a quarter more"],
    ),
    "limit of the file": (
        "redis",
        {"fix/redis": OOM.replace("file", "file 1m\nkind 0 900 queues:default")},
        (),
        ["memory bad"],
        ["artisan cache:clear", "a quarter more"],
    ),
    "nothing on the disk": (
        "disk",
        {"fix/disk": f"{FULL}garbage apt 7 5 1\ngarbage npm 8 5 1"},
        (),
        ["room bad: nothing left on /", "disk bad: 100 % of / used"],
        ["sudo apt-get clean", "systemd-tmpfiles"],
    ),
    "inodes": (
        "disk",
        {"fix/disk": "filesystem / 100000000 90000000 1000 0\ndevice 7 /\ngarbage npm 7 0 999"},
        (),
        ["room bad: no inode left on /", "inodes bad: 100 % of / used"],
        ["npm cache clean --force", "systemd-tmpfiles"],
    ),
}
# runbook, what is wrong, the runbook that has to come first
NO_DATABASE, NO_NGINX = (
    {"health/services": HOST["health/services"].replace(f"{name} enabled active", f"{name} enabled failed")}
    for name in ("mysql", "nginx")
)
ELSEWHERE: list[tuple[str, dict[str, str], str]] = [
    ("errors-500", {"fix/writable": "closed storage root:root 700\nend", "page": "500 0.1"}, "permissions"),
    (
        "errors-500",
        {"health/services": HOST["health/services"].replace("mysql enabled active", "mysql enabled failed")},
        "database",
    ),
    ("errors-500", {"fix/nginx": "test failed x", "page": "error refused"}, "nginx"),
    ("errors-500", {"page": "504 0.1"}, "php"),
    ("errors-500", {"page": NO_ANSWER}, "php"),
    ("errors-500", {"served": NO_ANSWER, "page": NO_ANSWER}, "nginx"),
    ("queue", {"fix/redis": OOM}, "redis"),
    ("queue", {"health/application": "start failed Error in a.php line 1"}, "errors-500"),
    (
        "websocket",
        {"health/services": HOST["health/services"].replace("nginx enabled active", "nginx enabled failed")},
        "nginx",
    ),
    *((name, {"fix/disk": FULL}, "disk") for name in host_cli.RUNBOOKS if name != "disk"),
]


def books_of(settings: Settings, *, retry: bool = False) -> dict[str, Runbook]:
    return runbooks(settings, load_platform(settings.platform), retry=retry)


def changed(settings: Settings, changes: Mapping[str, str]) -> Seen:
    """What is seen of a healthy host but for `changes`: of the host's words, or of answers from outside."""
    host = {**HOST, **LOOKS, **{name: said for name, said in changes.items() if "/" in name}}
    outside = {**OUTSIDE, **{name: said for name, said in changes.items() if "/" not in name}}
    return seen_of(settings, host, outside)


def states_of(settings: Settings, *differing: str) -> dict[str, UnitState]:
    units = side_of(settings, "0" * 40).units
    assert set(differing) <= {unit.name for unit in units}
    return {
        unit.name: UnitState(unit, "another" if unit.name in differing else unit.expect) for unit in units
    }


def diagnosed(settings: Settings, name: str, changes: Mapping[str, str], *differing: str) -> Diagnosis:
    return diagnosis(books_of(settings), name, changed(settings, changes), states_of(settings, *differing))


def words(found: Diagnosis) -> list[str]:
    return [f"{finding.name} {finding.state}: {finding.words}" for finding in found.troubles]


class TestDiagnosis:
    def test_the_command_names_the_runbooks_that_there_are(self, any_settings: Settings) -> None:
        assert tuple(books_of(any_settings)) == host_cli.RUNBOOKS

    @pytest.mark.parametrize("name", host_cli.RUNBOOKS)
    def test_of_a_healthy_host_there_is_nothing(self, prod: Settings, name: str) -> None:
        found = diagnosed(prod, name, {})
        assert (words(found), found.unread, found.elsewhere, found.cured) == ([], [], {}, True)

    @pytest.mark.parametrize("case", CASES)
    def test_what_is_wrong_is_found_and_the_plan_fits(self, prod: Settings, case: str) -> None:
        name, changes, differing, parts, steps = CASES[case]
        found = diagnosed(prod, name, changes, *differing)
        told = words(found)
        assert [
            part for part in parts if not any(line.startswith(part) or part in line for line in told)
        ] == []
        planned = [step.words for step in plan(books_of(prod)[name], found)]
        assert len(planned) == len(steps), planned
        assert [part for part, step in zip(steps, planned, strict=True) if part not in step] == []

    def test_every_runbook_is_tried_in_the_table(self) -> None:
        assert {case[0] for case in CASES.values()} == set(host_cli.RUNBOOKS)

    @pytest.mark.parametrize(("name", "changes", "first"), ELSEWHERE)
    def test_a_cause_elsewhere_is_named(
        self, prod: Settings, name: str, changes: dict[str, str], first: str
    ) -> None:
        assert next(iter(diagnosed(prod, name, changes).elsewhere)) == first

    @pytest.mark.parametrize("name", host_cli.RUNBOOKS)
    def test_nothing_seen_is_not_cured(self, prod: Settings, name: str) -> None:
        """And nothing is done about what could not be judged."""
        found = diagnosis(books_of(prod), name, seen_of(prod, {}, {}), states_of(prod))
        assert not found.cured
        assert found.elsewhere == {}

    @pytest.mark.parametrize("name", host_cli.RUNBOOKS)
    def test_what_it_rests_on_is_looked_at(self, prod: Settings, name: str) -> None:
        books = books_of(prod)
        asked = {unit.name for unit in looks(books, name)}
        for other in (name, *books[name].rests_on):
            assert {unit.name for unit in books[other].looks} <= asked

    @pytest.mark.parametrize("name", host_cli.RUNBOOKS)
    def test_its_units_are_there_and_each_has_a_step(self, any_settings: Settings, name: str) -> None:
        book = books_of(any_settings)[name]
        assert set(book.units) <= {step.unit for step in book.steps}
        known = {unit.name for unit in side_of(any_settings, "0" * 40).units}
        # what only some settings have
        assert {step.unit for step in book.steps if step.unit} - known <= {
            *("redis/login", "redis/password", "certificates/credentials"),
        }

    def test_a_busy_host_is_not_taken_for_a_broken_one(self, prod: Settings) -> None:
        """The application was answered: that another look was not in time proves nothing."""
        late = {"fix/redis": "answer none", "fix/database": "server failed\naccount failed"}
        assert diagnosed(prod, "redis", late).troubles == []
        assert diagnosed(prod, "database", late).troubles == []

    def test_a_unit_that_was_not_looked_at_in_time_is_not_brought(self, prod: Settings) -> None:
        states = states_of(prod)
        states["nginx/site"] = replace(states["nginx/site"], found="")
        found = diagnosis(books_of(prod), "nginx", changed(prod, {}), states)
        assert not found.cured
        assert [finding.name for finding in found.unread] == ["nginx/site"]
        assert plan(books_of(prod)["nginx"], found) == []

    def test_failed_jobs_are_told_and_tried_again_only_when_asked(self, prod: Settings) -> None:
        seen = changed(prod, {"health/application": line("failures ok 1 0", "failures ok 1 3")})
        books, states = books_of(prod), states_of(prod)
        found = diagnosis(books, "queue", seen, states)
        assert found.cured
        assert found.told[0].startswith("3 jobs failed for good: ")
        asked = diagnosis(books_of(prod, retry=True), "queue", seen, states)
        assert [step.words[-9:] for step in plan(books_of(prod, retry=True)["queue"], asked)] == ["retry all"]

    def test_the_last_error_is_told(self, prod: Settings) -> None:
        log = "file x\nerror [2026-01-01 03:00:00] production.ERROR: Oops at /a.php:3"
        told = diagnosed(prod, "errors-500", {"page": "500 0.1", "fix/log": log}).told
        assert told == (
            "last error in the application's log: [2026-01-01 03:00:00] production.ERROR: Oops at /a.php:3",
        )

    @pytest.mark.parametrize("name", host_cli.RUNBOOKS)
    def test_a_person_is_told_where_to_look(self, prod: Settings, name: str) -> None:
        person = books_of(prod)[name].person(changed(prod, {}))
        assert person
        assert all(line.isprintable() for line in person)

    @pytest.mark.parametrize("name", host_cli.RUNBOOKS)
    def test_a_step_whose_first_command_fails_has_failed(self, prod: Settings, name: str) -> None:
        """Under `set -e` what stands before `&&` may fail, and the next line is done all the same."""
        assert [step.cure for step in books_of(prod)[name].steps if "&&" in step.cure] == []

    @pytest.mark.parametrize(
        ("words", "count"), [("0", 0), ("1k", 1000), ("100mb", 104857600), ("2GB", 2147483648), ("x", -1)]
    )
    def test_sizes_are_read_as_redis_reads_them(self, words: str, count: int) -> None:
        assert bytes_of(words) == count


class TestOnAHost:
    def test_the_looks_answer_on_a_foreign_host_without_a_word_of_error(self, prod: Settings) -> None:
        books = books_of(prod)
        asked = list({u.name: u for name in books for u in looks(books, name)}.values())
        assert {unit.name for unit in asked} == set(LOOKS)
        program = script(asked, limits.BUSY_PROBE)
        done = subprocess.run(["bash"], input=program.encode(), capture_output=True, check=True)
        assert done.stderr == b""
        found = {state.unit.name: state.found for state in parse(done.stdout, asked)}
        assert "filesystem / " in found["fix/disk"]
        assert found["fix/nginx"].startswith("test ")

    def test_only_what_can_be_made_again_is_garbage(self, tmp_path: Path) -> None:
        """What is old and what is kept beside it, for each kind that is below the application or a home."""
        root, home, log = tmp_path / "app", tmp_path / "home", tmp_path / "log"
        gone = [
            root / ".git/objects/pack/tmp_pack_a",
            root / "storage/logs/laravel-20200101.log.gz",
            log / "nginx/access.log.9.gz",
            log / "redis/redis.log.3",
            home / ".npm/_cacache/x",
            home / ".cache/composer/files/x.zip",
        ]
        stays = [
            root / ".git/objects/pack/pack-a.pack",
            root / "storage/logs/laravel.log",
            root / "storage/app/tenants/upload.gz",
            log / "nginx/access.log",
            log / "apt/history.log.2.gz",
            log / "dpkg.log.1.gz",
            home / "backups/itqan.sql.gz",
            home / ".npmrc",
        ]
        for path in (*gone, *stays):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
            old = time.time() - 200 * 86400
            os.utime(path, (old, old))
        fresh = log / "nginx/access.log.1.gz"
        fresh.write_text("x")
        (root / "storage/logs/link.log.1").symlink_to(home / ".npmrc")
        functions = (
            text("fix/garbage.sh").replace("/var/log", str(log)).replace("/root/", f"{tmp_path}/root/")
        )
        program = f"set -euo pipefail\n{functions}\n" + "\n".join(
            f"garbage {kind} {root} {home} -delete" for kind in ("composer", "npm", "logs", "git")
        )
        subprocess.run(["bash", "-c", program], check=True)
        assert [path for path in gone if path.exists()] == []
        assert [path for path in (*stays, fresh) if not path.exists()] == []


class World:
    """A host that runbooks see and work on.

    sights  what is seen, look after look; the last one stays
    done    the units that were brought
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sights: list[tuple[dict[str, str], tuple[str, ...]]] = []
        self.done: list[Unit] = []
        self.installed = 0
        self.no_room = ""
        self.succeeds = True
        self.lines: list[str] = []

    def see(self, settings: Settings, _way: object, _further: object, *, busy: bool) -> Sight:
        assert busy
        changes, differing = self.sights.pop(0) if len(self.sights) > 1 else self.sights[0]
        states = states_of(settings, *differing)
        side = side_of(settings, "0" * 40)
        return Sight(side, list(states.values()), changed(settings, changes), 0.1)

    async def perform(
        self, _endpoint: Endpoint, unit: Unit, owner: str, heard: Callable[[str], None]
    ) -> bool:
        assert owner == self.settings.owner
        self.done.append(unit)
        heard("words of the host")
        return self.succeeds

    def fix(self, name: str, **options: Any) -> Outcome:
        return module.fix("prod", name, Silent(), self.lines.append, **options)


@pytest.fixture
def world(prod: Settings, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(prod)
    monkeypatch.setattr(module, "stack_settings", lambda *_: (prod, None))
    monkeypatch.setattr(module, "see", made.see)
    monkeypatch.setattr(module, "PERIOD", 0)
    monkeypatch.setattr("components.observation.perform", made.perform)

    def install(*_: object) -> str:
        made.installed += 1
        return made.no_room

    monkeypatch.setattr(module, "_install_runner", install)
    # what a step does shows at once, or never
    original = module._Fix._look_until_it_shows
    monkeypatch.setattr(
        module._Fix,
        "_look_until_it_shows",
        lambda self, step: original(self, replace(step, patience=0) if step else None),
    )
    return made


HEALTHY: tuple[dict[str, str], tuple[str, ...]] = ({}, ())
SILENT: tuple[dict[str, str], tuple[str, ...]] = ({"served": NO_ANSWER}, ())


class TestTheLoop:
    def test_nothing_wrong_is_said_and_nothing_done(self, world: World) -> None:
        world.sights = [HEALTHY]
        assert world.fix("nginx") == Outcome(found=False, cured=True)
        assert world.lines[-1] == "nothing is wrong; nothing was done"
        assert world.done == []

    def test_it_ends_with_the_step_that_cured_it(self, world: World) -> None:
        world.sights = [SILENT, HEALTHY]
        assert world.fix("nginx").cured
        assert world.lines[-1] == "cured by step 1: sudo nginx -t && sudo systemctl reload nginx"
        [unit] = world.done
        assert "nginx -t -q\nsystemctl reload nginx\n" in unit.apply
        assert "logger -t itqan-fix" in unit.apply
        assert "found: port 443 bad: no answer in time; by " in unit.apply

    def test_a_step_that_does_not_help_is_followed_by_the_next(self, world: World) -> None:
        world.sights = [SILENT, SILENT, HEALTHY]
        assert world.fix("nginx").cured
        assert world.lines[-1].startswith("cured by step 2: ")
        assert len({unit.expect for unit in world.done}) == 2

    def test_what_no_step_cures_is_left_to_a_person(self, world: World) -> None:
        world.sights = [SILENT]
        world.succeeds = False
        assert world.fix("nginx") == Outcome(found=True, cured=False)
        assert "not cured" in world.lines
        assert world.lines[world.lines.index("for a person to look at:") + 1] == "  sudo nginx -t"
        assert len(world.done) == 2

    def test_a_unit_that_differs_is_brought_with_a_copy_of_what_was_there(
        self, world: World, prod: Settings
    ) -> None:
        world.sights = [({"fix/nginx": "test failed x"}, ("nginx/site",)), HEALTHY]
        assert world.fix("nginx").cured
        [unit] = world.done
        site = next(unit for unit in side_of(prod, "0" * 40).units if unit.name == "nginx/site")
        assert (unit.name, unit.payload, unit.expect) == (site.name, site.payload, site.expect)
        assert unit.apply.endswith(site.apply)
        assert "then keep_copy /etc/nginx/sites-available/itqan-platform; fi" in unit.apply

    def test_a_plan_does_nothing(self, world: World) -> None:
        world.sights = [SILENT]
        assert world.fix("nginx", dry_run=True) == Outcome(found=True, cured=False)
        assert "  1. sudo nginx -t && sudo systemctl reload nginx" in world.lines
        assert (world.done, world.installed) == ([], 0)

    def test_a_cause_elsewhere_stops_it(self, world: World) -> None:
        world.sights = [({"fix/disk": FULL, "served": NO_ANSWER}, ())]
        assert world.fix("nginx") == Outcome(found=True, cured=False)
        assert world.lines[-1] == "nothing was done; first: ./itqan fix prod disk"
        assert world.done == []

    def test_a_cause_that_shows_only_after_a_step_is_what_comes_next(self, world: World) -> None:
        world.sights = [SILENT, SILENT, ({"fix/disk": FULL, "served": NO_ANSWER}, ())]
        assert world.fix("nginx") == Outcome(found=True, cured=False)
        assert "next: ./itqan fix prod disk" in world.lines

    def test_what_cannot_be_judged_is_no_good_news(self, world: World) -> None:
        world.sights = [({"fix/nginx": ""}, ())]
        assert world.fix("nginx") == Outcome(found=True, cured=False)
        assert world.lines[-1] == "nothing that could be judged is wrong; nothing was done"

    @pytest.mark.parametrize("name", ["errors-500", "queue", "websocket", "permissions"])
    def test_nothing_is_done_while_a_release_is_under_way(self, world: World, name: str) -> None:
        """What it makes new is what a runbook takes for broken; opened now, visitors would see half of it."""
        closed = {"health/application": line("maintenance off", "maintenance on"), "health/release": RUNNING}
        drift = {"websocket": "supervisor/reverb", "permissions": "release/permissions"}.get(name)
        world.sights = [(closed, (drift,) if drift else ())]
        assert world.fix(name) == Outcome(found=True, cured=False)
        assert "a release is under way: step 6, migrate, begun by root from 192.0.2.1" in world.lines
        assert world.lines[-1].endswith("./itqan logs prod release -f")
        assert not any("artisan up" in line for line in world.lines)
        assert world.done == []

    def test_a_release_that_begins_meanwhile_stops_it(self, world: World) -> None:
        closed = {"health/application": line("maintenance off", "maintenance on"), "health/release": RUNNING}
        world.sights = [({}, ("release/permissions",)), (closed, ("release/permissions",))]
        assert world.fix("permissions") == Outcome(found=True, cured=False)
        assert len(world.done) == 1
        assert "stopped: it may be all that is wrong" in "\n".join(world.lines)

    def test_what_holds_a_release_up_is_repaired_all_the_same(self, world: World) -> None:
        world.sights = [({"served": NO_ANSWER, "health/release": RUNNING}, ()), HEALTHY]
        assert world.fix("nginx").cured

    @pytest.mark.parametrize("name", ["errors-500", "queue"])
    def test_a_release_that_died_is_settled_by_the_next_one(self, world: World, name: str) -> None:
        closed = {"health/application": line("maintenance off", "maintenance on"), "health/release": DIED}
        world.sights = [(closed, ())]
        assert world.fix(name) == Outcome(found=True, cured=False)
        step = "  a release did not get to its end, it was in step 6, migrate: ./itqan up --stack prod"
        assert {step, "    ./itqan up --stack prod"} <= set(world.lines)
        assert not any("artisan up" in line for line in world.lines)

    def test_what_else_is_broken_is_told_with_its_runbook(self, world: World) -> None:
        waiting = {"health/fpm": "waiting 4\nconnections 5", "page": NO_ANSWER}
        world.sights = [({"served": NO_ANSWER}, ()), (waiting, ())]
        assert world.fix("nginx").cured
        assert world.lines[-2] == "bad beside it: PHP-FPM's processes, page: ./itqan fix prod php"
        world.sights, world.lines = [(waiting, ())], []
        assert world.fix("nginx") == Outcome(found=False, cured=True)
        assert world.lines[-2:] == [
            "bad beside it: PHP-FPM's processes, page: ./itqan fix prod php",
            "nothing is wrong; nothing was done",
        ]

    def test_who_interrupts_it_is_told_what_goes_on(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def interrupted(*_: object) -> bool:
            raise KeyboardInterrupt

        said: list[str] = []
        monkeypatch.setattr("components.observation.perform", interrupted)
        monkeypatch.setattr(Silent, "say", lambda _, words: said.append(words))
        world.sights = [SILENT]
        with pytest.raises(KeyboardInterrupt):
            world.fix("nginx")
        assert said[-1].strip() == module.GOES_ON

    def test_a_difference_is_told_without_what_both_sides_share(self, prod: Settings) -> None:
        """Digests and paths would fill the line before it comes to what was found."""
        site = next(unit for unit in side_of(prod, "0" * 40).units if unit.name == "nginx/site")
        first, rest = site.expect.split("\n", 1)
        found = f"{first.rsplit(' ', 1)[0]} sha256:0\n{rest}"
        states = {**states_of(prod), "nginx/site": UnitState(site, found)}
        [finding] = diagnosis(books_of(prod), "nginx", changed(prod, {}), states).troubles
        assert finding.words.endswith("; found sha256:0")

    def test_a_runner_of_another_version_is_brought_first(self, world: World) -> None:
        world.sights = [({"served": NO_ANSWER}, ("host/runner",)), SILENT, HEALTHY]
        assert world.fix("nginx").cured
        assert world.installed == 1

    def test_one_that_finds_no_room_is_done_without(self, world: World) -> None:
        world.no_room = "No space left on device"
        world.sights = [({"fix/disk": f"{FULL}garbage apt 7 5 1"}, ("host/runner",)), HEALTHY]
        assert world.fix("disk").cured

    def test_a_host_out_of_reach_is_one_line(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        async def gone(*_: object) -> bool:
            raise Unreachable("cannot look at it")

        monkeypatch.setattr("components.observation.perform", gone)
        world.sights = [SILENT]
        with pytest.raises(OperationError, match="cannot look at it\n  what has begun goes on"):
            world.fix("nginx")

    def test_what_the_host_says_cannot_drive_a_terminal(self, world: World) -> None:
        world.sights = [({"fix/nginx": "test failed \x1b[2Jx"}, ())]
        world.fix("nginx", dry_run=True)
        assert all(line.isprintable() for line in world.lines)


class TestTheCommand:
    @pytest.mark.parametrize(
        ("outcome", "words", "status"),
        [
            (Outcome(found=False, cured=True), [], 0),
            (Outcome(found=True, cured=True), [], 0),
            (Outcome(found=True, cured=False), [], 1),
            (Outcome(found=True, cured=False), ["--dry-run"], 2),
            (Outcome(found=False, cured=True), ["--dry-run"], 0),
        ],
    )
    def test_exit_codes(
        self, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, words: list[str], status: int
    ) -> None:
        monkeypatch.setattr(module, "fix", lambda *_, **__: outcome)
        monkeypatch.setattr("sys.argv", ["itqan", "fix", "prod", "nginx", *words])
        assert cli.main() == status

    def test_an_unknown_runbook_is_refused_with_those_that_there_are(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("sys.argv", ["itqan", "fix", "prod", "coffee"])
        assert cli.main() == 1
        assert "errors-500" in capsys.readouterr().err


def test_a_payload_reaches_the_host_on_standard_input(
    monkeypatch: pytest.MonkeyPatch, prod: Settings
) -> None:
    """Never in the command, which every user of the host can read."""
    calls: list[tuple[str, object]] = []

    class Process:
        exit_status = 0

        def __init__(self) -> None:
            self.stderr = self

        def __aiter__(self) -> Process:
            return self

        async def __anext__(self) -> str:
            raise StopAsyncIteration

        async def wait(self) -> None:
            pass

    class Connection:
        async def __aenter__(self) -> Connection:
            return self

        async def __aexit__(self, *_: object) -> None:
            pass

        async def create_process(self, command: str, *, input: object, **_: object) -> Process:
            calls.append((command, input))
            return Process()

    monkeypatch.setattr("components.observation._connected", lambda _: Connection())
    endpoint = Endpoint.of(prod)
    secret = Unit("a/b", "p", "e", "a", payload="hunter2", secret=True)
    assert asyncio.run(perform(endpoint, secret, "prod", lambda _: None))
    assert asyncio.run(perform(endpoint, replace(secret, payload=None), "prod", lambda _: None))
    assert [given for _, given in calls] == ["hunter2", None]
    assert "hunter2" not in calls[0][0]
    assert [command.endswith("</dev/null") for command, _ in calls] == [False, True]

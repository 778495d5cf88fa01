"""The audit: findings, the report as table and JSON, the command's errors and exit statuses."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.findings import (
    CONFERENCE,
    DEBUG,
    FIREWALL,
    PROCESSES,
    VERSIONS,
    WITHHELD,
    Finding,
    findings,
    probes,
)
from components.observation import State, parse, script
from components.platform import Platform
from components.surroundings import Unknown, judged
from components.unit import Unit
from operations import audit, cli
from operations.engine import Engine
from operations.errors import ConfigurationError, OperationError
from operations.report import Report
from operations.steps import Steps
from settings import Settings
from tests.conftest import BACKUP_KEY

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
ROOT = Path(__file__).resolve().parents[2]
Make = Callable[..., Settings]


def seen(**found: str) -> list[State]:
    """States of units and probes that print the given texts; `__` in a name stands for `/`."""
    names = {name.replace("__", "/").replace("_", "-"): text for name, text in found.items()}
    return [State(Unit(name, "", "", ""), text) for name, text in names.items()]


def sections(made: list[Finding]) -> list[str]:
    return [finding.section for finding in made]


def program(command: str) -> dict[str, Any]:
    return {"name": "reverb", "file": "reverb.conf", "command": command, "log": "storage/logs/reverb.log"}


class TestFindings:
    """Of servers with backups; those without have a finding of their own (test_backups.py)."""

    @pytest.fixture
    def backed(self, stack: Make) -> Make:
        return lambda name, **changes: stack(name, backup={"keys": [BACKUP_KEY]}, **changes)

    @pytest.fixture
    def server(self, backed: Make) -> Settings:
        return backed("prod")

    @pytest.fixture
    def hardened(self, backed: Make) -> Settings:
        return backed("prod", hardening="strict")

    def test_of_what_the_document_asks_for(self, server: Settings) -> None:
        made = findings(server)
        assert sections(made) == ["File Permissions", "Background Processes (Supervisor)"]
        assert {finding.line for finding in made} == {"pulumi config set --stack prod itqan:hardening strict"}

    def test_strict_settles_them(self, hardened: Settings) -> None:
        assert findings(hardened) == []

    def test_a_firewall_covers_reverb(self, server: Settings) -> None:
        assert sections(findings(server, seen(audit__firewall="ufw"))) == ["File Permissions"]

    @pytest.mark.parametrize(
        "command",
        [
            "php artisan reverb:start --host=0.0.0.0 --port=8080",
            "php artisan reverb:start --host :: --port=8080",
            "php artisan reverb:start --port=8080",
            "php artisan reverb:start",
        ],
    )
    def test_the_line_for_a_command_with_an_address_of_its_own_settles_it(
        self, backed: Make, command: str
    ) -> None:
        (made,) = findings(backed("prod", hardening="strict", programs=[program(command)]))
        settled = made.line.partition("command: ")[2]
        assert settled.startswith("php artisan reverb:start --host=127.0.0.1")
        assert findings(backed("prod", hardening="strict", programs=[program(settled)])) == []

    @pytest.mark.parametrize(("value", "on"), [("true", True), ("1", True), ("off", True), ("False", False)])
    def test_debug_mode_as_laravel_reads_it(self, backed: Make, value: str, on: bool) -> None:
        made = findings(backed("prod", hardening="strict", environment={"APP_DEBUG": value}))
        assert sections(made) == (["Environment Configuration (.env)"] if on else [])

    def test_the_line_for_debug_mode_sets_a_text(self, backed: Make) -> None:
        (made,) = findings(backed("prod", hardening="strict", environment={"APP_DEBUG": "true"}))
        assert "--type string" in made.line and made.line.endswith("itqan:environment.APP_DEBUG false")

    @pytest.mark.parametrize(
        ("found", "section"),
        [
            ({"audit__debug": '"true"'}, "Environment Configuration (.env)"),
            (
                {"audit__processes": "root     php artisan queue:work redis"},
                "Background Processes (Supervisor)",
            ),
            (
                {
                    "audit__processes": "www-data php artisan schedule:work",
                    "cron__scheduler": "crontab www-data sha256:1\ncrontabs run the scheduler 1 times",
                },
                "Cron Jobs",
            ),
            ({"host__directories": "directory /home/deploy/backups deploy:deploy 755"}, "Backup"),
            ({"audit__conference": "record conference.itqanway.com A 72.62.92.156"}, "Key URLs"),
            ({"audit__versions": "php8.4-fpm 8.4.17-1+deb.sury.org"}, "Software Stack"),
            ({"audit__versions": "npm 10.8.3"}, "Software Stack"),
            ({"audit__withheld": "nginx 1.18.0-6ubuntu14.7"}, "Software Stack"),
        ],
    )
    def test_of_what_the_host_shows(self, hardened: Settings, found: dict[str, str], section: str) -> None:
        assert sections(findings(hardened, seen(**found))) == [section]

    @pytest.mark.parametrize(
        "found",
        [
            {"audit__debug": "false"},
            {"audit__processes": "www-data php artisan queue:work redis\nroot /usr/bin/other"},
            {
                "audit__processes": "www-data php artisan schedule:work",
                "cron__scheduler": "crontab www-data absent\ncrontabs run the scheduler 0 times",
            },
            {"host__directories": "directory /home/deploy/backups deploy:deploy 750"},
            {"host__directories": "directory /home/deploy/backups absent"},
            {"audit__conference": "record conference.itqanway.com A 192.0.2.7"},
            {"audit__versions": "redis-server 5:6.0.16-1ubuntu1.1\nphp8.4-fpm 8.4.16-1+x\nnpm 10.8.2"},
        ],
    )
    def test_none_of_a_host_that_is_right(self, hardened: Settings, found: dict[str, str]) -> None:
        assert findings(hardened, seen(**found)) == []

    def test_a_platform_with_substitutions_names_its_versions_itself(self, backed: Make) -> None:
        settings = backed("prod", hardening="strict", platform="debian-13")
        assert findings(settings, seen(audit__versions="php8.4-fpm 8.4.28-1~deb13u1")) == []

    def test_an_update_that_a_hold_keeps_back_is_named_with_the_lines_for_it(
        self, hardened: Settings
    ) -> None:
        (made,) = findings(
            hardened, seen(audit__withheld="nginx 1.18.0-6ubuntu14.7\nredis-server 5:6.0.16-2")
        )
        assert "security" in made.text and "nginx 1.18.0-6ubuntu14.7, redis-server 5:6.0.16-2" in made.text
        assert made.line.endswith("nginx redis-server && sudo apt-mark hold nginx redis-server")

    def test_a_change_of_a_secret_that_did_not_end(self, backed: Make) -> None:
        (made,) = findings(backed("prod", hardening="strict", rotation={"of": "db", "previous": "geheim"}))
        assert "(db) is under way" in made.text
        assert made.line == "./itqan rotate prod db"

    def test_each_has_one_line(self, any_settings: Settings) -> None:
        for finding in findings(any_settings):
            assert finding.text.isprintable() and finding.line.isprintable()

    def test_probes_answer_on_a_foreign_host_and_expect_nothing(self, server: Settings) -> None:
        asked = [unit for unit in probes(server) if unit.name != CONFERENCE]  # asks a name server
        assert [unit.name for unit in asked] == [VERSIONS, WITHHELD, FIREWALL, PROCESSES, DEBUG]
        done = subprocess.run(["bash"], input=script(asked).encode(), capture_output=True, check=True)
        assert done.stderr == b""
        assert len(parse(done.stdout, asked)) == 5

    def test_a_record_of_the_stack_is_asked_for_once(self, staging: Settings) -> None:
        assert CONFERENCE not in [unit.name for unit in probes(staging)]


LOGIN = "pulumi config set --stack staging --path 'itqan:accepted.logins[0]' 'login eve uid 1001 /bin/bash'"


@pytest.fixture
def report(debian: Platform, staging: Settings) -> Report:
    """Two units of one component and one of another; one differs, and one account is nobody's."""
    good = Unit("nginx/service", "", "service nginx enabled active", "")
    bad = Unit("nginx/site", "", "file /a root:root 644 sha256:1", "")
    other = Unit("cron/service", "", "service cron enabled active", "")
    states = [
        State(good, good.expect),
        State(bad, "file /a root:root 600 sha256:1"),
        State(other, other.expect),
    ]
    made = [Finding("File Permissions", "text", "line")]
    logins = next(s for s in judged(staging, []) if s.name == "logins")
    unknown = [Unknown(logins, ("login eve uid 1001 /bin/bash",))]
    return Report(
        "staging",
        staging.accepted,
        "root@h port 22",
        0.4,
        states,
        unknown,
        [],
        made,
        debian.substitutions[:1],
        staging.set_command,
    )


class TestReport:
    def test_the_table_is_by_component_with_the_differing_words(self, report: Report) -> None:
        lines = report.table().splitlines()
        assert [line.split() for line in lines[:6]] == [
            ["unit", "state", "expected", "found"],
            ["nginx"],
            ["nginx/service", "as", "expected"],
            ["nginx/site", "differs", "file", "/a", "644", "600"],
            ["cron"],
            ["cron/service", "as", "expected"],
        ]
        assert "! File Permissions: text" in lines
        assert "  surroundings/logins  unknown" in "\n".join(lines)
        assert f"    {LOGIN}" in lines
        assert lines[-1] == (
            "itqan staging, root@h port 22: 3 units in 0.40 s, 1 not as expected, 1 unknown, 1 finding"
        )
        assert all(line == line.rstrip() for line in lines)

    def test_json_has_all_of_it(self, report: Report) -> None:
        found = json.loads(report.to_json())
        assert found["differing"] == 1
        assert found["units"][0]["state"] == "as expected" and found["units"][0]["found"] is None
        assert found["units"][1] == {
            "unit": "nginx/site",
            "component": "nginx",
            "state": "differs",
            "expected": "file /a root:root 644 sha256:1",
            "found": "file /a root:root 600 sha256:1",
        }
        assert found["unknown"] == [
            {"surrounding": "surroundings/logins", "lines": ["login eve uid 1001 /bin/bash"], "accept": LOGIN}
        ]
        assert found["findings"] == [{"section": "File Permissions", "text": "text", "line": "line"}]
        assert set(found["substitutions"][0]) == {"what", "documented", "here", "reason"}


class TestCommand:
    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch, report: Report) -> list[str]:
        """The stacks that the audit was asked for; it answers with `report`."""
        names: list[str] = []

        def answer(name: str, _: Steps) -> Report:
            names.append(name)
            return report

        monkeypatch.delenv("PULUMI_STACK", raising=False)
        monkeypatch.setattr(audit, "audit_stack", answer)
        return names

    @pytest.mark.parametrize(
        ("words", "name"),
        [([], "staging"), (["x"], "x"), (["--stack", "x"], "x"), (["--json", "x"], "x")],
    )
    def test_the_stack_stands_with_or_without_its_option(
        self, monkeypatch: pytest.MonkeyPatch, asked: list[str], words: list[str], name: str
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["itqan", "audit", *words])
        assert cli.main() == cli.DIFFERENT
        assert asked == [name]

    def test_findings_alone_are_as_expected(self, monkeypatch: pytest.MonkeyPatch, report: Report) -> None:
        healthy = [state for state in report.states if state.healthy]
        monkeypatch.setattr(audit, "audit_stack", lambda *_: replace(report, states=healthy, unknown=[]))
        monkeypatch.setattr(sys, "argv", ["itqan", "audit"])
        assert cli.main() == cli.AS_EXPECTED

    def test_something_unknown_alone_is_not(self, monkeypatch: pytest.MonkeyPatch, report: Report) -> None:
        monkeypatch.setattr(audit, "audit_stack", lambda *_: replace(report, states=[]))
        monkeypatch.setattr(sys, "argv", ["itqan", "audit"])
        assert cli.main() == cli.DIFFERENT


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A function: let `pulumi` run a script, for a checkout whose stacks `prod` and `mine` have files."""

    def answering(script: str) -> None:
        pulumi = tmp_path / "pulumi"
        pulumi.write_text(f"#!/bin/sh\n{script}\n")
        pulumi.chmod(0o755)
        monkeypatch.setattr(audit, "ready_engine", lambda _: Engine(pulumi))
        monkeypatch.setattr(audit, "stack_file", lambda name: tmp_path / f"Pulumi.{name}.yaml")

    (tmp_path / "Pulumi.prod.yaml").touch()
    return answering


class TestErrors:
    def test_a_stack_without_a_file_is_told_what_to_type(self, engine: Callable[[str], None]) -> None:
        engine("exit 1")
        with pytest.raises(ConfigurationError, match=r"Pulumi\.gone\.yaml.*type: \./itqan up --stack gone$"):
            audit.audit_stack("gone", Steps())

    def test_a_stack_without_state_is_told_what_to_type(self, engine: Callable[[str], None]) -> None:
        engine("echo \"error: no stack named 'prod' found\" >&2; exit 255")
        with pytest.raises(ConfigurationError, match=r"no state.*type: \./itqan preview --stack prod$"):
            audit.audit_stack("prod", Steps())

    def test_a_wrong_configuration_names_every_mistake(self, engine: Callable[[str], None]) -> None:
        engine('echo \'{"itqan:target": {"value": "moon"}, "other:x": {"value": "1"}}\'')
        with pytest.raises(ConfigurationError, match=r"(?s)stack prod is not usable.*itqan:target: 'moon'"):
            audit.audit_stack("prod", Steps())

    def test_a_host_that_refuses_is_one_line(
        self, engine: Callable[[str], None], config: Callable[..., dict[str, Any]]
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        values = config("prod", connection={"host": "127.0.0.1", "port": port, "hostKey": HOST_KEY})
        shown = {f"itqan:{key}": {"objectValue": value} for key, value in values.items()}
        engine(f"printf %s {shlex.quote(json.dumps(shown))}")
        with pytest.raises(OperationError) as refused:
            audit.audit_stack("prod", Steps())
        assert str(refused.value) == (
            f"cannot look at deploy@127.0.0.1 port {port}: connection refused: does sshd run on that port?"
        )


def test_the_comparison_does_without_pulumi() -> None:
    """Its import takes a third of a second, and the engine's plugins are not needed."""
    modules = ", ".join(f"'{name}'" for name in audit.MODULES)
    program = (
        f"import importlib, sys; sys.path.insert(0, {str(ROOT)!r}); import operations.audit\n"
        f"for name in ({modules}): importlib.import_module(name)\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('pulumi', 'grpc')])"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

"""Backups: their units, their settings, what is listed, and what is refused before a host is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.findings import findings
from components.unit import Unit
from operations import backups as module
from operations import restore
from operations.backups import Backup, Backups, make_key, parsed, require_backups
from operations.errors import ConfigurationError, OperationError
from operations.steps import Steps
from settings import Settings, SettingsError
from settings.age import identity, public_text
from tests.conftest import BACKUP_KEY, HOST_KEY, SECOND_PLACE, STORE

Settle = Callable[..., Settings]
UnitsOf = Callable[[Settings], dict[str, Unit]]


def of(units: dict[str, Unit]) -> dict[str, Unit]:
    return {name: unit for name, unit in units.items() if unit.part == "backup"}


class TestUnits:
    def test_without_a_key_there_are_none(
        self, prod_units: dict[str, Unit], staging_units: dict[str, Unit]
    ) -> None:
        assert of(prod_units) == of(staging_units) == {}

    def test_what_a_night_needs(self, stack: Settle, units_of: UnitsOf) -> None:
        found = of(units_of(stack("prod", backup={"keys": [BACKUP_KEY], "time": "04:05"})))
        assert list(found) == [
            f"backup/{name}" for name in ("packages", "book", "tool", "settings", "service", "timer")
        ]
        assert found["backup/packages"].expect == "package age installed"
        assert "OnCalendar=*-*-* 04:05:00" in (found["backup/timer"].payload or "")
        assert "service itqan-backup.timer enabled active" in found["backup/timer"].expect
        assert f"RECIPIENTS={BACKUP_KEY}\nKEEP='7 4 12'\n" in (found["backup/settings"].payload or "")

    def test_a_host_as_the_second_place_is_pinned(
        self, stack: Settle, units_of: UnitsOf, secrets: dict[str, str]
    ) -> None:
        place = {**SECOND_PLACE, "port": 2222, "path": "/srv/x"}
        found = of(units_of(stack("prod", backup={"keys": [BACKUP_KEY], "second": place})))
        assert found["backup/known-hosts"].payload == f"[192.0.2.7]:2222 {HOST_KEY}\n"
        assert found["backup/place"].payload == secrets["backupPrivateKey"] + "\n"
        assert found["backup/place"].secret
        assert "PLACE_FOLDER=/srv/x/prod\n" in (found["backup/settings"].payload or "")

    def test_a_store_as_the_second_place(
        self, stack: Settle, units_of: UnitsOf, secrets: dict[str, str]
    ) -> None:
        found = of(units_of(stack("prod", backup={"keys": [BACKUP_KEY], "second": STORE})))
        assert found["backup/packages"].expect == "package age installed\npackage rclone installed"
        content = found["backup/place"].payload or ""
        assert f"secret_access_key = {secrets['backupSecretKey']}\n" in content
        assert "endpoint = https://store.example\n" in content
        assert "PLACE_FOLDER=itqan/itqan-backups/prod\n" in (found["backup/settings"].payload or "")
        assert " 600 " in found["backup/place"].expect


class TestSettings:
    @pytest.mark.parametrize(
        ("backup", "says"),
        [
            ({"keys": []}, "itqan:backup.keys: []: allowed: a list with a public key of age"),
            ({"keys": ["age1x"]}, "itqan:backup.keys.0: 'age1x'"),
            ({"keys": [BACKUP_KEY[:-1] + "x"]}, "was not copied whole"),
            ({"keys": [BACKUP_KEY], "time": "24:00"}, "itqan:backup.time: '24:00': allowed: a time of day"),
            (
                {"keys": [BACKUP_KEY], "keep": {"daily": 0}},
                "itqan:backup.keep.daily: 0: allowed: days, 1 to 366",
            ),
            ({"keys": [BACKUP_KEY], "files": ["/etc"]}, "itqan:backup.files.0"),
            ({"keys": [BACKUP_KEY], "second": {"type": "ftp"}}, "itqan:backup.second.type"),
            ({"keys": [BACKUP_KEY], "second": {"type": "sftp", "host": "a"}}, "needs user, hostKey, too"),
            ({"keys": [BACKUP_KEY], "second": {"type": "s3"}}, "needs endpoint, bucket, too"),
            ({"keys": [BACKUP_KEY], "second": {**SECOND_PLACE, "path": "a b"}}, "a folder there"),
            ({"keys": [BACKUP_KEY], "whatever": 1}, "itqan:backup.whatever: unknown key"),
        ],
    )
    def test_what_is_wrong_is_told_with_what_is_allowed(
        self, stack: Settle, backup: dict[str, Any], says: str
    ) -> None:
        with pytest.raises(SettingsError) as error:
            stack("prod", backup=backup)
        assert says in str(error.value)

    @pytest.mark.parametrize(
        ("second", "missing"),
        [
            (SECOND_PLACE, ["backupPrivateKey", "backupMacKey"]),
            (STORE, ["backupAccessKey", "backupSecretKey", "backupMacKey"]),
        ],
    )
    def test_a_second_place_needs_its_secrets(
        self, stack: Settle, second: dict[str, Any], missing: list[str]
    ) -> None:
        with pytest.raises(SettingsError) as error:
            stack("prod", backup={"keys": [BACKUP_KEY], "second": second}, **dict.fromkeys(missing))
        for name in missing:
            assert f"pulumi config set --secret itqan:{name} " in str(error.value)

    def test_a_copy_inherits_none(self, staging: Settings) -> None:
        assert staging.backup is None

    def test_a_server_without_is_a_finding(self, prod: Settings, staging: Settings, stack: Settle) -> None:
        lines = [found.line for found in findings(prod) if found.section == "Backup"]
        assert lines == ["./itqan backup key prod FILE"]
        for settings in (staging, stack("prod", backup={"keys": [BACKUP_KEY]})):
            assert not [found for found in findings(settings) if found.section == "Backup"]

    def test_a_command_says_how_to_have_them(self, prod: Settings) -> None:
        with pytest.raises(ConfigurationError, match=r"[.]/itqan backup key prod FILE"):
            require_backups(prod)


def manifest(name: str, owner: str = "itqan/prod i0123456789abcdef") -> dict[str, Any]:
    sealed = {"file": name, "bytes": 1_500_000, "sha256": "0"}
    return {
        "name": name,
        "made": "2026-11-29T02:30:00Z",
        "owner": owner,
        "reason": "nightly",
        "database": {"rows": 12, "tables": {}, "sealed": sealed},
        "files": {"count": 3, "sealed": sealed},
    }


LISTED = "\n".join(
    [
        f"here {json.dumps(manifest('backup_2'))}",
        f"here {json.dumps(manifest('backup_1'))}",
        f"second {json.dumps(manifest('backup_1'))}",
        f"second {json.dumps(manifest('backup_0'))}",
        "result make 1800000000 ok backup_2",
        "result copy 1800000000 failed the second place is away",
    ]
)


class TestListed:
    @pytest.fixture
    def found(self) -> Backups:
        return parsed(LISTED, "prod", "h")

    def test_the_newest_first_with_where_they_are(self, found: Backups) -> None:
        assert [(entry.name, entry.here, entry.second) for entry in found.entries] == [
            ("backup_2", True, False),
            ("backup_1", True, True),
            ("backup_0", False, True),
        ]
        assert found.named(None).name == "backup_2"
        assert found.named("backup_0").size == 3_000_000

    def test_as_a_table(self, found: Backups) -> None:
        lines = found.table().splitlines()
        assert lines[1:3] == ["2026-11-29", "  backup_2  nightly  12    3      3.0 MB  yes   -"]
        assert (
            lines[-1] == "itqan prod, h: 3 backups; last run ok; last copy failed: the second place is away"
        )

    def test_as_json(self, found: Backups) -> None:
        shown = json.loads(found.to_json())
        assert [entry["second"] for entry in shown["backups"]] == [False, True, True]
        assert shown["results"]["copy"]["state"] == "failed"

    def test_one_that_is_not_there(self, found: Backups) -> None:
        with pytest.raises(OperationError, match=r"no backup backup_9; type: [.]/itqan backup list prod"):
            found.named("backup_9")

    def test_without_any_one_is_to_be_made(self) -> None:
        with pytest.raises(OperationError, match=r"h: no backup; type: [.]/itqan backup prod"):
            parsed("", "prod", "h").named(None)

    def test_none_and_a_second_place_out_of_reach(self) -> None:
        found = parsed("unreached timed out", "prod", "h")
        assert found.table().splitlines()[-1] == "the second place was not asked: timed out"
        with pytest.raises(OperationError, match="the second place was not asked: timed out"):
            found.named(None)

    @pytest.mark.parametrize("line", ["here {", "here []", "here {}", "result make", "result make x y"])
    def test_what_cannot_be_read_is_told(self, line: str) -> None:
        with pytest.raises(OperationError, match="cannot be read"):
            parsed(line, "prod", "h")


class TestKey:
    @pytest.fixture
    def stored(self, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
        """What becomes the configuration's keys; one is there."""
        made: list[list[str]] = []
        monkeypatch.setattr("operations.audit.require_file", lambda _: None)
        monkeypatch.setattr(module, "ready_engine", lambda _: None)
        monkeypatch.setattr(module, "_configured", lambda *_: {"backup": {"keys": [BACKUP_KEY]}})
        monkeypatch.setattr(module, "_store_mac_key", lambda *_: made.append(["MAC"]))
        monkeypatch.setattr(module, "_store_keys", lambda _name, _engine, keys: made.append(keys))
        return made

    def test_the_private_half_is_its_owners_file(self, tmp_path: Path, stored: list[list[str]]) -> None:
        file = tmp_path / "key"
        said = make_key("prod", file, Steps())
        public = public_text(identity(file.read_text()))
        assert file.stat().st_mode & 0o777 == 0o600
        assert stored == [[BACKUP_KEY, public], ["MAC"]]
        assert public in said and "AGE-SECRET-KEY" not in said

    def test_a_file_that_is_there_stays(self, tmp_path: Path, stored: list[list[str]]) -> None:
        file = tmp_path / "key"
        file.write_text("precious")
        with pytest.raises(OperationError, match="File exists; nothing was changed"):
            make_key("prod", file, Steps())
        assert (file.read_text(), stored) == ("precious", [])


class TestRestore:
    @pytest.mark.parametrize(
        ("target", "says"),
        [
            ("prod", "is a server; only a copy"),
            ("production copy", "is a server; only a copy"),
            ("staging", ""),
        ],
    )
    def test_only_a_copy_takes_the_backup_of_another_stack(
        self, stack: Settle, prod: Settings, target: str, says: str
    ) -> None:
        chosen = Backup(manifest("backup_1", prod.owner), True, False)
        settings = {
            "prod": stack("prod").model_copy(update={"stack": "prod2"}),
            "production copy": stack("staging", environment={"APP_ENV": "production"}),
            "staging": stack("staging"),
        }[target]
        if says:
            with pytest.raises(OperationError, match=says):
                restore._require_fitting(chosen, prod, settings)
        else:
            restore._require_fitting(chosen, prod, settings)

    def test_a_copy_s_backup_does_not_go_to_production(self, prod: Settings, staging: Settings) -> None:
        chosen = Backup(manifest("backup_1", staging.owner), True, False)
        with pytest.raises(OperationError, match="is of itqan/staging copy, and this stack is itqan/prod"):
            restore._require_fitting(chosen, prod, prod)

    def test_without_a_terminal_nothing_is_replaced(
        self, prod: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
        with pytest.raises(OperationError, match="asks for that name on a terminal"):
            restore._ask_for_name(prod, Backup(manifest("backup_1"), True, False))

    @pytest.mark.parametrize("content", [None, "", "AGE-SECRET-KEY-1WRONG", BACKUP_KEY])
    def test_a_file_without_a_key_is_told_without_its_content(
        self, tmp_path: Path, content: str | None
    ) -> None:
        file = tmp_path / "key"
        if content is not None:
            file.write_text(content)
        with pytest.raises(OperationError, match="--identity") as error:
            restore.private_key(file)
        assert "WRONG" not in str(error.value)

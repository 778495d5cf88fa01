"""Backups as they are counted, noted, compared and kept."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from files.backup import book

COMMIT = "0123456789ab"
RULE = (7, 4, 12)


def name(moment: datetime) -> str:
    return f"backup_{moment:%Y%m%dT%H%M%SZ}_{COMMIT}"


def nights(count: int, last: str = "2026-11-29 02:30") -> list[str]:
    """A backup each night, up to `last`."""
    newest = datetime.fromisoformat(last)
    return [name(newest - timedelta(days=number)) for number in range(count)]


def days(names: Iterable[str]) -> list[str]:
    """The days of backups, the newest first."""
    return [f"{book.moment(one):%Y-%m-%d}" for one in sorted(names, reverse=True)]


class TestKept:
    def test_seven_days_four_weeks_twelve_months(self) -> None:
        assert days(book.kept(nights(400), *RULE)) == [
            *(
                "2026-11-29",
                "2026-11-28",
                "2026-11-27",
                "2026-11-26",
                "2026-11-25",
                "2026-11-24",
                "2026-11-23",
            ),
            *("2026-11-22", "2026-11-15", "2026-11-08"),  # Sundays; that of this week is a day already
            *(
                "2026-10-31",
                "2026-09-30",
                "2026-08-31",
                "2026-07-31",
                "2026-06-30",
                "2026-05-31",
                "2026-04-30",
            ),
            *("2026-03-31", "2026-02-28", "2026-01-31", "2025-12-31"),
        ]

    @pytest.mark.parametrize(
        ("rule", "kept"),
        [
            ((1, 0, 0), ["2026-11-29", "2026-11-28", "2026-11-27"]),  # what is young stays anyway
            ((4, 0, 0), ["2026-11-29", "2026-11-28", "2026-11-27", "2026-11-26"]),
            ((1, 2, 0), ["2026-11-29", "2026-11-28", "2026-11-27", "2026-11-22"]),
            ((1, 0, 3), ["2026-11-29", "2026-11-28", "2026-11-27", "2026-10-31", "2026-09-30"]),
        ],
    )
    def test_each_part_of_the_rule(self, rule: tuple[int, int, int], kept: list[str]) -> None:
        assert days(book.kept(nights(100), *rule)) == kept

    def test_the_weeks_are_those_of_the_calendar_over_the_end_of_a_year(self) -> None:
        # 2026-12-28 to 2027-01-03 is one week, the 53rd of 2026
        found = days(book.kept(nights(20, "2027-01-04 02:30"), 1, 2, 0))
        assert found == ["2027-01-04", "2027-01-03", "2027-01-02"]

    def test_of_a_day_the_newest_stays_once_it_is_no_longer_young(self) -> None:
        twice = [*nights(10), name(datetime(2026, 11, 24, 14, 0))]
        kept = book.kept(twice, *RULE)
        assert name(datetime(2026, 11, 24, 14, 0)) in kept
        assert name(datetime(2026, 11, 24, 2, 30)) not in kept

    def test_one_by_hand_does_not_drive_out_that_of_the_night(self) -> None:
        by_hand = name(datetime(2026, 11, 29, 14, 0))
        assert set(nights(3)) <= book.kept([*nights(10), by_hand], *RULE)

    def test_nothing_goes_only_because_no_new_one_comes(self) -> None:
        """A year without a backup: the last ones are still there, by the periods that have one."""
        old = nights(7, "2025-11-29 02:30")
        assert book.dropped([*old, name(datetime(2026, 11, 29))], 8, 4, 12) == []

    @pytest.mark.parametrize("count", [0, 1, 2])
    def test_of_few_all_stay(self, count: int) -> None:
        assert book.dropped(nights(count), 1, 0, 0) == []

    def test_the_newest_is_never_dropped(self) -> None:
        for count in range(1, 60):
            assert max(nights(count)) not in book.dropped(nights(count), 1, 0, 0)

    @pytest.mark.parametrize(
        "foreign",
        [
            "itqan_20200101_000000_0123456789ab",  # a release's
            "backup_file",
            "backup_20261399T000000Z_0123456789ab",
            f"backup_20200101T000000Z_{COMMIT}.json",
            "x",
        ],
    )
    def test_what_is_no_backup_is_nobodys_business(self, foreign: str) -> None:
        assert foreign not in book.dropped([*nights(40), foreign], *RULE)
        assert foreign not in book.kept([*nights(40), foreign], *RULE)


MYSQL = r"""-- MySQL dump 10.13  Distrib 8.0.44, for Linux (x86_64)
--
-- Position to start replication or point-in-time recovery from
--
-- CHANGE REPLICATION SOURCE TO SOURCE_LOG_FILE='binlog.000007', SOURCE_LOG_POS=4711;
CREATE TABLE `visits` (
  `id` int
);
INSERT INTO `visits` VALUES (1,'it\'s (a), \'b\';\n'),(2,'),('),(3,_binary 0xFF29),(4,NULL);
INSERT INTO `visits` VALUES (5,'');
CREATE TABLE `a``b VALUES (x)` (
INSERT INTO `a``b VALUES (x)` (`i`, `v (x)`) VALUES (-1.5e10,''''),(2,'\\');
CREATE TABLE `empty` (
/*!50001 CREATE VIEW `seen` AS SELECT 1*/;
DELIMITER ;;
INSERT INTO `visits` VALUES (9,'of a trigger');
DELIMITER ;
-- Dump completed on 2026-11-29 12:00:00
"""
# The same rows as MariaDB writes them: each on a line of its own.
MARIADB = r"""/*M!999999\- enable the sandbox mode */
-- MariaDB dump 10.19-11.8.9-MariaDB, for debian-linux-gnu (x86_64)
CREATE TABLE `visits` (
INSERT INTO `visits` VALUES
(5,''),
(2,'),('),
(1,'it\'s (a), \'b\';\n'),
(4,NULL),
(3,_binary 0xFF29);
-- Dump completed on 2026-11-29 12:00:00
"""


def measured(dump: str) -> dict[str, Any]:
    target = io.BytesIO()
    told = book.measure_database(io.BytesIO(dump.encode()), target)
    assert target.getvalue() == dump.encode()
    return told


class TestDatabase:
    def test_rows_are_counted_whatever_stands_in_them(self) -> None:
        told = measured(MYSQL)
        counts = {table: found["rows"] for table, found in told["tables"].items()}
        assert counts == {"visits": 5, "a`b VALUES (x)": 2, "empty": 0}
        assert told["rows"] == 7

    def test_the_order_of_rows_and_their_lines_do_not_matter(self) -> None:
        assert measured(MYSQL)["tables"]["visits"] == measured(MARIADB)["tables"]["visits"]

    def test_another_value_is_another_digest(self) -> None:
        changed = measured(MARIADB.replace("(5,'')", "(5,'x')"))
        assert changed["tables"]["visits"]["rows"] == 5
        assert changed["tables"]["visits"] != measured(MARIADB)["tables"]["visits"]

    def test_tool_position_and_sum_are_noted(self) -> None:
        told = measured(MYSQL)
        assert told["tool"] == "MySQL dump 10.13 Distrib 8.0.44, for Linux (x86_64)"
        assert told["binlog"] == {"file": "binlog.000007", "position": 4711}
        digest = hashlib.sha256(MYSQL.encode()).hexdigest()
        assert told["plain"] == {"bytes": len(MYSQL.encode()), "sha256": digest}
        assert measured(MARIADB)["binlog"] is None

    @pytest.mark.parametrize("cut", [0, 100, len(MYSQL) - 45])
    def test_a_dump_that_was_cut_short_is_refused(self, cut: int) -> None:
        with pytest.raises(book.Unreadable):
            measured(MYSQL[:cut])

    @pytest.mark.parametrize("row", ["(1,'open", "(1),(2", "(1) (2);", "1,2;"])
    def test_a_row_that_cannot_be_read_is_refused(self, row: str) -> None:
        with pytest.raises(book.Unreadable, match="cannot be read"):
            measured(MARIADB.replace("(5,''),", f"{row}\n"))


def archive(files: dict[str, bytes], *, mtime: int = 0) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mtime = len(content), mtime
            tar.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "a"
        tar.addfile(link)
    return made.getvalue()


class TestFiles:
    def measured(self, content: bytes) -> dict[str, Any]:
        target = io.BytesIO()
        told = book.measure_files(io.BytesIO(content), target)
        assert target.getvalue() == content
        return told

    def test_contents_count_and_times_do_not(self) -> None:
        first = self.measured(archive({"a": b"x", "b ü": b"yy"}))
        again = self.measured(archive({"b ü": b"yy", "a": b"x"}, mtime=99))
        assert (first["count"], first["content"]) == (3, 3)
        assert first["digest"] == again["digest"]
        assert self.measured(archive({"a": b"z", "b ü": b"yy"}))["digest"] != first["digest"]

    def test_an_archive_that_was_cut_short_is_refused(self) -> None:
        with pytest.raises(book.Unreadable):
            self.measured(archive({"a": bytes(5000)})[:2000])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one backup, of what three parts of a pipeline left in another one."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "database.json").write_text(json.dumps(measured(MARIADB)))
    (work / "files.json").write_text(json.dumps({"count": 1, "digest": "d", "content": 2}))
    one = nights(1)[0]
    for kind, content in (("database", b"sealed"), ("files", b"more")):
        (tmp_path / book.PARTS[kind].format(name=one)).write_bytes(content)
        told = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        (work / f"{kind}.sealed.json").write_text(json.dumps(told))
    facts = [f"name {one}\n", "owner itqan/prod i0123\n", "migrations a b\n", "recipients\n"]
    (tmp_path / f"{one}.json").write_text(json.dumps(book.manifest(work, facts)))
    return tmp_path


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"{nights(1)[0]}.json").read_text())
    return found


class TestManifest:
    def test_it_says_what_was_counted_and_what_is_known(self, folder: Path) -> None:
        known = manifest(folder)
        assert known["made"] == "2026-11-29T02:30:00Z"
        assert (known["owner"], known["migrations"], known["recipients"]) == (
            "itqan/prod i0123",
            ["a", "b"],
            [],
        )
        assert known["database"]["rows"] == 5
        assert known["database"]["sealed"]["bytes"] == 6

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("database.rows", "5"),
            ("migrations", "a b"),
            ("database.binlog.file", ""),
            ("x.y", ""),
            ("name.x", ""),
        ],
    )
    def test_its_values_by_dotted_keys(self, folder: Path, key: str, value: str) -> None:
        assert book.value(manifest(folder), key) == value

    def test_a_backup_is_whole_with_all_its_files(self, folder: Path) -> None:
        assert book.whole(folder) == nights(1)
        assert book.wrong(folder, nights(1)[0], digests=True) == []

    def test_one_flipped_byte_is_seen(self, folder: Path) -> None:
        (folder / f"{nights(1)[0]}.database.sql.gz.age").write_bytes(b"sealeD")
        assert "another SHA-256" in book.wrong(folder, nights(1)[0], digests=True)[0]

    @pytest.mark.parametrize("damage", ["cut", "gone", "manifest", "another"])
    def test_what_is_not_whole_is_not_counted(self, folder: Path, damage: str) -> None:
        one = nights(1)[0]
        part, path = folder / f"{one}.files.tar.gz.age", folder / f"{one}.json"
        if damage == "cut":
            part.write_bytes(b"m")
        elif damage == "gone":
            part.unlink()
        elif damage == "manifest":
            path.write_text(path.read_text()[:50])
        else:
            path.write_text(json.dumps({**manifest(folder), "name": "backup_x"}))
        assert book.whole(folder) == []
        assert book.wrong(folder, one, digests=False)
        assert book.loose(folder) == []  # a person should see it

    def test_what_a_killed_run_left_is_loose(self, folder: Path) -> None:
        other = name(datetime(2026, 11, 28))
        left = [f"{other}.database.sql.gz.age", f"{nights(1)[0]}.json.part", f"{other}.files.tar.gz.age.part"]
        for file in (*left, "itqan_20261128_000000_0123456789ab.sql.gz", "mine.sql.gz.age", "notes.part"):
            (folder / file).touch()
        assert book.loose(folder) == sorted(left)

    def test_differences_name_the_table(self, folder: Path) -> None:
        known, again = manifest(folder), measured(MARIADB)
        assert book.differences(known, "database", again) == []
        fewer = measured(MARIADB.replace("(5,''),\n", ""))
        assert book.differences(known, "database", fewer) == ["table visits has 4 rows, the backup 5"]
        other = measured(MARIADB.replace("(5,'')", "(5,'x')"))
        assert book.differences(known, "database", other) == [
            "table visits has other contents than the backup"
        ]
        assert book.differences(known, "database", {**other, "tool": "MySQL dump"}) == []
        assert "table empty was not in the backup" in book.differences(known, "database", measured(MYSQL))
        assert book.differences(known, "files", {"count": 2, "digest": "d", "content": 2})

"""itqan-backup: what it leaves when all goes well, when a program fails, and when it dies."""

from __future__ import annotations

import base64
import gzip
import json
import stat
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from operations.restore import DAMAGED
from tests.fakes.backup_host import DUMP, OWNER, Host
from tests.fakes.release_host import needs_root

pytestmark = needs_root
RESTORED = '{"when": "NOW", "what": "restore", "result": "begun", "words": "x"}\n'
RELEASES = "itqan_20200101_000000_0123456789ab.sql.gz"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def doubled(tmp_path: Path) -> Host:
    """With a second place."""
    return Host(tmp_path, second=True)


class TestMake:
    def test_three_files_that_only_the_deploy_user_reads(self, host: Host) -> None:
        name = host.made()
        assert host.names() == [f"{name}.database.sql.gz.age", f"{name}.files.tar.gz.age", f"{name}.json"]
        assert {stat.S_IMODE(path.stat().st_mode) for path in host.backups.iterdir()} == {0o600}
        sealed = (host.backups / f"{name}.database.sql.gz.age").read_bytes()
        assert gzip.decompress(sealed.removeprefix(b"SEALED ")).decode() == DUMP
        assert "age -r age1one -r age1two" in (host.folder / "calls").read_text()

    def test_the_manifest_tells_whose_it_is_and_what_is_in_it(self, host: Host) -> None:
        known = host.manifest(host.made())
        assert (known["owner"], known["schema"], known["commit"]) == (OWNER, "itqan", "0" * 40)
        assert (known["migrations"], known["paths"]) == (["first"], ["storage/app/tenants"])
        assert known["database"]["tables"]["visits"]["rows"] == 2
        assert known["files"]["content"] == len("of a tenant")

    def test_the_result_is_noted(self, host: Host) -> None:
        name = host.made()
        assert host.result("make") == f"ok {name}"
        lines = [json.loads(line) for line in (host.folder / "log/backups.jsonl").read_text().splitlines()]
        assert [line["result"] for line in lines] == ["begun", "ok"]

    def test_the_position_in_the_binary_log_is_asked_for_where_there_is_one(self, host: Host) -> None:
        host.made()
        assert "-data=2" not in (host.folder / "calls").read_text()
        host.write("log_bin", "1")
        host.run("make")
        assert "-data=2" in (host.folder / "calls").read_text()

    def test_without_a_key_nothing_is_made(self, host: Host) -> None:
        host.write("etc/backup.conf", "")
        done = host.run("make")
        assert (done.returncode, host.names()) == (1, [])
        assert "no public key" in done.stderr

    @pytest.mark.parametrize("program", ["mysqldump", "age", "gzip"])
    def test_when_a_program_fails_nothing_counts_as_a_backup(self, host: Host, program: str) -> None:
        before = host.made()
        kept = host.names()
        host.write("broken", program)
        if program == "gzip":
            host.write("bin/gzip", "#!/bin/bash\nexit 3\n")
            (host.folder / "bin/gzip").chmod(0o755)
        done = host.run("make", "nightly")
        assert done.returncode and "Traceback" not in done.stderr
        assert host.result("make") == "failed failed in: dump of the database"
        assert [name for name in host.names() if not name.endswith(".part")] == kept
        host.write("broken", "")
        (host.folder / "bin/gzip").unlink(missing_ok=True)
        assert {before, host.made()} == {name[:-5] for name in host.names() if name.endswith(".json")}
        assert not [name for name in host.names() if name.endswith(".part")]

    def test_half_a_dump_is_no_backup(self, host: Host) -> None:
        host.write("dump", DUMP.partition("-- Dump completed")[0])
        done = host.run("make")
        assert done.returncode == 1
        assert "did not get to its end" in done.stderr
        assert not [name for name in host.names() if name.endswith(".json")]

    @pytest.mark.parametrize("program", ["mysqldump", "age"])
    def test_one_that_was_killed_is_noted_and_its_remains_are_cleared(self, host: Host, program: str) -> None:
        host.write("fatal", program)
        assert host.run("make").returncode == -9
        assert host.result("make").startswith("begun")
        assert host.run("ended", SERVICE_RESULT="signal").returncode == 0
        assert host.result("make").startswith("failed killed (signal)")
        host.write("fatal", "")
        name = host.made()
        assert {one.partition(".")[0] for one in host.names()} == {name}

    def test_ended_says_nothing_of_a_run_that_said_it_itself(self, host: Host) -> None:
        name = host.made()
        host.run("ended", SERVICE_RESULT="success")
        assert host.result("make") == f"ok {name}"

    def test_a_full_disk_is_told_before_anything_is_written(self, host: Host) -> None:
        host.write("free", "100")
        done = host.run("make")
        assert done.returncode == 1
        assert "too little free disk space for a backup (disk full?)" in done.stderr
        assert host.names() == []
        assert host.result("make").startswith("failed ")

    def test_while_a_restore_waits_nothing_is_backed_up(self, host: Host) -> None:
        host.made()
        host.write("lib/backup/restoring", "NAME x\nCLOSED yes\n")
        done = host.run("make")
        assert done.returncode == 1
        assert "./itqan restore prod" in done.stderr

    def test_who_waits_for_another_run_is_told(self, host: Host) -> None:
        lock = host.folder / "itqan-backup.lock"
        with subprocess.Popen(["flock", lock, "sleep", "1"]):
            while subprocess.run(["flock", "-n", lock, "true"], check=False).returncode == 0:
                pass
            done = host.run("make")
        assert done.returncode == 0
        assert "another backup or restore runs: waiting for its end" in done.stderr


class TestKept:
    def test_the_rule_is_for_its_own_backups_only(self, host: Host) -> None:
        old = [host.old(f"202001{day:02}") for day in range(1, 29)]
        host.write(f"backups/{RELEASES}", "of a release")
        host.write("backups/by-hand.sql", "of a person")
        host.made()
        left = {name[:-5] for name in host.names() if name.endswith(".json")} & set(old)
        assert left == {*old[-6:], old[18]}
        assert {RELEASES, "by-hand.sql"} <= set(host.names())

    def test_a_broken_one_takes_nobodys_place_and_stays(self, host: Host) -> None:
        old = [host.old(f"202001{day:02}") for day in range(1, 29)]
        (host.backups / f"{old[-1]}.database.sql.gz.age").write_text("torn to pieces")
        host.made()
        assert f"{old[-1]}.json" in host.names()
        assert f"{old[-7]}.json" in host.names()


class TestSecondPlace:
    def there(self, host: Host) -> list[str]:
        return sorted(path.name for path in host.second.iterdir())

    def test_it_has_the_same(self, doubled: Host) -> None:
        name = doubled.made()
        assert self.there(doubled) == doubled.names()
        assert doubled.result("copy") == f"ok {name}"
        listed = doubled.run("list").stdout
        assert [line.partition(" ")[0] for line in listed.splitlines()] == [
            "here",
            "second",
            "result",
            "result",
        ]

    def test_out_of_reach_it_leaves_the_backup_here_good_and_is_made_up_for(self, doubled: Host) -> None:
        doubled.write("broken", "sftp")
        done = doubled.run("make")
        assert done.returncode == 1
        assert "cannot be used: words of sftp; the backup here is whole" in done.stderr
        assert doubled.result("make").startswith("ok ")
        assert doubled.result("copy").startswith("failed the second place")
        assert doubled.run("list").stdout.splitlines()[1] == "unreached words of sftp"
        doubled.write("broken", "")
        doubled.made()
        assert self.there(doubled) == doubled.names()
        assert doubled.result("copy").startswith("ok ")

    def test_the_reason_is_ssh_s_and_not_that_the_connection_closed(self, doubled: Host) -> None:
        words = "Permission denied (publickey).\\r\\nConnection closed\\r\\n"
        doubled.write("bin/sftp", f"#!/bin/bash\nprintf '{words}' >&2\nexit 255\n")
        done = doubled.run("make")
        assert "cannot be used: Permission denied (publickey).; Connection closed; the backup" in done.stderr
        assert doubled.run("list").stdout.splitlines()[1].endswith("(publickey).; Connection closed")

    def test_a_file_that_came_without_its_manifest_is_replaced(self, doubled: Host) -> None:
        name = doubled.made()
        (doubled.second / f"{name}.json").unlink()
        doubled.made()
        assert self.there(doubled) == doubled.names()

    def test_what_a_cut_connection_left_is_cleared(self, doubled: Host) -> None:
        doubled.second.mkdir(parents=True)
        (doubled.second / "backup_20200101T000000Z_0123456789ab.json.part").write_text("half")
        (doubled.second / "mine.part").write_text("x")
        doubled.made()
        assert self.there(doubled) == [*doubled.names(), "mine.part"]

    def test_the_rule_counts_there_too(self, doubled: Host) -> None:
        old = [doubled.old(f"202001{day:02}", doubled.second) for day in range(1, 29)]
        (doubled.second / "mine.txt").write_text("x")
        doubled.made()
        left = {name[:-5] for name in self.there(doubled) if name.endswith(".json")} & set(old)
        assert left == {*old[-6:], old[18]}
        assert "mine.txt" in self.there(doubled)

    def test_it_is_used_when_the_file_here_is_gone(self, doubled: Host) -> None:
        name = doubled.made()
        for path in doubled.backups.iterdir():
            path.unlink()
        done = doubled.run("headers", name)
        assert done.returncode == 0, done.stderr
        words = [line.split() for line in done.stdout.splitlines()]
        assert [line[:2] for line in words[1:]] == [["header", "database"], ["header", "files"]]
        assert base64.b64decode(words[1][2]).startswith(b"SEALED ")

    def test_one_flipped_byte_here_leads_there(self, doubled: Host) -> None:
        name = doubled.made()
        self.flip(doubled.backups / f"{name}.files.tar.gz.age")
        done = doubled.run("headers", name)
        assert done.returncode == 0
        assert "another SHA-256" in done.stderr
        self.flip(doubled.second / f"{name}.files.tar.gz.age")
        (doubled.folder / "lib/backup/fetched" / f"{name}.json").unlink()
        done = doubled.run("headers", name)
        assert done.returncode == DAMAGED
        assert "has no whole" in done.stderr

    def test_what_somebody_else_put_there_is_refused(self, doubled: Host) -> None:
        """He knows the public keys, and so can encrypt what he likes and write a manifest that fits it."""
        name = doubled.made()
        for path in doubled.backups.iterdir():
            path.unlink()
        there = doubled.second / f"{name}.json"
        forged = {**json.loads(there.read_text()), "reason": "nightly"}
        for made in (forged, {key: forged[key] for key in forged if key != "mac"}):
            there.write_text(json.dumps(made))
            done = doubled.run("headers", name)
            assert done.returncode == DAMAGED
            assert "is not authentic: made by somebody else" in done.stderr

    def test_a_disk_too_full_to_look_says_nothing_about_the_backup(self, doubled: Host) -> None:
        name = doubled.made()
        doubled.write("free", "10")
        done = doubled.run("headers", name, "second")
        assert done.returncode == 1
        assert "too little free disk space for what comes from the second place" in done.stderr

    def flip(self, path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


class TestRestore:
    KEYS = "key AGE-SECRET-KEY-1\nheader database 7 eA==\n"

    @pytest.mark.parametrize(
        ("name", "stdin", "says"),
        [
            ("../etc/passwd", KEYS, "is no name of a backup"),
            ("backup_20260101T000000Z_0123456789ab", KEYS, "is not there; nothing was changed"),
            ("", "", "no key came"),
            ("", "something else\n", "the keys on standard input cannot be read"),
        ],
    )
    def test_what_cannot_be_restored_is_refused(self, host: Host, name: str, stdin: str, says: str) -> None:
        name = name or host.made()
        done = host.run("restore", name, stdin=stdin)
        assert done.returncode in (1, DAMAGED)
        assert says in done.stderr

    def test_another_servers_backup_is_refused(self, host: Host) -> None:
        name = host.made()
        host.write("etc/stack", "stack itqan/prod i9999\n")
        done = host.run("restore", name, stdin=self.KEYS)
        assert done.returncode == 1
        assert f"is of {OWNER} and this host of itqan/prod i9999" in done.stderr

    def test_one_flipped_byte_is_seen_before_anything_is_touched(self, host: Host) -> None:
        name = host.made()
        host.write("calls", "")
        TestSecondPlace().flip(host.backups / f"{name}.database.sql.gz.age")
        done = host.run("restore", name, stdin=self.KEYS)
        assert done.returncode == DAMAGED
        assert "another SHA-256" in done.stderr
        assert "nothing was changed" in done.stderr
        assert (host.folder / "calls").read_text() == ""

    def test_a_moment_needs_the_binary_log(self, host: Host) -> None:
        name = host.made()
        for until, says in (("now", "log_bin"), ("never", "is no time")):
            done = host.run("restore", name, until, stdin=self.KEYS)
            assert done.returncode == 1
            assert says in done.stderr

    @pytest.mark.parametrize(
        ("file", "text", "until", "says"),
        [
            ("format", "MIXED", "now", "binlog_format is MIXED and has to be ROW"),
            ("logs", "binlog.000008 99\n", "now", "binlog.000007, where"),
            ("logs", "binlog.000007 99\n", "2020-01-01", "does not lie between"),
            ("logs", "binlog.000007 99\n", "tomorrow", "does not lie between"),
            ("log/backups.jsonl.1", RESTORED, "now", "was replaced by a restore at"),
        ],
    )
    def test_a_moment_that_the_logs_do_not_reach(
        self, host: Host, file: str, text: str, until: str, says: str
    ) -> None:
        host.write("log_bin", "1")
        host.write("dump", f"-- CHANGE MASTER TO MASTER_LOG_FILE='binlog.000007', MASTER_LOG_POS=4;\n{DUMP}")
        name = host.made()
        time.sleep(1)  # the moments are told in whole seconds
        host.write(file, text.replace("NOW", f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"))
        done = host.run("restore", name, until, stdin=self.KEYS)
        assert done.returncode == 1
        assert says in done.stderr

    def test_what_is_sent_is_received(self, host: Host) -> None:
        name = host.made()
        for words in (f"send {name} >archive", "receive <archive"):
            subprocess.run(["bash", "-c", f"bash {host.folder}/tool {words}"], cwd=host.folder, check=True)
        received = sorted(path.name for path in (host.folder / "lib/backup/received").iterdir())
        assert received == host.names()

    def test_another_one_is_taken_only_where_all_of_the_one_before_is_there(self, host: Host) -> None:
        """Where the site does not answer with what was restored, the backup of before has to be possible."""
        name = host.made()
        for reached, says in (("SWAPPED", "continue it first"), ("REPLACED", "no key came")):
            host.write("lib/backup/restoring", f"NAME x\nCLOSED yes\n{reached} yes\n")
            done = host.run("restore", name, stdin=self.KEYS if reached == "SWAPPED" else "")
            assert says in done.stderr

    def test_nothing_waits_to_be_continued(self, host: Host) -> None:
        assert host.run("waiting").returncode == 1
        done = host.run("continue")
        assert done.returncode == 1
        assert "no restore waits" in done.stderr


def test_results_of_elsewhere_are_noted_on_one_line(host: Host) -> None:
    assert host.run("note", "verify", "ok", "a\nb").returncode == 0
    assert host.result("verify") == "ok a b"

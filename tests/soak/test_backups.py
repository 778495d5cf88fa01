"""Backups at length: tried in a copy, a moment between two of them, restores killed at many moments."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.e2e.backups import DATABASE, ODD, TENANTS, Backed, backed_up, docker, on_a_terminal
from tests.e2e.copy import Copy, itqan, poll

JOURNAL = "/var/lib/itqan/backup/restoring"
BINLOG = "/etc/mysql/mariadb.conf.d/98-binlog.cnf"
ROOT = "/var/www/itqan-platform"
NEW, OLD = f"/var/lib/mysql/{DATABASE}_itqan_new", f"/var/lib/mysql/{DATABASE}_itqan_old"
# Where a restore can be killed: what is true from then on.
MOMENTS = {
    "begun": "pgrep -f '^/bin/bash /usr/local/sbin/itqan-backup restore' >/dev/null",
    "importing": f"[ -d {NEW} ]",
    "unpacking": f"compgen -G '{ROOT}/storage/.itqan-restore.*' >/dev/null",
    "closed": f"grep -qs ^CLOSED {JOURNAL}",
    "saved": f"grep -qs ^SAVED {JOURNAL}",
    "moving tables": f"[ -d {OLD} ]",
    "swapped": f"grep -qs ^SWAPPED {JOURNAL}",
    "moving files": f"[ -e {TENANTS}.itqan-old ]",
    "replaced": f"grep -qs ^REPLACED {JOURNAL}",
    "open again": f"grep -qs ^REPLACED {JOURNAL} && ! [ -e {ROOT}/storage/framework/down ]",
}
NOW = "sleep 2; date -u +%Y-%m-%dT%H:%M:%SZ; sleep 2"
TOOL = "^/bin/bash /usr/local/sbin/itqan-backup"


@pytest.fixture(scope="module")
def backed(copy: Copy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backed]:
    """The copy with backups, and with something in its database and its folder of tenants."""
    with backed_up(copy, tmp_path_factory.mktemp("backups")) as made:
        made.sql(ODD)
        copy.bash(f"install -d -o www-data {TENANTS}/one; echo hallo >'{TENANTS}/one/a ü.txt'")
        made.backup()
        yield made


def verified(backed: Backed) -> subprocess.CompletedProcess[str]:
    return itqan("backup", "verify", backed.copy.stack, "--identity", str(backed.key), check=False)


def last_test(backed: Backed) -> dict[str, str]:
    found = json.loads(itqan("health", backed.copy.stack, "--json", check=False).stdout)["checks"]
    found = [check for check in found if check["check"] == "last restore test"]
    return dict(found[0])


def test_the_newest_is_tried_in_a_copy_that_goes_again(backed: Backed) -> None:
    done = verified(backed)
    assert done.returncode == 0, done.stderr
    assert "are the manifest's, 5 pages answer, from the second place" in done.stdout
    assert docker("ps", "-a", "--quiet", "--filter", f"label=itqan.stack=verify-{backed.copy.stack}") == ""
    assert last_test(backed)["state"] == "good"


def test_one_that_is_damaged_is_told(backed: Backed) -> None:
    files, flip = "/home/keeper/itqan-backups/*/*.database*", "dd of=$f bs=1 seek=900 conv=notrunc"
    docker("exec", backed.place, "bash", "-c", f"for f in {files}; do printf x | {flip}; done")
    done = verified(backed)
    assert done.returncode == 2, done.stderr
    assert last_test(backed)["state"] == "bad"
    backed.copy.bash("rm /home/deploy/backups/backup_*")
    docker("exec", backed.place, "bash", "-c", "rm /home/keeper/itqan-backups/*/*")
    backed.backup()


def killing(backed: Backed, moment: str, seconds: float) -> subprocess.Popen[str]:
    """Kills all of a restore so many seconds after a moment, and tells how far it had come."""
    script = f"""
        until {MOMENTS[moment]}; do sleep 0.01; done
        sleep {seconds}
        at=$(tail -n 1 {JOURNAL} 2>/dev/null || echo 'nothing is noted')
        first=$(pgrep -of '{TOOL}') || exit 0
        kill -KILL $(pgrep -s "$(ps -o sid= -p "$first" | tr -d ' ')")
        echo "killed at: $at" """
    command = ["docker", "exec", backed.copy.outputs["container"], "timeout", "300", "bash", "-c", script]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("seconds", [0, 0.3])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_restore_killed_at_any_moment_ends_as_it_was(backed: Backed, moment: str, seconds: float) -> None:
    before = backed.state()
    backed.backup()
    name = backed.newest()
    backed.spoil()
    killer = killing(backed, moment, seconds)
    first, _ = backed.restore(name)
    hit = killer.communicate()[0].strip()
    print(f"{moment} and {seconds} s: {hit or 'it was at its end'}; it ended with {first}")
    assert hit or seconds, "nothing was killed"
    stopped = backed.copy.bash(f"grep -s '^CLOSED' {JOURNAL}", check=False)
    status, said = on_a_terminal("restore", backed.copy.stack, typed="") if stopped else backed.restore(name)
    assert status == 0, said
    assert backed.state() == before
    poll(lambda: backed.copy.get("/up").status == 200, 30, "the site is open")


def test_an_empty_database_is_restored_and_what_was_before_comes_back(backed: Backed) -> None:
    """The site does not answer without tables: then another backup is what helps."""
    before = backed.state()
    backed.backup()
    full = backed.newest()
    backed.sql(f"DROP DATABASE {DATABASE}; CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4")
    backed.backup()
    empty = backed.newest()
    status, said = backed.restore(full)
    assert status == 0, said
    status, said = backed.restore(empty)
    assert status == 1 and "back to what was before: " in said
    assert backed.sql("SHOW TABLES") == ""
    command = said.partition("back to what was before: ")[2].partition(";")[0]
    status, said = backed.restore(command.split()[-1])
    assert status == 0, said
    assert backed.state() == before
    assert backed.copy.get("/up").status == 200


def test_a_moment_between_two_backups(backed: Backed) -> None:
    lines = "[mysqld]\\nlog_bin=/var/lib/mysql/binlog\\nbinlog_format=ROW\\nserver_id=1\\n"
    backed.copy.bash(f"printf '{lines}' >{BINLOG}; systemctl restart mariadb")
    backed.backup()
    name = backed.newest()
    backed.sql("INSERT INTO parents (name) VALUES ('good')")
    backed.sql("CREATE TABLE young (id INT); INSERT INTO young VALUES (1)")
    until = backed.copy.bash(NOW)
    wanted = backed.state()
    backed.sql("DELETE FROM children; DROP TABLE young; INSERT INTO parents (name) VALUES ('bad')")
    status, said = backed.restore(name, "--until", until)
    assert status == 0, said
    assert backed.state() == wanted
    assert backed.sql("SELECT COUNT(*) FROM young") == "1"
    time.sleep(1)
    status, said = backed.restore(name, "--until", backed.copy.bash(NOW))
    assert status == 1 and "was replaced by a restore" in said


def test_a_statement_that_names_the_database_cannot_be_led_elsewhere(backed: Backed) -> None:
    backed.backup()
    name, wanted = backed.newest(), backed.state()
    backed.sql("CREATE TABLE itqan_platform.named (id INT)")
    status, said = backed.restore(name, "--until", backed.copy.bash(NOW))
    assert status == 1 and "names the database itself" in said
    assert backed.sql("SELECT COUNT(*) FROM named") == "0"
    backed.sql("DROP TABLE named")
    assert backed.state() == wanted
    backed.copy.bash(f"rm {BINLOG}; systemctl restart mariadb; rm -f /var/lib/mysql/binlog*")

"""Backups of a copy at a real second place, and the way back; killed, out of reach, with a wrong key."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from settings.age import new_key, private_text

from .backups import DATABASE, FOLDER, ODD, TENANTS, Backed, backed_up, docker, on_a_terminal
from .copy import Copy, itqan, poll

WRITES = f"for n in $(seq 100000); do echo 'INSERT INTO pairs VALUES (1), (2);'; done | mysql {DATABASE}"
CLOSED = "[ -e /var/www/itqan-platform/storage/framework/down ]"


@pytest.fixture(scope="module")
def backed(copy: Copy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backed]:
    """The copy with backups, and with something in its database and its folder of tenants."""
    with backed_up(copy, tmp_path_factory.mktemp("backups")) as made:
        made.sql(ODD)
        copy.bash(f"install -d -o www-data {TENANTS}/one; echo hallo >'{TENANTS}/one/a ü.txt'")
        yield made


@pytest.fixture(scope="module")
def before(backed: Backed) -> dict[str, str]:
    """What there is, with a backup of it at both places."""
    found = backed.state()
    backed.backup()
    return found


def checks(backed: Backed) -> dict[str, dict[str, str]]:
    """What health says of backups."""
    found = json.loads(itqan("health", backed.copy.stack, "--json", check=False).stdout)["checks"]
    return {check["check"]: check for check in found if check["group"] == "backups"}


def test_rows_are_those_of_one_transaction_while_others_are_written(backed: Backed) -> None:
    """Two rows come at once, and never one of them; age itself opens what is at the second place."""
    backed.sql("CREATE TABLE pairs (id INT)")
    writing = subprocess.Popen(["docker", "exec", backed.copy.outputs["container"], "bash", "-c", WRITES])
    poll(lambda: int(backed.sql("SELECT COUNT(*) FROM pairs")) > 100, 30, "the first rows")
    try:
        backed.backup()
        assert writing.poll() is None, "nothing was written any more"
    finally:
        backed.copy.bash(f"pkill -f 'mysql {DATABASE}$'", check=False)
        writing.wait()
    [entry] = backed.listed()["backups"]
    rows = entry["database"]["tables"]["pairs"]["rows"]
    assert (entry["here"], entry["second"]) == (True, True)
    assert rows >= 100 and rows % 2 == 0
    folder, file = f"/home/keeper/itqan-backups/{backed.copy.stack}", entry["database"]["sealed"]["file"]
    sealed = docker_bytes("exec", backed.place, "cat", f"{folder}/{file}")
    age = f"age -d -i <(echo '{backed.key.read_text().splitlines()[1]}') | gunzip"
    command = ["docker", "exec", "-i", backed.copy.outputs["container"], "bash", "-c", age]
    opened = subprocess.run(command, input=sealed, capture_output=True, check=True).stdout
    assert opened.count(b"(1)") + opened.count(b"(2)") >= rows
    assert len(opened) == entry["database"]["plain"]["bytes"]
    backed.sql("DROP TABLE pairs")


def docker_bytes(*words: str) -> bytes:
    return subprocess.run(["docker", *words], capture_output=True, check=True).stdout


def test_restored_it_is_as_it_was(backed: Backed, before: dict[str, str]) -> None:
    name = backed.newest()
    backed.spoil()
    status, said = backed.restore(name)
    assert status == 0, said
    assert backed.state() == before
    assert backed.copy.get("/up").status == 200
    newest = backed.listed()["backups"][0]
    assert newest["reason"] == f"before the restore of {name}"
    assert "later" in newest["database"]["tables"]
    left = f"mysql -N -e 'SHOW DATABASES' | grep itqan_; find {TENANTS}* -maxdepth 0"
    assert backed.copy.bash(left).split() == [DATABASE, TENANTS]


def test_a_wrong_key_and_a_wrong_name_change_nothing(
    backed: Backed, before: dict[str, str], tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text(private_text(new_key()))
    status, said = backed.restore(key=wrong)
    assert status == 1 and "of none of the public keys" in said
    status, said = backed.restore(typed="something")
    assert status == 1 and "nothing was changed" in said
    assert backed.state() == before


def test_damaged_at_both_places_it_is_refused_before_anything_is_touched(
    backed: Backed, before: dict[str, str]
) -> None:
    name = backed.newest()
    flip = "printf x | dd of={} bs=1 seek=900 conv=notrunc status=none"
    file = f"{name}.database.sql.gz.age"
    backed.copy.bash(flip.format(f"{FOLDER}/{file}"))
    docker("exec", backed.place, "bash", "-c", f"rm -f /home/keeper/itqan-backups/*/{name}.*")
    status, said = backed.restore(name)
    assert status == 1 and "another SHA-256" in said
    assert backed.state() == before
    backed.copy.bash(f"rm {FOLDER}/{name}.*")


def test_out_of_reach_the_second_place_costs_no_backup(backed: Backed) -> None:
    docker("exec", backed.place, "mv", "/home/keeper/.ssh", "/home/keeper/.away")
    done = backed.backup(check=False)
    assert done.returncode == 1 and "the backup here is whole" in done.stderr
    found = checks(backed)
    assert found["last backup"]["state"] == "good"
    assert found["second place"]["state"] == "warn"
    docker("exec", backed.place, "mv", "/home/keeper/.away", "/home/keeper/.ssh")
    backed.backup()
    assert all(entry["second"] for entry in backed.listed()["backups"][:2])
    assert checks(backed)["second place"]["state"] == "good"


def test_a_nightly_run_that_is_killed_is_noted(backed: Backed) -> None:
    script = "systemctl start --no-block itqan-backup; until pgrep -x mysqldump; do sleep 0.01; done"
    backed.copy.bash(f"{script} >/dev/null; systemctl kill -s KILL itqan-backup")
    poll(lambda: checks(backed)["last backup"]["state"] == "warn", 30, "a run that failed")
    assert "killed (signal)" in checks(backed)["last backup"]["found"]
    backed.copy.bash("systemctl start itqan-backup; systemctl is-enabled itqan-backup.timer")
    assert checks(backed)["last backup"]["state"] == "good"
    assert backed.copy.bash(f"find {FOLDER} -name '*.part'") == ""


def test_a_restore_that_is_killed_is_continued_without_the_key(
    backed: Backed, before: dict[str, str]
) -> None:
    name = backed.newest()
    backed.spoil()
    killer = f"until {CLOSED}; do sleep 0.01; done; pkill -KILL -f '^/bin/bash /usr/local/sbin/itqan-backup'"
    killing = subprocess.Popen(["docker", "exec", backed.copy.outputs["container"], "bash", "-c", killer])
    status, said = backed.restore(name)
    assert status == 1, said
    killing.wait()
    assert backed.copy.get("/").status == 503
    assert checks(backed)["last backup"]["state"] == "bad"
    status, said = on_a_terminal("restore", backed.copy.stack, typed="")
    assert status == 0, said
    assert backed.state() == before
    assert backed.copy.get("/up").status == 200

"""What a release refuses before it touches anything, the backup before migrations, what is noted of it."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path

import pytest

from components.sample import sample_repository
from operations.releases import parsed
from tests.fakes.release_host import (
    DUMP,
    NEXT,
    Tool,
    calls,
    commit,
    git,
    log,
    make_application,
    migration,
    needs_root,
)

pytestmark = needs_root


@pytest.fixture
def app(tool: Tool, tmp_path: Path) -> Path:
    """The application at the sample's commit, its migrations run."""
    return make_application(tool, tmp_path)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({".env": "APP_KEY=x\n"}, "has a file .env, which would replace this host's"),
        ({"notes.txt": "theirs\n"}, "brings others of their names; move them away first:\nnotes.txt"),
    ],
)
def test_what_a_checkout_would_overwrite_is_refused(
    tool: Tool, app: Path, tmp_path: Path, files: dict[str, str], reason: str
) -> None:
    (app / "notes.txt").write_text("ours\n")
    done = tool("deploy", "main", commit(app, **files))
    assert done.returncode == 1
    assert reason in done.stderr
    assert (app / "notes.txt").read_text() == "ours\n"
    assert calls(tmp_path) == []
    assert git(app, "rev-parse", "HEAD") == sample_repository().commit


def test_a_file_that_is_the_commits_own_is_not_in_the_way(tool: Tool, app: Path) -> None:
    (app / "notes.txt").write_text("the same\n")
    assert tool("deploy", "main", commit(app, **{"notes.txt": "the same\n"})).returncode == 0


def test_a_dotenv_that_everybody_may_change_is_refused(tool: Tool, app: Path) -> None:
    (app / ".env").chmod(0o666)
    done = tool("deploy", "main", commit(app))
    assert f"may be changed by every user of this host: chmod o-w {app}/.env" in done.stderr


def test_a_lock_file_that_this_host_cannot_satisfy_is_refused(tool: Tool, app: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("composer check-platform-reqs\n")
    (tmp_path / "words").write_text("ext-redis 6.0 success \next-gmp n/a missing\n")
    done = tool("deploy", "main", commit(app, **{"composer.lock": "{}\n"}))
    assert "this host is not what composer.lock of" in done.stderr
    assert done.stderr.count("ext-gmp n/a missing") == 1
    assert "ext-redis" not in done.stderr
    assert "php artisan down --retry=15 --render=errors::503" not in calls(tmp_path)


def test_a_database_that_does_not_answer_is_said_in_its_words(tool: Tool, app: Path, tmp_path: Path) -> None:
    (tmp_path / "no-database").touch()
    done = tool("deploy", "main", commit(app))
    assert done.returncode == 1
    assert "database itqan cannot be reached as the application does" in done.stderr
    assert "ERROR 2002: no server" in done.stderr


def test_too_little_room_is_refused_with_both_sizes(tool: Tool, app: Path, tmp_path: Path) -> None:
    (tmp_path / "bin/df").write_text("#!/bin/sh\necho head\necho fs 99999 99 1024 99% /\n")
    (tmp_path / "bin/df").chmod(0o755)
    done = tool("deploy", "main", commit(app))
    assert "too little free disk space for this release (disk full?): 1 MB of 50 MB" in done.stderr


def test_migrations_are_told_and_backed_up_before_they_run(tool: Tool, app: Path, tmp_path: Path) -> None:
    wanted = migration(app, tmp_path)
    done = tool("deploy", "main", wanted)
    assert done.returncode == 0, done.stderr
    assert f"release: migrations to run: {NEXT}\n" in done.stderr
    [backup] = (tmp_path / "backups").iterdir()
    assert gzip.decompress(backup.read_bytes()).decode() == DUMP
    assert backup.stat().st_mode & 0o777 == 0o600
    assert backup.name.endswith(f"_{sample_repository().commit[:12]}.sql.gz")
    made = calls(tmp_path)
    dumped = next(at for at, call in enumerate(made) if call.startswith("mysqldump"))
    assert "--single-transaction" in made[dumped]
    assert made.index("php artisan down --retry=15 --render=errors::503") < dumped
    assert dumped < made.index("php artisan migrate --force")
    assert log(tmp_path)[-1]["backup"] == str(backup)


@pytest.mark.parametrize(
    "dump", [DUMP.removesuffix("-- Dump completed\n"), DUMP.replace("CREATE TABLE", "-- TABLE"), ""]
)
def test_no_migration_runs_without_a_whole_backup(tool: Tool, app: Path, tmp_path: Path, dump: str) -> None:
    (tmp_path / "dump").write_text(dump)
    done = tool("deploy", "main", migration(app, tmp_path))
    assert done.returncode == 1
    assert "no whole backup of the database could be made (disk full?); no migration was run" in done.stderr
    assert "failed in step 6, migrate" in done.stderr
    assert list((tmp_path / "backups").iterdir()) == []
    assert "php artisan migrate --force" not in calls(tmp_path)


def test_a_database_without_tables_has_no_backup(tool: Tool, app: Path, tmp_path: Path) -> None:
    (tmp_path / "tables").write_text("")
    assert tool("deploy", "main", migration(app, tmp_path)).returncode == 0
    assert list((tmp_path / "backups").iterdir()) == []
    assert "php artisan migrate --force" in calls(tmp_path)


def test_without_a_migration_there_is_no_backup(tool: Tool, app: Path, tmp_path: Path) -> None:
    assert tool("deploy", "main", commit(app)).returncode == 0
    assert list((tmp_path / "backups").iterdir()) == []


def test_going_back_tells_of_migrations_that_stay(tool: Tool, app: Path, tmp_path: Path) -> None:
    assert tool("deploy", "main", migration(app, tmp_path)).returncode == 0
    (tmp_path / "status").write_text("")
    done = tool("deploy", "main", sample_repository().commit)
    assert done.returncode == 0, done.stderr
    old = sample_repository().commit[:12]
    assert f"with migrations that {old} does not know: {NEXT}\n" in done.stderr
    assert "php artisan migrate:rollback --force --step=1" not in calls(tmp_path)


def test_old_backups_go_and_what_a_person_made_stays(tool: Tool, app: Path, tmp_path: Path) -> None:
    older = [f"itqan_2026010{day}_000000_{'a' * 12}.sql.gz" for day in (1, 2, 3)]
    for name in (*older, "itqan_20260101_000000.sql", "by-hand.sql.gz"):
        (tmp_path / "backups" / name).touch()
    assert tool("deploy", "main", migration(app, tmp_path)).returncode == 0
    left = sorted(path.name for path in (tmp_path / "backups").iterdir())
    assert left[:2] == ["by-hand.sql.gz", "itqan_20260101_000000.sql"]
    assert left[2] == older[2]
    assert len(left) == 4


def test_what_is_noted_of_a_release(tool: Tool, app: Path, tmp_path: Path) -> None:
    wanted = commit(app)
    assert tool("deploy", "main", wanted).returncode == 0
    [noted] = log(tmp_path)
    assert noted["author"] == 'Ali "x" B <a@b.c>'
    assert (noted["commit"], noted["from"], noted["ref"]) == (wanted, sample_repository().commit, "main")
    assert (noted["result"], noted["step"], noted["kind"]) == ("released", "", "full")
    assert isinstance(noted["seconds"], float)
    marker = (app / "storage/logs/laravel.log").read_text()
    assert f"staging.NOTICE: released {wanted} (main), full; before it {noted['from']}\n" in marker


def test_a_failure_is_noted_too(tool: Tool, app: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("php view:cache\n")
    assert tool("deploy", "main", commit(app)).returncode == 3
    [noted] = log(tmp_path)
    assert str(noted["result"]).startswith("failed")
    assert noted["step"] == "step 7, clear and cache configuration, routes, views"
    assert not (app / "storage/logs/laravel.log").read_text()


def test_a_log_that_cannot_be_written_takes_no_release_back(tool: Tool, app: Path, tmp_path: Path) -> None:
    (tmp_path / "log/releases.jsonl").mkdir(parents=True)
    wanted = commit(app)
    done = tool("deploy", "main", wanted)
    assert done.returncode == 0, done.stderr
    assert f"release: {tmp_path}/log/releases.jsonl could not be written" in done.stderr
    assert git(app, "rev-parse", "HEAD") == wanted


def test_who_started_it_is_told_by_sudo_and_sshd(app: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "SUDO_USER": "deploy", "SSH_CONNECTION": "192.0.2.9 1 192.0.2.1 22"}
    command = ["bash", str(tmp_path / "tool"), "deploy", "main", commit(app)]
    environment["PATH"] = f"{tmp_path}/bin:{environment['PATH']}"
    subprocess.run(command, check=True, capture_output=True, env=environment)
    assert log(tmp_path)[0]["by"] == "deploy from 192.0.2.9"


def test_the_log_is_read_as_it_is_written(tool: Tool, app: Path, tmp_path: Path) -> None:
    wanted = commit(app)
    tool("deploy", "main", wanted)
    text = (tmp_path / "log/releases.jsonl").read_text()
    [release] = parsed(f'{text}{{"when": "cut')
    assert (release.commit, release.origin, release.succeeded) == (wanted, sample_repository().commit, True)

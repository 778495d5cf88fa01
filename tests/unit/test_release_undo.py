"""A release that does not get to its end is taken back, by itself or by the next run after it was killed."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from components.sample import sample_repository
from tests.fakes.release_host import (
    DUMP,
    Tool,
    calls,
    commit,
    git,
    log,
    make_application,
    make_released,
    migration,
    needs_root,
)

pytestmark = needs_root

# What fails, and the step that is named.
STEPS = {
    "php down": None,
    "composer install": "step 4 and 5",
    "npm ci": "step 4 and 5",
    "npm run": "step 4 and 5",
    "php migrate": "step 6",
    "php config:cache": "step 7",
    "php view:cache": "step 7",
    "php queue:restart": "step 8",
    "php up": "step 9",
}
DOWN = "storage/framework/down"


@pytest.fixture
def app(tool: Tool, tmp_path: Path) -> Path:
    """The application as a release of the sample's commit left it, dependencies, assets, caches included."""
    made = make_released(tool, tmp_path)
    (made / "public/build/app.css").write_text("old")
    return made


def wanted(app: Path, tmp_path: Path) -> str:
    """A commit that has everything made anew, and a migration."""
    migration(app, tmp_path)
    package = (app / "package-lock.json").read_text()
    return commit(
        app,
        **{
            "composer.lock": "{}\n",
            "package-lock.json": f"{package}\n",
            "app__New.php": "<?php\n",
            "robots.txt": "new\n",
        },
    )


def require_old(app: Path, tmp_path: Path) -> None:
    """Commit, branch, dependencies, assets, caches, migrations as before; the site is open."""
    old = sample_repository().commit
    assert git(app, "rev-parse", "HEAD", "main") == f"{old}\n{old}"
    assert git(app, "status", "--porcelain", "--untracked-files=no") == ""
    assert not (app / "app/New.php").exists()
    assert (app / "vendor/autoload.php").read_text().strip() == old
    assert (app / "public/build/app.css").read_text() == "old"
    for cache in ("config.php", "routes-v7.php"):
        assert (app / "bootstrap/cache" / cache).read_text().strip() == old
    assert not (app / DOWN).exists()
    assert "2026_02" not in (tmp_path / "ran").read_text()
    assert [path.name for path in (app / ".git").glob("itqan*")] == []


def failed_once(tmp_path: Path, call: str) -> None:
    """The call fails with the new code, and not with the old one."""
    (tmp_path / "broken").write_text(f"{call}\n")
    (tmp_path / "good").write_text(sample_repository().commit)


@pytest.mark.parametrize("call", [call for call, step in STEPS.items() if step])
def test_a_step_that_fails_is_taken_back(tool: Tool, app: Path, tmp_path: Path, call: str) -> None:
    failed_once(tmp_path, call)
    done = tool("deploy", "main", wanted(app, tmp_path))
    assert done.returncode not in (0, 137)
    require_old(app, tmp_path)
    step = STEPS[call]
    assert f"itqan: release: failed in {step}" in done.stderr
    assert "exit code" in done.stderr and f"    words of {call}\n" in done.stderr
    assert f"itqan: release: {sample_repository().commit[:12]} runs again, as before" in done.stderr
    [noted] = log(tmp_path)
    assert (noted["result"], str(noted["step"]).split(",")[0]) == ("failed, taken back", step)


@pytest.mark.parametrize("call", STEPS)
def test_a_killed_release_is_taken_back_by_the_next_run(
    tool: Tool, app: Path, tmp_path: Path, call: str
) -> None:
    (tmp_path / "fatal").write_text(f"{call}\n")
    assert tool("deploy", "main", wanted(app, tmp_path)).returncode == -9
    (tmp_path / "fatal").write_text("")
    done = tool("clone")
    assert done.returncode == 0, done.stderr
    assert "did not get to its end, it was in step" in done.stderr
    require_old(app, tmp_path)
    assert [entry["result"] for entry in log(tmp_path)] == ["failed, taken back"]


@pytest.mark.parametrize("call", ["php view:cache", "php queue:restart", "php up"])
def test_taking_back_is_gone_on_with_when_it_is_killed(
    tool: Tool, app: Path, tmp_path: Path, call: str
) -> None:
    (tmp_path / "broken").write_text("php migrate\n")
    (tmp_path / "fatal").write_text(f"{call}\n")
    assert tool("deploy", "main", wanted(app, tmp_path)).returncode == -9
    for name in ("broken", "fatal"):
        (tmp_path / name).write_text("")
    assert tool("clone").returncode == 0
    require_old(app, tmp_path)


def test_half_a_checkout_is_taken_back(tool: Tool, app: Path, tmp_path: Path) -> None:
    (tmp_path / "fatal").write_text("composer install\n")
    next_commit = wanted(app, tmp_path)
    tool("deploy", "main", next_commit)
    git(app, "update-ref", "refs/heads/main", sample_repository().commit)
    git(app, "reset", "-q", sample_repository().commit)
    (app / ".git/itqan-checkout").touch()
    assert (app / "app/New.php").exists()
    assert tool("clone").returncode == 0
    require_old(app, tmp_path)


def test_a_process_that_is_killed_alone_is_taken_back_at_once(tool: Tool, app: Path, tmp_path: Path) -> None:
    """Only what does the steps dies, not who guards it."""
    npm = tmp_path / "bin/npm"
    npm.write_text(f"#!/bin/bash\nkill -9 $(pgrep -n -f '^bash {tmp_path}/tool'); sleep 0.3\n")
    (tmp_path / "bin/composer").write_text("#!/bin/bash\nsleep 0.1\n")
    done = tool("deploy", "main", wanted(app, tmp_path))
    assert done.returncode == 137, done.stderr
    assert "exit code 137" in done.stderr
    require_old(app, tmp_path)


def test_after_the_last_step_a_killed_release_counts(tool: Tool, app: Path, tmp_path: Path) -> None:
    done = wanted(app, tmp_path)
    tee = tmp_path / "bin/tee"
    dies = f'case "$*" in *laravel.log) pkill -KILL -f "^bash {tmp_path}/tool" ;; esac'
    tee.write_text(f'#!/bin/bash\n{dies}\nexec /usr/bin/tee "$@"\n')
    tee.chmod(0o755)
    assert tool("deploy", "main", done).returncode == -9
    tee.unlink()
    assert tool("clone").returncode == 0
    assert git(app, "rev-parse", "HEAD") == done
    assert log(tmp_path)[-1]["result"] == "released"
    assert not (app / ".git/itqan-undo").exists()


def test_migrations_of_the_release_are_reversed(tool: Tool, app: Path, tmp_path: Path) -> None:
    failed_once(tmp_path, "php queue:restart")
    before = (tmp_path / "dump").read_text()
    assert tool("deploy", "main", wanted(app, tmp_path)).returncode == 3
    assert "php artisan migrate:rollback --force --step=1" in calls(tmp_path)
    assert (tmp_path / "dump").read_text() == before
    require_old(app, tmp_path)


@pytest.mark.parametrize("why", ["final", "half"])
def test_a_migration_that_cannot_be_reversed_waits_for_a_decision(
    tool: Tool, app: Path, tmp_path: Path, why: str
) -> None:
    (tmp_path / why).touch()
    failed_once(tmp_path, "php queue:restart")
    done = tool("deploy", "main", wanted(app, tmp_path))
    assert done.returncode == 1
    reason = "cannot be reversed" if why == "final" else "has another structure than before"
    assert reason in done.stderr
    [backup] = (tmp_path / "backups").iterdir()
    assert f"sudo itqan-release restore {backup}\n" in done.stderr
    assert "sudo itqan-release accept\n" in done.stderr
    assert git(app, "rev-parse", "HEAD") == sample_repository().commit
    assert (app / DOWN).exists()
    assert "php artisan migrate:rollback --force --step=1" not in calls(tmp_path)
    for command in (["clone"], ["cache"], ["deploy", "main", "a" * 40]):
        refused = tool(*command)
        assert refused.returncode == 1
        assert f"sudo itqan-release restore {backup}\n" in refused.stderr
    assert log(tmp_path)[-1]["result"] == "failed, waits for a decision"


def undecided(tool: Tool, app: Path, tmp_path: Path) -> Path:
    """A release that waits for a decision. Returns its backup."""
    (tmp_path / "final").touch()
    failed_once(tmp_path, "php queue:restart")
    tool("deploy", "main", wanted(app, tmp_path))
    [backup] = (tmp_path / "backups").iterdir()
    (tmp_path / "broken").write_text("")
    return backup


def test_the_backup_is_restored_and_the_site_opens(tool: Tool, app: Path, tmp_path: Path) -> None:
    backup = undecided(tool, app, tmp_path)
    (tmp_path / "dump").write_text(DUMP.replace("(1)", "(2)"))
    done = tool("restore", str(backup))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "loaded").read_text() == DUMP
    assert not (app / DOWN).exists()
    assert not (app / ".git/itqan-undo").exists()
    kept = [path for path in (tmp_path / "backups").iterdir() if path != backup]
    assert gzip.decompress(kept[0].read_bytes()).decode() == DUMP.replace("(1)", "(2)")


def test_half_a_backup_is_not_restored(tool: Tool, app: Path, tmp_path: Path) -> None:
    backup = undecided(tool, app, tmp_path)
    backup.write_bytes(backup.read_bytes()[:-20])
    done = tool("restore", str(backup))
    assert done.returncode == 1
    assert f"{backup} is no whole backup" in done.stderr
    assert "mysql DROP" not in calls(tmp_path)
    assert (app / DOWN).exists()


def test_a_database_can_be_kept_as_it_is(tool: Tool, app: Path, tmp_path: Path) -> None:
    undecided(tool, app, tmp_path)
    assert tool("accept").returncode == 0
    assert (app / DOWN).exists()
    done = tool("deploy", "main", git(app.parent / "work", "rev-parse", "HEAD"))
    assert done.returncode == 0, done.stderr
    assert not (app / DOWN).exists()
    refused = tool("accept")
    assert (refused.returncode, "no release waits for a decision" in refused.stderr) == (1, True)


def test_a_site_that_does_not_work_stays_closed_and_opens_with_the_next_run(
    tool: Tool, app: Path, tmp_path: Path
) -> None:
    (tmp_path / "http").write_text("500")
    failed_once(tmp_path, "php migrate")
    done = tool("deploy", "main", wanted(app, tmp_path))
    assert "does not work with it either (HTTP 500): it stays in maintenance mode" in done.stderr
    assert (app / DOWN).exists()
    (tmp_path / "http").write_text("302")
    assert tool("clone").returncode == 0
    require_old(app, tmp_path)


def test_a_first_release_that_fails_is_only_noted(tool: Tool, tmp_path: Path) -> None:
    app = make_application(tool, tmp_path)
    (app / "vendor/autoload.php").unlink()
    (tmp_path / "broken").write_text("php migrate\n")
    (tmp_path / "status").write_text("  2026_02_01 ... Pending\n")
    done = tool("deploy", "main", sample_repository().commit)
    assert done.returncode == 3
    assert "there is no earlier release to go back to" in done.stderr
    assert (app / "vendor/autoload.php").exists()
    (tmp_path / "broken").write_text("")
    assert tool("deploy", "main", sample_repository().commit).returncode == 0
    assert [entry["result"] for entry in log(tmp_path)] == ["failed", "released"]

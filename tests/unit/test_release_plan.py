"""Quick or full: decided by what differs between what runs and what is wanted, said before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.sample import sample_repository
from tests.fakes.release_host import (
    NEXT,
    Tool,
    calls,
    commit,
    git,
    log,
    make_released,
    migration,
    needs_root,
)

pytestmark = needs_root
DOWN = "php artisan down --retry=15 --render=errors::503"
CODE = {"app/New.php": "<?php\n", "deep/er/file.php": "<?php\n"}
BLADE = {"resources/views/home.blade.php": "new\n"}
SCRIPT = {"resources/js/app.js": "new\n"}


@pytest.fixture
def app(tool: Tool, tmp_path: Path) -> Path:
    """The application as a release left it."""
    return make_released(tool, tmp_path)


def test_php_alone_is_released_quickly(tool: Tool, app: Path, tmp_path: Path) -> None:
    wanted = commit(app, **CODE)
    done = tool("deploy", "main", wanted)
    assert done.returncode == 0, done.stderr
    said = done.stderr.index("release: quick, without maintenance mode: 2 files differ between")
    assert said < done.stderr.index("release: step 3, check out")
    called = [call for call in calls(tmp_path) if "php -r" not in call]
    caches, told = called[:3], called[3:]  # views beside the others; the processes are told at once
    assert set(caches) == {
        *("php artisan config:cache --no-interaction", "php artisan route:cache --no-interaction"),
        "php artisan view:cache",
    }
    assert set(told) == {"php artisan queue:restart", "php artisan reverb:restart"}
    assert git(app, "rev-parse", "HEAD") == wanted
    assert {oct((app / path).stat().st_mode & 0o777) for path in (*CODE, "deep", "deep/er")} == {"0o755"}
    assert log(tmp_path)[0]["kind"] == "quick"


def test_a_template_has_the_assets_built_as_tailwind_reads_it(tool: Tool, app: Path, tmp_path: Path) -> None:
    done = tool("deploy", "main", commit(app, **BLADE))
    assert "release: quick" in done.stderr
    assert "npm run" in calls(tmp_path)
    assert not {"npm ci", "composer install", DOWN} & set(calls(tmp_path))


@pytest.mark.parametrize(
    ("files", "call"),
    [
        ({"composer.lock": "{}\n"}, "composer install"),
        ({"package-lock.json": "{}\n"}, "npm ci"),
        (SCRIPT, "npm run"),
        ({"tailwind.config.js": "new\n"}, "npm run"),
    ],
)
def test_what_dependencies_and_assets_are_made_from_makes_it_full(
    tool: Tool, app: Path, tmp_path: Path, files: dict[str, str], call: str
) -> None:
    done = tool("deploy", "main", commit(app, **files, **CODE))
    assert done.returncode == 0, done.stderr
    assert f"changed: {next(iter(files))}\n" in done.stderr
    assert "release: full: " in done.stderr
    assert {DOWN, call, "php artisan up"} <= set(calls(tmp_path))


def test_a_migration_makes_it_full(tool: Tool, app: Path, tmp_path: Path) -> None:
    done = tool("deploy", "main", migration(app, tmp_path))
    expected = f"release: full: migrations are pending; changed: database/migrations/{NEXT}.php\n"
    assert expected in done.stderr
    assert DOWN in calls(tmp_path)


def test_many_reasons_are_not_all_listed(tool: Tool, app: Path) -> None:
    done = tool("deploy", "main", commit(app, **{f"resources/js/{n}.js": "x\n" for n in range(6)}))
    listed = " ".join(f"resources/js/{n}.js" for n in range(4))
    assert f"release: full: changed: {listed} …\n" in done.stderr


@pytest.mark.usefixtures("app")
def test_full_can_be_asked_for(tool: Tool, tmp_path: Path) -> None:
    done = tool("deploy", "main", sample_repository().commit, "--full")
    assert "release: full: as was asked for" in done.stderr
    assert {DOWN, "php artisan up"} <= set(calls(tmp_path))


def test_quick_can_be_asked_for_and_leaves_npm_out(tool: Tool, app: Path, tmp_path: Path) -> None:
    done = tool("deploy", "main", commit(app, **SCRIPT), "--quick")
    assert done.returncode == 0, done.stderr
    assert "release: assets stay as they are" in done.stderr
    assert not {DOWN, "npm run", "npm ci"} & set(calls(tmp_path))


@pytest.mark.parametrize("what", ["composer install", f"migrate ({NEXT})"])
def test_quick_is_refused_where_it_would_leave_out_what_is_needed(
    tool: Tool, app: Path, tmp_path: Path, what: str
) -> None:
    wanted = migration(app, tmp_path) if "migrate" in what else commit(app, **{"composer.lock": "{}\n"})
    done = tool("deploy", "main", wanted, "--quick")
    assert done.returncode == 1
    assert f"--quick would leave out what {wanted[:12]} cannot do without: {what}; leave" in done.stderr
    assert git(app, "rev-parse", "HEAD") == sample_repository().commit


def test_npm_can_be_left_out_of_a_full_release(tool: Tool, app: Path, tmp_path: Path) -> None:
    wanted = commit(app, **SCRIPT)
    assert tool("deploy", "main", wanted, "--skip-npm").returncode == 0
    assert DOWN in calls(tmp_path)
    assert "npm run" not in calls(tmp_path)
    (tmp_path / "calls").write_text("")
    assert tool("deploy", "main", wanted).returncode == 0
    assert "npm run" not in calls(tmp_path), "the owner has said that they are right"


@pytest.mark.usefixtures("app")
def test_all_tables_anew_are_backed_up_before(tool: Tool, tmp_path: Path) -> None:
    done = tool("deploy", "main", sample_repository().commit, "--fresh")
    assert done.returncode == 0, done.stderr
    made = calls(tmp_path)
    dumped = next(at for at, call in enumerate(made) if call.startswith("mysqldump"))
    assert dumped < made.index("php artisan migrate:fresh --force")
    assert len(list((tmp_path / "backups").iterdir())) == 1


def test_fresh_is_refused_in_production(tool: Tool, app: Path, tmp_path: Path) -> None:
    (app / ".env").write_text("APP_DEBUG=false\nAPP_ENV=production\n")
    done = tool("deploy", "main", sample_repository().commit, "--full", "--fresh")
    assert done.returncode == 1
    assert "--fresh would drop the tables of a production server: refused" in done.stderr
    assert "php artisan migrate:fresh --force" not in calls(tmp_path)


def test_what_is_no_option_is_refused(tool: Tool, app: Path) -> None:
    done = tool("deploy", "main", commit(app), "--now")
    assert done.returncode == 1
    assert "--now is no option of a release: --quick, --full, --skip-npm, --fresh" in done.stderr


def test_a_quick_release_that_fails_is_taken_back_without_maintenance(
    tool: Tool, app: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken").write_text("php queue:restart\n")
    (tmp_path / "good").write_text(sample_repository().commit)
    done = tool("deploy", "main", commit(app, **CODE))
    assert done.returncode == 3
    assert git(app, "rev-parse", "HEAD") == sample_repository().commit
    assert not (app / "deep").exists()
    assert log(tmp_path)[0]["result"] == "failed, taken back"
    assert not {DOWN, "php artisan up"} & set(calls(tmp_path))


def test_files_that_go_are_no_trouble(tool: Tool, app: Path) -> None:
    assert tool("deploy", "main", commit(app, **CODE)).returncode == 0
    done = tool("deploy", "main", sample_repository().commit)
    assert done.returncode == 0, done.stderr
    assert "release: quick" in done.stderr
    assert not (app / "deep").exists()

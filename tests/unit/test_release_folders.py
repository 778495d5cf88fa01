"""itqan-release with the strategy `atomic`: a folder for each release, a link to the one that runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
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

SAMPLE = sample_repository().commit
# The tool dies at one of the exchanges and renames of links that a change of strategy is made of.
DIES = """
steps=0
dies() { if ((++steps == %d)); then kill -9 $$; fi; }
for word in exchange put_link; do eval "really_$(declare -f $word)"; done
exchange() { really_exchange "$@"; dies; }
put_link() { really_put_link "$@"; dies; }
"""


@pytest.fixture
def app(tool: Tool, tmp_path: Path) -> Path:
    """The application as a release in-place left it, with what people and the application put there."""
    made = make_released(tool, tmp_path)
    (made / "storage/app/upload").write_text("kept")
    (made / "notes.txt").write_text("by hand")
    (made / "public/storage").symlink_to(made / "storage/app/public")
    git(made, "update-ref", "refs/heads/mine", SAMPLE)
    return made


@pytest.fixture
def linked(tool: Tool, app: Path) -> Path:
    """The same, as a link to a folder."""
    done = tool("layout", "atomic")
    assert done.returncode == 0, done.stderr
    (app.parent / "calls").write_text("")
    return app


def everything(folder: Path) -> dict[str, str]:
    """Every file by its path, links followed; not git's own, nor what is cached."""
    found = {}
    for path, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if name not in (".git", "cache")]
        for name in files:
            file = Path(path) / name
            found[str(file.relative_to(folder))] = file.read_bytes().decode(errors="replace")
    return found


def folders(app: Path) -> list[str]:
    """The commits that have a folder, in the order of their making."""
    return [path.name.partition("-")[2] for path in sorted((app.parent / ".app").glob("*-*"))]


def require_unchanged(app: Path, before: dict[str, str]) -> None:
    assert everything(app) == before
    assert git(app, "status", "--porcelain", "--untracked-files=no") == ""
    assert git(app, "rev-parse", "refs/heads/mine", "HEAD") == f"{SAMPLE}\n{SAMPLE}"


def test_to_a_link_and_back_loses_nothing(tool: Tool, app: Path) -> None:
    before = everything(app)
    assert tool("layout", "atomic").returncode == 0
    assert app.is_symlink()
    assert folders(app) == [SAMPLE[:12]]
    assert (app / "storage").readlink() == app.parent / ".app/shared/storage"
    require_unchanged(app, before)
    done = tool("layout", "in-place")
    assert done.returncode == 0, done.stderr
    assert not app.is_symlink() and not (app / "storage").is_symlink()
    require_unchanged(app, before)
    assert "sparse" not in (app / ".git/config").read_text().lower()
    assert tool("layout", "atomic").returncode == 0
    assert folders(app) == [SAMPLE[:12]] * 2, "the folder, and the way for requests of before"
    done = tool("deploy", "main", SAMPLE, "--full")
    assert done.returncode == 0, done.stderr
    assert "is still there" not in done.stderr
    assert folders(app) == [SAMPLE[:12]] * 2, "the folder before, and that of the release"
    assert not any(path.is_symlink() for path in (app.parent / ".app").glob("*-*"))
    assert tool("layout", "in-place").returncode == 0
    assert tool("deploy", "main", commit(app, a="1\n")).returncode == 0
    assert not (app.parent / ".app").exists()


def test_two_folders_of_one_second_are_two(tool: Tool, app: Path, tmp_path: Path) -> None:
    assert tool("layout", "atomic").returncode == 0
    (running,) = (app.parent / ".app").glob("*-*")
    # the second in which that was made goes on until the program has asked for it three times
    (tmp_path / "bin/date").write_text(
        f"""#!/bin/bash
if [ "$*" = +%Y%m%dT%H%M%S ] && [ "$(wc -l <{tmp_path}/asked)" -lt 3 ]; then
    echo >>{tmp_path}/asked
    echo {running.name.split("-")[0]}
else
    exec /usr/bin/date "$@"
fi
"""
    )
    (tmp_path / "bin/date").chmod(0o755)
    (tmp_path / "asked").touch()
    done = tool("deploy", "main", SAMPLE, "--full")
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "asked").read_text()) == 3
    assert running.is_dir() and app.resolve() != running
    assert (running / ".env").is_file() and (app / ".env").is_file()


@pytest.mark.parametrize(
    ("strategy", "step"), [("atomic", 1), ("atomic", 2), *(("in-place", step) for step in range(1, 6))]
)
def test_a_change_of_strategy_that_dies_is_finished(tool: Tool, app: Path, strategy: str, step: int) -> None:
    before = everything(app)
    if strategy == "in-place":
        assert tool("layout", "atomic").returncode == 0
    program = app.parent / "tool"
    whole = program.read_text()
    program.write_text(
        whole.replace("\ncase ${1-} in\n    import)", f"{DIES % step}\ncase ${{1-}} in\n    import)")
    )
    assert tool("layout", strategy).returncode == -9
    assert everything(app) == before
    program.write_text(whole)
    assert tool("layout", strategy).returncode == 0
    require_unchanged(app, before)
    assert app.is_symlink() == (strategy == "atomic")
    assert tool("layout", "in-place").returncode == 0
    require_unchanged(app, before)


def test_a_release_is_a_folder_of_its_own_and_takes_everything_along(tool: Tool, linked: Path) -> None:
    old = linked.resolve()
    (old / "vendor/package.php").write_text("<?php")
    before = everything(old)
    (linked / "node_modules").mkdir(exist_ok=True)
    wanted = commit(linked, **{"app/New.php": "<?php\n", "storage/app/new": "of the commit\n"})
    done = tool("deploy", "main", wanted)
    assert done.returncode == 0, done.stderr
    assert "maintenance" not in done.stderr.replace("without maintenance", "")
    assert linked.resolve() != old
    assert git(linked, "rev-parse", "HEAD", "refs/heads/mine") == f"{wanted}\n{SAMPLE}"
    after = everything(linked)
    assert before.pop("storage/logs/laravel.log") in after["storage/logs/laravel.log"]
    assert {name: after.get(name) for name in before} == before
    assert after["storage/app/new"] == "of the commit\n"
    assert after["notes.txt"] == "by hand"
    assert (linked / "public/storage").readlink() == linked / "storage/app/public"
    assert (linked / "vendor/package.php").samefile(old / "vendor/package.php")
    assert (linked / "node_modules").exists() and not (old / "node_modules").exists()
    for folder, has in ((linked.resolve(), wanted), (old, SAMPLE)):
        views = f"'compiled' => '{folder}/bootstrap/cache/views',"
        assert (folder / "bootstrap/cache/config.php").read_text().splitlines() == [has, views]
    assert (log(linked.parent)[-1]["result"], log(linked.parent)[-1]["commit"]) == ("released", wanted)


def test_views_that_all_releases_share_are_not_cleared(tool: Tool, linked: Path, tmp_path: Path) -> None:
    (tmp_path / "other-views").touch()
    (linked / "bootstrap/cache/config.php").write_text(f"{SAMPLE}\n")
    (tmp_path / "calls").write_text("")
    done = tool("deploy", "main", commit(linked, a="1\n"))
    assert "config/view.php does not read VIEW_COMPILED_PATH" in done.stderr
    assert "php artisan view:cache" not in calls(tmp_path)


def test_dependencies_that_change_are_a_copy(tool: Tool, linked: Path) -> None:
    old = linked.resolve()
    (old / "vendor/autoload.php").write_text("old")
    assert tool("deploy", "main", commit(linked, **{"composer.lock": "{}\n"})).returncode == 0
    assert (old / "vendor/autoload.php").read_text() == "old"
    assert (linked / "vendor/autoload.php").read_text() != "old"


@pytest.mark.parametrize(
    ("how", "call"),
    [
        *(("broken", call) for call in ("composer install", "php queue:restart")),
        *(("fatal", call) for call in ("composer install", "npm run", "php migrate", "php config:cache")),
        *(("fatal", call) for call in ("php view:cache", "php queue:restart")),
    ],
)
def test_what_runs_is_left_alone_by_a_release_that_fails_or_dies(
    tool: Tool, linked: Path, tmp_path: Path, call: str, how: str
) -> None:
    before, old = everything(linked), linked.resolve()
    migration(linked, tmp_path)
    wanted = commit(linked, **{"composer.lock": "{}\n", "resources__js__app.js": "//\n"})
    (tmp_path / "good").write_text(SAMPLE)
    (tmp_path / how).write_text(f"{call}\n")
    assert tool("deploy", "main", wanted).returncode != 0
    (tmp_path / how).write_text("")
    (tmp_path / "status").write_text("")
    assert tool("clone").returncode == 0
    assert linked.resolve() == old
    assert folders(linked) == [SAMPLE[:12]]
    require_unchanged(linked, before)
    assert NEXT not in (tmp_path / "ran").read_text()
    assert log(tmp_path)[-1]["result"] == "failed, taken back"
    assert not (tmp_path / ".app/undo").exists()


def test_the_release_before_comes_back_without_building(tool: Tool, linked: Path, tmp_path: Path) -> None:
    wanted = commit(linked, **{"composer.lock": "{}\n", "resources__js__app.js": "//\n"})
    old = linked.resolve()
    assert tool("deploy", "main", wanted).returncode == 0
    (linked / ".env").write_text((linked / ".env").read_text() + "LATER=1\n")
    git(linked, "update-ref", "refs/heads/later", wanted)
    (tmp_path / "calls").write_text("")
    done = tool("deploy", "main", SAMPLE)
    assert done.returncode == 0, done.stderr
    assert "is still there: what it has is not made again" in done.stderr
    assert linked.resolve() == old
    assert not {"composer install", "npm ci", "npm run"} & set(calls(tmp_path))
    assert "LATER=1" in (linked / ".env").read_text()
    assert git(linked, "rev-parse", "HEAD", "refs/heads/later") == f"{SAMPLE}\n{wanted}"
    assert git(linked, "status", "--porcelain", "--untracked-files=no") == ""


def test_earlier_releases_are_kept_but_not_for_ever(
    tool: Tool, linked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KEEP_RELEASES is 2; one that a process works in stays."""
    commits = [SAMPLE]
    shell = linked.resolve()
    for number in range(4):
        commits.append(commit(linked, **{"resources__js__app.js": f"// {number}\n"}))
        (tmp_path / "bin/npm").write_text(
            (tmp_path / "bin/npm").read_text() + f'echo {number} >"$here/public/build/app-{number}.js"\n'
        )
        monkeypatch.chdir(shell)
        done = tool("deploy", "main", commits[-1])
        monkeypatch.undo()
        assert done.returncode == 0, done.stderr
    assert folders(linked) == [commits[0][:12], *(one[:12] for one in commits[-3:])]
    assert f"{commits[0][:12]} stays: a process still works in it" in done.stderr
    assert tool("deploy", "main", commit(linked, b="1\n")).returncode == 0
    assert folders(linked)[0] == commits[-2][:12]
    assert (tmp_path / ".app/assets/build/app-3.js").exists()


def test_who_commits_meanwhile_is_not_overtaken(tool: Tool, linked: Path) -> None:
    old, hook = linked.resolve(), linked / ".git/hooks/post-checkout"
    wanted = commit(linked, a="1\n")
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nunset GIT_DIR; git -C {old} update-ref refs/heads/theirs {SAMPLE}\n")
    hook.chmod(0o755)
    done = tool("deploy", "main", wanted)
    assert done.returncode == 1
    assert "somebody committed, fetched or changed files there during this release" in done.stderr
    assert linked.resolve() == old
    assert git(linked, "rev-parse", "refs/heads/theirs") == SAMPLE


def test_what_runs_already_is_left_alone(tool: Tool, linked: Path, tmp_path: Path) -> None:
    before = linked.resolve()
    (linked / "bootstrap/cache/views").mkdir(exist_ok=True)
    (linked / "bootstrap/cache/views/one.php").touch()
    noted = (tmp_path / "log/releases.jsonl").read_text()
    done = tool("deploy", "main", SAMPLE)
    assert done.returncode == 0, done.stderr
    assert f"{SAMPLE[:12]} runs already: nothing to do" in done.stderr
    assert linked.resolve() == before
    assert not [call for call in calls(tmp_path) if re.search("cache|restart|down|up", call)]
    assert (tmp_path / "log/releases.jsonl").read_text() == noted


@pytest.mark.parametrize("http", ["200", "500"])
def test_what_cannot_be_reversed_waits_for_a_person(
    tool: Tool, linked: Path, tmp_path: Path, http: str
) -> None:
    """The site goes on, if it does, on the database as the migration left it; else it is closed."""
    old = linked.resolve()
    wanted = migration(linked, tmp_path)
    (tmp_path / "half").touch()
    (tmp_path / "http").write_text(http)
    done = tool("deploy", "main", wanted)
    assert done.returncode == 1
    assert linked.resolve() == old
    assert (linked / "storage/framework/down").exists() == (http == "500")
    assert ("the site goes on with both" in done.stderr) == (http == "200")
    assert folders(linked) == [SAMPLE[:12]]
    assert "cannot be taken back" in tool("deploy", "main", SAMPLE).stderr
    (tmp_path / "half").unlink()
    (tmp_path / "http").write_text("200")
    backup = str(log(tmp_path)[0]["backup"])
    restored = tool("restore", backup)
    assert restored.returncode == 0, restored.stderr
    assert not (linked / "storage/framework/down").exists()
    assert not (tmp_path / ".app/undo").exists()


def test_a_worker_at_a_long_job_is_named_and_known(tool: Tool, linked: Path, tmp_path: Path) -> None:
    """One ends when it is told to; the other one goes on, and the release does not wait for it for ever."""
    program = tmp_path / "tool"
    program.write_text(program.read_text().replace("PATIENCE=5", "PATIENCE=1"))
    wait = "while sleep 0.1; do :; done"
    busy = ["bash", "-c", f"trap '' TERM; {wait}", "artisan queue:work", "busy"]
    idle = ["bash", "-c", wait, "artisan queue:work", "idle"]
    with subprocess.Popen(busy, cwd=linked) as first, subprocess.Popen(idle, cwd=linked) as second:
        done = tool("deploy", "main", commit(linked, a="1\n"))
        try:
            assert done.returncode == 0, done.stderr
            assert second.wait(timeout=5) == -15
            assert first.poll() is None
        finally:
            first.kill()
            second.kill()
    told = done.stderr.partition("at a job that began before this release")[2]
    assert "artisan queue:work busy" in told and "idle" not in told
    assert (tmp_path / "itqan-told").read_text().split() == [str(first.pid)]


def test_a_link_of_somebody_else_is_as_good_as_a_folder(tool: Tool, app: Path) -> None:
    app.rename(app.parent / "elsewhere")
    app.symlink_to("elsewhere")
    done = tool("layout", "atomic")
    assert done.returncode == 1
    assert f"{app} is a link to elsewhere, which is not of this stack" in done.stderr
    wanted = commit(app, **{"app/New.php": "<?php\n"})
    assert tool("deploy", "main", wanted).returncode == 0
    assert git(app, "rev-parse", "HEAD") == wanted
    assert str(app.readlink()) == "elsewhere"


def test_a_file_system_that_cannot_exchange_names_is_told(tool: Tool, app: Path) -> None:
    program = app.parent / "tool"
    program.write_text(program.read_text().replace("sys.argv[2]), 2)", "sys.argv[2]), 9999)"))
    done = tool("layout", "atomic")
    assert done.returncode == 1
    assert "cannot change places in one step (Invalid argument); nothing was changed" in done.stderr
    assert not app.is_symlink()
    shutil.rmtree(app.parent / ".app")

"""itqan-release in a folder of its own, with programs in the place of PHP, Composer, npm and the database."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from components.render import host_script
from components.sample import sample_repository

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="setpriv, which gives each step its user, needs root"
)
Tool = Callable[..., "subprocess.CompletedProcess[str]"]

DUMP = "-- MariaDB dump\nCREATE TABLE `visits` (\n);\nINSERT INTO `visits` VALUES (1);\n-- Dump completed\n"
FIRST = "2026_01_01_000001_create_visits_table"
NEXT = "2026_02_01_000000_more"

CONF = """
DOMAIN=itqan.test
DATABASE=itqan
BACKUPS={folder}/backups
KEEP_BACKUPS=2
KEEP_RELEASES=2
PROGRAMS=
ROOT={folder}/app
DEPLOY_USER=root
WEB_USER=root
PHP={folder}/php
REPOSITORY={folder}/origin.git
SSH_COMMAND='ssh -o BatchMode=yes'
COMPOSER_FILE=composer.json
APPLICATION_OWNER=root:root
APPLICATION_MODE=755
WRITABLE_OWNER=root:root
WRITABLE_MODE=775
WRITABLE_PATHS='storage bootstrap/cache'
"""
PLACES = (
    ("/etc/itqan/", "{folder}/etc/"),
    ("/run/lock/", "{folder}/"),
    ("/run/itqan-", "{folder}/itqan-"),
    ("/var/backups/itqan", "{folder}/aside"),
    ("/var/log/itqan", "{folder}/log"),
    ("PATH=/usr", "PATH={folder}/bin:/usr"),
)
# Before each program: where a line of `broken` names the call, it fails, unless the commit in `good` runs;
# where one of `fatal` does, the release dies.
# They work in the folder that they are called in: the application's, or that of a release beside it.
HEAD = """#!/bin/bash
here=$PWD
cd {folder}
stop_at() {{
    local runs
    runs=$(git -C "$here" rev-parse HEAD 2>/dev/null || echo none)
    if grep -qxF -- "$1" broken && [ "$runs" != "$(cat good)" ]; then
        echo "words of $1" >&2
        exit 3
    fi
    if grep -qxF -- "$1" fatal; then pkill -KILL -f "^bash {folder}/tool"; exit 3; fi
}}
"""
# What each program does: it notes how it was called, and makes what the real one makes.
PROGRAMS = {
    "php": """echo "php $*" >>calls
case $2 in *token_get_all*) cat >/dev/null; [ ! -e final ]; exit ;; esac
if [ "$1" = -r ]; then exit; fi
stop_at "php $2"
case $2 in
    migrate:status) cat status ;;
    migrate) sed -n 's/^ *\\([^ ]*\\) .* Pending$/\\1/p' status >>ran; sed -i '1i -- structure' dump
        if [ -e half ]; then sed -i '$d' ran; exit 3; fi ;;
    migrate:rollback) sed -i '$d' ran; sed -i '/^-- structure$/d' dump ;;
    down) touch "$here/storage/framework/down" ;;
    up) rm -f "$here/storage/framework/down" ;;
    config:cache) git -C "$here" rev-parse HEAD >"$here/$APP_CONFIG_CACHE"
        if [ -n "$VIEW_COMPILED_PATH" ] && ! [ -e other-views ]; then
            echo "'compiled' => '$VIEW_COMPILED_PATH'," >>"$here/$APP_CONFIG_CACHE"
        fi ;;
    route:cache) git -C "$here" rev-parse HEAD >"$here/$APP_ROUTES_CACHE" ;;
esac""",
    "bin/composer": """echo "composer $1" >>calls
cat words
stop_at "composer $1"
if [ "$1" = install ]; then
    mkdir -p "$here/vendor"
    git -C "$here" rev-parse HEAD >"$here/vendor/autoload.php"
fi""",
    "bin/npm": """echo "npm $1" >>calls
stop_at "npm $1"
if [ "$1" = ci ]; then mkdir -p "$here/node_modules"; else mkdir -p "$here/public/build"; fi""",
    "bin/mysql": 'case "$*" in\n'
    "*'SELECT migration'*LIMIT*) tail -n 1 ran ;;\n*'SELECT migration'*) cat ran ;;\n"
    "*'COUNT(*)'*) wc -l <tables ;;\n*data_length*) echo 10 ;;\n"
    "*'SELECT CONCAT'*) echo CHARACTER SET utf8mb4 ;;\n*DROP*) echo mysql DROP >>calls ;;\n"
    "*--defaults-file=/etc/mysql/debian.cnf\\ itqan | *--no-defaults\\ itqan) cat >loaded ;;\n"
    "*'SELECT 1 FROM information_schema'*) head -n 1 tables ;;\n"
    '*) if [ -e no-database ]; then echo "ERROR 2002: no server" >&2; exit 1; fi ;;\nesac',
    "bin/curl": "cat >/dev/null; cat http",
    "bin/mysqldump": 'echo "mysqldump $*" >>calls; cat dump',
}


def make_tool(folder: Path) -> Tool:
    """The tool below `folder`. Returns a function that runs it."""
    (folder / "etc").mkdir()
    (folder / "etc/release.conf").write_text(CONF.format(folder=folder))
    script = host_script("release/release.sh")
    for place, own in PLACES:
        script = script.replace(place, own.format(folder=folder))
    (folder / "tool").write_text(script.replace("wait_until 10 site_works", "wait_until 1 site_works"))
    (folder / "http").write_text("200")
    for name in ("app", "bin", "backups"):
        (folder / name).mkdir()
    for name in ("tables", "ran", "status", "calls", "broken", "good", "fatal", "words"):
        (folder / name).touch()
    for program, text in PROGRAMS.items():
        path = folder / program
        path.write_text(f"{HEAD.format(folder=folder)}{text}\n")
        path.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"}

    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = ["bash", str(folder / "tool"), *arguments]
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, check=False, timeout=60, env=environment
        )

    return run


def make_application(tool: Tool, folder: Path) -> Path:
    """The application at the sample's commit, its migrations run, its database with one table."""

    sample = sample_repository()
    assert tool("import", f"{folder}/origin.git", "main", stdin=sample.stream).returncode == 0
    assert tool("clone").returncode == 0
    app = folder / "app"
    git(app, "checkout", "-q", "-f", "-B", "main", sample.commit)
    (app / ".env").write_text('APP_DEBUG=false\nAPP_ENV=staging\nAPP_TIMEZONE="Asia/Riyadh"\n')
    (folder / "ran").write_text("".join(f"{path.stem}\n" for path in (app / "database/migrations").iterdir()))
    (folder / "tables").write_text("1\n")
    (folder / "dump").write_text(DUMP)
    (app / "vendor").mkdir()
    (app / "vendor/autoload.php").touch()
    return app


def make_released(tool: Tool, folder: Path) -> Path:
    """The application as a release of the sample's commit left it; what was called and noted is forgotten."""
    made = make_application(tool, folder)
    (made / "vendor/autoload.php").unlink()
    done = tool("deploy", "main", sample_repository().commit)
    assert done.returncode == 0, done.stderr
    for name in ("calls", "log/releases.jsonl"):
        (folder / name).write_text("")
    return made


def git(folder: Path, *words: str) -> str:
    """Standard output of git, with an identity."""
    identity = ["-c", 'user.name=Ali "x" B', "-c", "user.email=a@b.c"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit(app: Path, **files: str) -> str:
    """A commit of the repository with further files, `__` for a slash; the checkout stays where it is."""
    work = app.parent / "work"
    if not work.exists():
        git(app.parent, "clone", "-q", "origin.git", "work")
    for name, content in files.items():
        path = work / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    git(work, "add", "-A", "-f")
    git(work, "commit", "-q", "--allow-empty", "-m", "next")
    git(work, "push", "-q", "origin", "HEAD:main")
    return git(work, "rev-parse", "HEAD")


def migration(app: Path, tmp_path: Path) -> str:
    """A commit with one more migration, which the application says is pending."""
    (tmp_path / "status").write_text(f"  {FIRST} ........ [1] Ran\n  {NEXT} ............. Pending\n")
    return commit(app, **{f"database__migrations__{NEXT}.php": "<?php\n"})


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "calls").read_text().splitlines()


def log(tmp_path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (tmp_path / "log/releases.jsonl").read_text().splitlines()]

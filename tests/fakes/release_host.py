"""itqan-release in a folder of its own, with programs in the place of PHP, Composer, npm and the database."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from components.render import host_script

Tool = Callable[..., "subprocess.CompletedProcess[str]"]

CONF = """
DATABASE=itqan
BACKUPS={folder}/backups
KEEP_BACKUPS=2
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
    ("/var/backups/itqan", "{folder}/aside"),
    ("/var/log/itqan", "{folder}/log"),
    ("PATH=/usr", "PATH={folder}/bin:/usr"),
)
# What each program does: it notes how it was called, makes what the real one makes, and fails where a line of
# `broken` says so.
PROGRAMS = {
    "php": """echo "php $*" >>calls
if [ "$1" = -r ]; then exec cat >/dev/null; fi
if grep -qxF -- "php $2" broken; then exit 1; fi
case $2 in
    migrate:status) cat status ;;
    down) touch app/storage/framework/down ;;
    up) rm -f app/storage/framework/down ;;
    config:cache) git -C app rev-parse HEAD >"app/$APP_CONFIG_CACHE" ;;
    route:cache) git -C app rev-parse HEAD >"app/$APP_ROUTES_CACHE" ;;
esac""",
    "bin/composer": """echo "composer $1" >>calls
cat words
if grep -qxF "composer $1" broken; then exit 1; fi
if [ "$1" = install ]; then mkdir -p app/vendor; git -C app rev-parse HEAD >app/vendor/autoload.php; fi""",
    "bin/npm": """echo "npm $1" >>calls
if grep -qxF "npm $1" broken; then exit 1; fi
if [ "$1" = ci ]; then mkdir -p app/node_modules; else mkdir -p app/public/build; fi""",
    "bin/mysql": 'case "$*" in\n'
    "*'SELECT migration'*) cat ran ;;\n*'COUNT(*)'*) wc -l <tables ;;\n*data_length*) echo 10 ;;\n"
    "*'SELECT 1 FROM information_schema'*) head -n 1 tables ;;\n"
    '*) if [ -e no-database ]; then echo "ERROR 2002: no server" >&2; exit 1; fi ;;\nesac',
    "bin/mysqldump": 'echo "mysqldump $*" >>calls; cat dump',
}


def make_tool(folder: Path) -> Tool:
    """The tool below `folder`. Returns a function that runs it."""
    (folder / "etc").mkdir()
    (folder / "etc/release.conf").write_text(CONF.format(folder=folder))
    script = host_script("release/release.sh")
    for place, own in PLACES:
        script = script.replace(place, own.format(folder=folder))
    (folder / "tool").write_text(script)
    for name in ("app", "bin", "backups"):
        (folder / name).mkdir()
    for name in ("tables", "ran", "status", "calls", "broken", "words"):
        (folder / name).touch()
    for program, text in PROGRAMS.items():
        path = folder / program
        path.write_text(f"#!/bin/bash\ncd {folder}\n{text}\n")
        path.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"}

    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = ["bash", str(folder / "tool"), *arguments]
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, check=False, timeout=60, env=environment
        )

    return run

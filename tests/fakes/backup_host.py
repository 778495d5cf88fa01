"""itqan-backup in a folder of its own, with programs in the place of age, database and second place."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from components.backups import tools
from components.render import host_script

DUMP = """-- MariaDB dump 10.19-11.8.9-MariaDB
CREATE TABLE `visits` (
INSERT INTO `visits` VALUES (1,'a'),(2,'b');
-- Dump completed
"""
OWNER = "itqan/prod i0123"
RELEASE_CONF = """
DOMAIN=itqan.test
DATABASE=itqan
BACKUPS={folder}/backups
ROOT={folder}/app
DEPLOY_USER=root
WEB_USER=root
PHP=php
SSH_COMMAND=ssh
"""
CONF = """
RECIPIENTS='age1one age1two'
KEEP='7 4 12'
FILES=storage/app/tenants
"""
PLACE = """
PLACE=sftp
PLACE_WORDS='keeper@second'
PLACE_FOLDER=itqan/prod
PLACE_HOST=second
PLACE_PORT=22
PLACE_USER=keeper
"""
PLACES = (
    ("/usr/local/sbin/itqan-backup-book", "{folder}/bin/book"),
    ("/etc/itqan/", "{folder}/etc/"),
    ("/var/lib/itqan", "{folder}/lib"),
    ("/var/log/itqan", "{folder}/log"),
    ("/run/lock/", "{folder}/"),
    ("/var/backups/itqan", "{folder}/aside"),
    ("PATH=/usr", "PATH={folder}/bin:/usr"),
)
# Before each program: where a line of `broken` names it, it fails; where one of `fatal` does, the tool dies.
HEAD = """#!/bin/bash
cd {folder}
if grep -qxF -- "${{0##*/}}" fatal; then pkill -KILL -f "^bash {folder}/tool"; exit 3; fi
if grep -qxF -- "${{0##*/}}" broken; then echo "words of ${{0##*/}}" >&2; exit 3; fi
"""
# `sftp` keeps the second place in the folder `second`, and fails at what it cannot do, as the real one does;
# it has no extension by which a rename replaces what is there.
PROGRAMS = {
    "mysqldump": 'echo "mysqldump $*" >>calls; cat dump',
    "mysql": 'case "$*" in\n'
    "*log_bin_basename*) echo /logs/binlog ;;\n*binlog_format*) cat format ;;\n*'BINARY LOGS'*) cat logs ;;\n"
    "*log_bin*) cat log_bin ;;\n*data_length*) echo 10 ;;\n*VERSION*) echo 8.0.44 ;;\n"
    "*migration*) echo first ;;\nesac",
    "age": 'if [ "$1" = --version ]; then echo 1.2.1; else echo "age $*" >>calls; printf "SEALED "; cat; fi',
    "df": "echo head; echo fs 1 1 $(cat free) 1 /",
    "sftp": """while read -r verb from to; do
    case $verb in
        -mkdir) mkdir -p "second/$from" ;;
        ls) ls -ln "second/${from#-ln }" 2>/dev/null || ls -ln "second/$to" ;;
        put) cp "$from" "second/$to" ;;
        get) cp "second/$from" "$to" ;;
        rename) [ ! -e "second/$to" ] && mv "second/$from" "second/$to" ;;
        rm) rm "second/$from" ;;
    esac || exit 1
done""",
}


class Host:
    """The tool, and what it works on."""

    def __init__(self, folder: Path, *, second: bool = False) -> None:
        self.folder = folder
        self.backups = folder / "backups"
        self.second = folder / "second/itqan/prod"
        for name in ("etc", "bin", "backups", "app/storage/app/tenants/t1", "log", "second"):
            (folder / name).mkdir(parents=True)
        (folder / "app/storage/app/tenants/t1/a b").write_text("of a tenant")
        self.write("etc/release.conf", RELEASE_CONF.format(folder=folder))
        self.write("etc/stack", f"stack {OWNER}\n")
        if second:
            self.write("etc/backup.mac", "key\n")
        self.write("etc/backup.conf", CONF + (PLACE if second else ""))
        self.write("dump", DUMP)
        self.write("free", "99999999")
        self.write("log_bin", "0")
        self.write("format", "ROW")
        self.write("logs", "binlog.000006 99\nbinlog.000007 99\n")
        for name in ("calls", "broken", "fatal"):
            self.write(name, "")
        self._program("bin/book", tools()[0].payload or "")
        for name, text in PROGRAMS.items():
            self._program(f"bin/{name}", f"{HEAD.format(folder=folder)}{text}\n")
        script = host_script("backup/backup.sh")
        for place, own in PLACES:
            script = script.replace(place, own.format(folder=folder))
        self.write("tool", script)

    def write(self, name: str, text: str) -> None:
        """A file of the folder."""
        (self.folder / name).write_text(text)

    def _program(self, name: str, text: str) -> None:
        self.write(name, text)
        (self.folder / name).chmod(0o755)

    def run(self, *words: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """The tool as systemd or a person starts it."""
        environment = {**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}", **variables}
        return subprocess.run(
            ["bash", str(self.folder / "tool"), *words],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=environment,
        )

    def made(self) -> str:
        """The name of a backup that is made now."""
        done = self.run("make")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def names(self) -> list[str]:
        """What the backups' folder has."""
        return sorted(path.name for path in self.backups.iterdir())

    def manifest(self, name: str) -> dict[str, Any]:
        """What is known of a backup."""
        found: dict[str, Any] = json.loads((self.backups / f"{name}.json").read_text())
        return found

    def result(self, kind: str) -> str:
        """State and words of the last run of a kind."""
        path = self.folder / "lib/backup" / kind
        return path.read_text().partition(" ")[2].strip() if path.exists() else ""

    def old(self, day: str, where: Path | None = None) -> str:
        """A complete backup of a day. Returns its name."""
        name = f"backup_{day}T023000Z_0123456789ab"
        folder = where or self.backups
        folder.mkdir(parents=True, exist_ok=True)
        part = {"file": f"{name}.database.sql.gz.age", "bytes": 3, "sha256": "0" * 64}
        (folder / part["file"]).write_text("old")  # type: ignore[operator]
        (folder / f"{name}.json").write_text(json.dumps({"name": name, "database": {"sealed": part}}))
        return name

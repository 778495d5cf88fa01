"""Backups of a copy as the tests see them: a host with SFTP as their second place, a key, a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .copy import ROOT, Copy, itqan, poll, pulumi

DATABASE = "itqan_platform"
TENANTS = "/var/www/itqan-platform/storage/app/tenants"
FOLDER = "/home/deploy/backups"
# Everything that a table does not take with it when it moves, and values that look like the end of a row.
ODD = """
CREATE TABLE parents (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(200));
CREATE TABLE children (id INT PRIMARY KEY AUTO_INCREMENT, parent INT, b BLOB, n INT DEFAULT 4,
 twice INT AS (n * 2) STORED, CONSTRAINT of_parent FOREIGN KEY (parent) REFERENCES parents (id));
CREATE TABLE `odd``name (x)` (id INT);
INSERT INTO parents (name) VALUES ('x'), ('it''s (a), ''b''; \\\\ "q"\\n),('), (NULL);
INSERT INTO children (parent, b) VALUES (1, x'00ff27295c'), (2, NULL);
CREATE VIEW seen AS SELECT c.id, p.name FROM children c JOIN parents p ON p.id = c.parent;
CREATE TRIGGER noticed BEFORE INSERT ON parents FOR EACH ROW INSERT INTO `odd``name (x)` VALUES (9);
CREATE PROCEDURE nothing() SELECT 1;
"""
OBJECTS = (
    "SELECT GROUP_CONCAT(name ORDER BY name) FROM (SELECT table_name AS name FROM information_schema.tables"
    f" WHERE table_schema = '{DATABASE}' UNION SELECT trigger_name FROM information_schema.triggers"
    f" WHERE trigger_schema = '{DATABASE}' UNION SELECT routine_name FROM information_schema.routines"
    f" WHERE routine_schema = '{DATABASE}') AS found"
)


@dataclass(frozen=True)
class Backed:
    """A copy with backups.

    place   the name of the container that is their second place
    key     the file with the private key
    """

    copy: Copy
    place: str
    key: Path

    def sql(self, statements: str) -> str:
        """Rows of the database."""
        return subprocess.run(
            ["docker", "exec", "-i", self.copy.outputs["container"], "mysql", "-N", DATABASE],
            input=statements,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    def state(self) -> dict[str, str]:
        """What a restore brings back: rows, what stands beside the tables, files."""
        return {
            "parents": self.sql("SELECT GROUP_CONCAT(HEX(name) ORDER BY id) FROM parents"),
            "children": self.sql("SELECT GROUP_CONCAT(CONCAT_WS('-', id, HEX(b), twice)) FROM children"),
            "objects": self.sql(OBJECTS),
            "view": self.sql("SELECT COUNT(*) FROM seen"),
            "files": self.copy.bash(
                f"cd {TENANTS}; find . -printf '%p %u:%g %m\\n' | sort; find . -type f -exec sha256sum {{}} +"
            ),
        }

    def spoil(self) -> None:
        """What somebody does who needs a backup."""
        self.sql("DROP VIEW seen; DROP TRIGGER noticed; DELETE FROM children; CREATE TABLE later (id INT)")
        self.copy.bash(f"rm -r {TENANTS}/one; echo new >{TENANTS}/new.txt")

    def backup(self, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A backup now."""
        return itqan("backup", self.copy.stack, check=check)

    def listed(self) -> dict[str, Any]:
        """What there is."""
        found: dict[str, Any] = json.loads(itqan("backup", "list", self.copy.stack, "--json").stdout)
        return found

    def newest(self) -> str:
        """The newest one's name."""
        return str(self.listed()["backups"][0]["name"])

    def restore(self, *words: str, key: Path | None = None, typed: str = DATABASE) -> tuple[int, str]:
        """A restore on a terminal. Returns its exit status and what it said."""
        command = ["restore", self.copy.stack, *words, "--identity", str(key or self.key)]
        return on_a_terminal(*command, typed=typed)


def on_a_terminal(*words: str, typed: str) -> tuple[int, str]:
    """`./itqan` on a terminal, where somebody types a line. Returns its exit status and what it said."""
    ours, its = pty.openpty()
    os.write(ours, f"{typed}\n".encode())
    done = subprocess.run(
        [str(ROOT / "itqan"), *words], cwd=ROOT, stdin=its, capture_output=True, text=True, check=False
    )
    os.close(its)
    os.close(ours)
    return done.returncode, done.stdout + done.stderr


SSHD = """
useradd -m keeper
install -d -o keeper -m 700 /home/keeper/.ssh
install -o keeper -m 600 /root/login.pub /home/keeper/.ssh/authorized_keys
chown root:root /root/host
chmod 600 /root/host
mkdir -p /run/sshd
exec /usr/sbin/sshd -D -e -h /root/host
"""


@contextmanager
def second_place(copy: Copy, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """A real sshd beside the copy. Gives the container's name and what the settings say of it."""
    for name in ("login", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    server = copy.outputs["container"]
    network, name = server.removesuffix("-server"), f"{server.removesuffix('-server')}-place"
    image = docker("inspect", "--format", "{{.Config.Image}}", server)
    docker("create", "--name", name, "--network", network, "--entrypoint", "bash", image, "-ec", SSHD)
    try:
        docker("cp", str(folder / "login.pub"), f"{name}:/root/login.pub")
        docker("cp", str(folder / "host"), f"{name}:/root/host")
        docker("start", name)
        address = docker(
            "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name
        )
        kind, key, *_ = (folder / "host.pub").read_text().split()
        poll(lambda: "Server listening" in docker("logs", name), 30, "sshd of the second place")
        yield name, ["type=sftp", f"host={address}", "user=keeper", f"hostKey={kind} {key}"]
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)


def docker(*words: str) -> str:
    """What docker says, on both streams: an sshd's log is an error's."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=True)
    return (done.stdout + done.stderr).strip()


@contextmanager
def backed_up(copy: Copy, folder: Path) -> Iterator[Backed]:
    """The copy with a key, a second place and the nightly run."""
    with second_place(copy, folder) as (place, settings):
        key = folder / "identity"
        itqan("backup", "key", copy.stack, str(key))
        plain = [word for one in settings for word in ("--plaintext", f"itqan:backup.second.{one}")]
        pulumi("config", "set-all", "--stack", copy.stack, "--path", *plain)
        secret = ["config", "set", "--secret", "--stack", copy.stack, "itqan:backupPrivateKey"]
        pulumi(*secret, stdin=(folder / "login").read_text())
        itqan("up", "--stack", copy.stack)
        yield Backed(copy, place, key)

"""Where secrets are found after runs: processes, what the engine keeps, files and journal of a host."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
APPLICATION = "/var/www/itqan-platform"
# What has to know a secret, on the server.
KNOW = {
    f"{APPLICATION}/.env",
    f"{APPLICATION}/bootstrap/cache/config.php",  # Laravel's own cache of .env and config/
    "/etc/itqan/database.cnf",
    "/etc/itqan/redis.login",
    "/etc/redis/itqan.conf",
    "/etc/letsencrypt/rfc2136.ini",
    "/etc/ssh/ssh_host_ed25519_key",
    "/home/deploy/.ssh/itqan_deploy",
    "/etc/itqan/repository.token",
}
# What every browser is given and asks for (Pusher's protocol, /app/KEY), so that nginx logs it.
IN_ADDRESSES = {"reverbAppKey"}
# Homes with the histories of shells and clients, logs, and everything that a run writes.
FOLDERS = "/etc /home /root /opt /run /srv /tmp /usr/local /var"
# Histories of this machine's shells and clients.
HISTORIES = ".*_history"
# The web user, Debian's and Ubuntu's www-data. Laravel puts .env into its environment while no configuration
# is cached, and its scheduler's children inherit it; who can read it there is who can read .env.
WEB_USER = 33
SHORT = 8  # characters below which a value may occur by chance: REVERB_APP_ID is a number


def needles(values: Mapping[str, str]) -> dict[str, str]:
    """A line of each secret that identifies it, by the secret's name."""
    lines = {name: _line(value.strip().splitlines()) for name, value in values.items()}
    return {name: line for name, line in lines.items() if len(line) >= SHORT}


def _line(lines: list[str]) -> str:
    """Of a key, the last line but one: OpenSSH keys begin alike, then comes the public half."""
    return lines[-3] if "PRIVATE" in lines[0] and len(lines) > 3 else max(lines[:3], key=len)


class Sampler(threading.Thread):
    """Reads the arguments and the environment of every process, containers' included, again and again.

    texts    all that was read; looked through at the end, as some secrets are only made meanwhile
    rounds   how many times
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._ended = threading.Event()
        self.texts: set[tuple[str, bytes]] = set()
        self.rounds = 0

    def run(self) -> None:
        while not self._ended.wait(0.02):
            self.rounds += 1
            for process in Path("/proc").glob("[0-9]*"):
                self._look(process)

    def _look(self, process: Path) -> None:
        for name in ("cmdline", "environ"):
            try:
                if name == "environ" and process.stat().st_uid == WEB_USER:
                    return
                self.texts.add((name, (process / name).read_bytes()))
            except OSError:  # it has ended
                return

    def found(self, secrets: Mapping[str, str]) -> set[str]:
        """Which secrets stood in which processes."""
        return {
            f"{name} in {kind} of {text[:60]!r}"
            for kind, text in self.texts
            for name, secret in secrets.items()
            if secret.encode() in text
        }

    def saw(self, program: str) -> bool:
        """Whether a process of a program was among them."""
        return any(program.encode() in text for kind, text in self.texts if kind == "cmdline")

    def end(self) -> None:
        self._ended.set()
        self.join()


@contextmanager
def sampled() -> Iterator[Sampler]:
    """A sampler that works meanwhile."""
    sampler = Sampler()
    sampler.start()
    try:
        yield sampler
    finally:
        sampler.end()


def kept_by_the_engine() -> list[Path]:
    """State, logs and whatever else runs leave in the checkout, and the histories of this machine."""
    files = [path for path in (ROOT / ".itqan").rglob("*") if path.is_file() and "venv" not in path.parts]
    kept = [path for path in files if {"state", "logs", "stamps", "context"} & set(path.parts)]
    return [*kept, *(path for path in Path.home().glob(HISTORIES) if path.is_file())]


def found_in(files: list[Path], secrets: Mapping[str, str]) -> set[str]:
    """Which secrets are in which files."""
    contents = [(path, path.read_bytes()) for path in files if path.is_file()]
    return {
        f"{name} in {path}"
        for path, content in contents
        for name, text in secrets.items()
        if text.encode() in content
    }


def found_on(container: str, secrets: Mapping[str, str]) -> set[str]:
    """Files of a host that have a secret; `journal` stands for its journal."""
    # the patterns on standard input: as arguments they would stand in a process list
    script = (
        "patterns=$(mktemp -p /dev/shm) && cat >$patterns && "
        f"grep -rlFs -f $patterns {FOLDERS}; "
        "journalctl -q --no-pager -a | grep -qF -f $patterns && echo journal; rm $patterns"
    )
    found = subprocess.run(
        ["docker", "exec", "-i", container, "bash", "-c", script],
        input="".join(f"{text}\n" for text in secrets.values()),
        capture_output=True,
        text=True,
        check=False,
    )
    return set(found.stdout.split())

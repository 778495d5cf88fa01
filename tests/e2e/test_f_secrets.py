"""Secrets of a copy: where they may be found after every kind of run, and nowhere else."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .copy import ROOT, Copy, itqan, poll, pulumi

APPLICATION = "/var/www/itqan-platform"
# What has to know a secret, on the server.
KNOW = {
    f"{APPLICATION}/.env",
    f"{APPLICATION}/bootstrap/cache/config.php",  # Laravel's own cache of .env and config/
    "/etc/itqan/database.cnf",
    "/etc/letsencrypt/rfc2136.ini",
    "/etc/ssh/ssh_host_ed25519_key",
}
FOLDERS = "/etc /home /root /opt /run /srv /tmp /usr/local /var"
SHORT = 8  # characters below which a value may occur by chance: REVERB_APP_ID is a number


def needles(values: dict[str, str]) -> dict[str, str]:
    """A line of each secret that identifies it: of a key in PEM text, one from its middle."""
    lines = {name: max(value.strip().splitlines()[:3], key=len) for name, value in values.items()}
    pem = {name: value.strip().splitlines()[1] for name, value in values.items() if "PRIVATE" in value}
    return {name: line for name, line in {**lines, **pem}.items() if len(line) >= SHORT}


@pytest.fixture(scope="module")
def secrets(copy: Copy) -> dict[str, str]:
    """A text by which each secret of the copy is recognised, by name."""
    shown = json.loads(pulumi("config", "--show-secrets", "--json", "--stack", copy.stack).stdout)
    made = needles(json.loads(shown["itqan:secrets"]["value"]))
    assert {"appKey", "databasePassword", "tsigSecret", "sshPrivateKey"} <= made.keys()
    return made


class Sampler(threading.Thread):
    """Reads the arguments and the environment of every process, containers' included, again and again."""

    def __init__(self, secrets: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self._secrets = {name: text.encode() for name, text in secrets.items()}
        self._ended = threading.Event()
        self.seen: set[str] = set()
        self.rounds = 0

    def run(self) -> None:
        while not self._ended.wait(0.02):
            self.rounds += 1
            for process in Path("/proc").glob("[0-9]*"):
                self._look(process)

    def _look(self, process: Path) -> None:
        for name in ("cmdline", "environ"):
            try:
                text = (process / name).read_bytes()
            except OSError:  # it has ended
                return
            known = [key for key, value in self._secrets.items() if value in text]
            self.seen.update(f"{key} in {name} of {text[:60]!r}" for key in known)

    def end(self) -> None:
        self._ended.set()
        self.join()


@contextmanager
def sampled(secrets: dict[str, str]) -> Iterator[Sampler]:
    sampler = Sampler(secrets)
    sampler.start()
    try:
        yield sampler
    finally:
        sampler.end()


def said(*arguments: str) -> str:
    result = itqan(*arguments, check=False)
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def told(copy: Copy, secrets: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What every kind of run said while each secret file was written anew, one run failing."""
    page = tmp_path_factory.mktemp("pages") / "audit.html"
    copy.bash(f"rm {APPLICATION}/.env /etc/itqan/database.cnf /etc/letsencrypt/rfc2136.ini")
    texts = {"preview": said("preview", "--diff", "--stack", copy.stack)}
    texts["audit"] = said("audit", "--html", str(page), "--stack", copy.stack)
    texts["page"] = page.read_text(encoding="utf-8")
    texts["json"] = said("audit", "--json", "--stack", copy.stack)
    with sampled(secrets) as sampler:
        copy.bash("mount --bind /etc/itqan /etc/itqan && mount -o remount,ro,bind /etc/itqan")
        failed = itqan("up", "--stack", copy.stack, check=False)
        copy.bash("umount /etc/itqan")
        assert failed.returncode == 1
        texts["failed up"] = failed.stdout + failed.stderr
        texts["up"] = said("up", "--stack", copy.stack)
    texts["processes"] = "\n".join(sampler.seen)
    assert sampler.rounds > 10
    poll(lambda: itqan("audit", "--stack", copy.stack, check=False).returncode == 0, 30, "a clean copy")
    return texts


@pytest.mark.parametrize("run", ["preview", "audit", "page", "json", "failed up", "up"])
def test_no_run_says_one(told: dict[str, str], secrets: dict[str, str], run: str) -> None:
    assert told[run]
    assert [name for name, text in secrets.items() if text in told[run]] == []


def test_no_process_has_one_in_its_arguments_or_environment(told: dict[str, str]) -> None:
    assert told["processes"] == ""


@pytest.mark.usefixtures("told")
def test_state_and_logs_have_none(secrets: dict[str, str]) -> None:
    files = [path for path in (ROOT / ".itqan").rglob("*") if path.is_file() and "venv" not in path.parts]
    kept = [path for path in files if {"state", "logs", "stamps", "context"} & set(path.parts)]
    assert kept
    found = {
        f"{name} in {path.relative_to(ROOT)}"
        for path in kept
        for name, text in secrets.items()
        if text.encode() in path.read_bytes()
    }
    assert found == set()


@pytest.mark.usefixtures("told")
def test_on_the_server_only_what_needs_them_has_them(copy: Copy, secrets: dict[str, str]) -> None:
    patterns = "".join(f"{text}\n" for text in secrets.values())
    found = subprocess.run(
        ["docker", "exec", "-i", copy.outputs["container"], "bash", "-c", f"grep -rlFs -f - {FOLDERS}"],
        input=patterns,
        capture_output=True,
        text=True,
        check=False,
    )
    assert set(found.stdout.split()) - KNOW == set()
    assert f"{APPLICATION}/.env" in found.stdout  # the search finds what is there

"""Lanes of tests side by side: one that changes files of its checkout has a checkout of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import IO

from .paths import HOME, LOGS, ROOT

LANES = HOME / "lanes"  # a checkout for each
# What a checkout would make for itself, and that costs minutes.
SHARED = ("venv", "engine", "pulumi", "tools")
# pytest's exit status when it finds no test; not a failure of a lane whose tests `-k` leaves out.
NO_TESTS = 5


def beside(name: str, words: Sequence[str], run: Callable[[], int]) -> int:
    """Runs `./itqan test` in a further checkout, and something else meanwhile; shows one after the other.

    Arguments: `name`, of the lane, its checkout and its log; `words`, what stands after `./itqan test`;
    `run`, returns pytest's exit status.
    Returns the worse exit status of the two.
    """
    checkout = LANES / name
    refresh(checkout)
    LOGS.mkdir(exist_ok=True)
    log = LOGS / f"lane-{name}.log"
    command = [str(checkout / "itqan"), "test", *words]
    # a checkout has its own backend and passphrase: nothing of this one's environment is passed on
    with (
        log.open("wb") as written,
        log.open("rb") as shown,
        subprocess.Popen(
            command, cwd=checkout, stdin=subprocess.DEVNULL, stdout=written, stderr=subprocess.STDOUT
        ) as lane,
    ):
        status = run()
        while lane.poll() is None:
            _copy(shown)
            time.sleep(0.5)
        _copy(shown)
    return worse(status, lane.returncode)


def worse(*statuses: int) -> int:
    """The exit status of several runs of pytest; one without tests does not count beside others."""
    return max(set(statuses) - {NO_TESTS}, default=NO_TESTS)


def refresh(folder: Path) -> None:
    """Makes a folder a checkout of the working tree as it is; its state, and stacks of its own, stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name in (".git", ".itqan") or path.match("Pulumi.*.yaml"):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    export(folder)
    # below an ignored folder git would list none of its files
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    home = folder / ".itqan"
    home.mkdir(mode=0o700, exist_ok=True)
    for name in SHARED:
        link = home / name
        link.unlink(missing_ok=True)
        link.symlink_to(HOME / name)


def export(folder: Path) -> None:
    """Writes the files that git knows of, or would add, as they are in the working tree."""
    listed = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard").decode().split("\0")
    archive = BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as packed:
        for name in filter(None, listed):
            if (ROOT / name).is_file():
                packed.add(ROOT / name, name)
    archive.seek(0)
    with tarfile.open(fileobj=archive) as unpacked:
        unpacked.extractall(folder, filter="fully_trusted")
    # as committed: the working tree's may have secrets in it that another checkout's passphrase does not open
    (folder / "Pulumi.staging.yaml").write_bytes(_git("show", "HEAD:Pulumi.staging.yaml"))


def _git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True).stdout


def _copy(shown: IO[bytes]) -> None:
    sys.stdout.write(shown.read().decode(errors="replace"))
    sys.stdout.flush()

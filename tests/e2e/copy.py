"""A copy on Docker as the tests see it: the command line, its outputs, its site, its host."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import urllib3

ROOT = Path(__file__).resolve().parents[2]
Found = TypeVar("Found")

# Laravel's errors, PHP's own, which nginx notes, and what the page is made from.
LAST_WORDS = r"""
date '+it is now %F %T'
tac /var/www/itqan-platform/storage/logs/laravel.log | grep -m 3 '^\[.*\.ERROR' | cut -c 1-1500
tail -n 3 /var/log/nginx/error.log
cd /var/www/itqan-platform
ls -lt --time-style=full-iso storage/framework/views bootstrap/cache
"""


def itqan(*arguments: str, check: bool = True, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    """`./itqan` as a user types it. With `check`, a failure of it fails the test and shows what it said."""
    result = subprocess.run(
        [str(ROOT / "itqan"), *arguments],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    assert not check or result.returncode == 0, (
        f"./itqan {' '.join(arguments)}\n{result.stdout}\n{result.stderr}"
    )
    return result


def pulumi_environment() -> dict[str, str]:
    """The environment of plain `pulumi`, as `./itqan env` prints it for a shell."""
    script = f'eval "$({ROOT}/itqan env)"; env -0'
    printed = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    return dict(entry.split("=", 1) for entry in printed.split("\0") if "=" in entry)


def poll(
    question: Callable[[], Found], seconds: float, what: str, is_wanted: Callable[[Found], object] = bool
) -> Found:
    """Ask until the answer is wanted, which is what is truthy where nothing else is said; returns it.

    Fails with `what` and the last answer when `seconds` have passed.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = question()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            last = repr(error)
        else:
            if is_wanted(answer):
                return answer
            last = repr(answer)
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s; last seen: {last[:500]}"
        time.sleep(0.1)


def is_open(address: str, port: int) -> bool:
    """Whether this machine, another host to the server, gets a TCP connection."""
    try:
        with socket.create_connection((address, port), timeout=2):
            return True
    except (TimeoutError, ConnectionRefusedError):
        return False


@dataclass(frozen=True)
class Copy:
    """A running copy: its stack's name and outputs."""

    stack: str
    outputs: dict[str, Any]
    root: Path  # the PEM of the authority that signed the site

    def get(
        self, path: str, host: str | None = None, headers: dict[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        """GET over HTTPS."""
        return self.request("GET", path, host, headers)

    def request(
        self, method: str, path: str, host: str | None = None, headers: dict[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        """A request over HTTPS, verified against the copy's authority and `host`; no redirect followed."""
        name = host or self.outputs["domain"]
        with urllib3.HTTPSConnectionPool(
            self.outputs["address"],
            443,
            ca_certs=str(self.root),
            server_hostname=name,
            assert_hostname=name,
            timeout=15,
        ) as pool:
            sent = {"Host": name, **(headers or {})}
            return pool.request(method, path, headers=sent, redirect=False, retries=False)

    def get_plain(self, path: str) -> urllib3.BaseHTTPResponse:
        """GET over HTTP, port 80."""
        with urllib3.HTTPConnectionPool(self.outputs["address"], 80, timeout=15) as pool:
            headers = {"Host": self.outputs["domain"]}
            return pool.request("GET", path, headers=headers, redirect=False, retries=False)

    def bash(self, script: str, check: bool = True) -> str:
        """Standard output of bash as root inside the server."""
        result = subprocess.run(
            ["docker", "exec", "-i", self.outputs["container"], "bash", "-euo", "pipefail", "-c", script],
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or result.returncode == 0, f"{script}\n{result.stdout}\n{result.stderr}"
        return result.stdout.strip()

    def require_page(self) -> None:
        """The site's first page is there; else the test tells what the application and nginx say of it."""
        answer = self.get("/")
        assert answer.status == 200, f"{answer.status} from /\n{self.last_words()}"

    def last_words(self) -> str:
        """What was last said about a request that failed."""
        return self.bash(LAST_WORDS, check=False)

    def served_certificate(self) -> str:
        """Digest of the certificate that nginx shows."""
        script = (
            f"openssl s_client -connect 127.0.0.1:443 -servername t1.{self.outputs['domain']} </dev/null"
            " 2>/dev/null | openssl x509 -noout -fingerprint -sha256"
        )
        return self.bash(script)


def outputs(stack: str) -> dict[str, Any]:
    """The stack's outputs, as a script reads them."""
    found: dict[str, Any] = json.loads(itqan("outputs", "--json", "--stack", stack).stdout)
    return found


@contextmanager
def edited(path: Path, old: str, new: str) -> Iterator[None]:
    """`path` with one text replaced, and as it was afterwards."""
    before = path.read_text()
    assert old in before
    kept = path.stat()
    path.write_text(before.replace(old, new))
    try:
        yield
    finally:
        path.write_text(before)
        os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))


@contextmanager
def running_copy(stack: str, folder: Path, platform: str | None = None) -> Iterator[Copy]:
    """A copy brought up as a newcomer would, and taken down at the end.

    Arguments: `folder`, for the authority's certificate; `platform`, None for what can be had here.
    """
    itqan("down", "--yes", "--stack", stack, check=False)
    if platform:
        text = f"config:\n  itqan:extends: staging\n  itqan:platform: {platform}\n"
        (ROOT / f"Pulumi.{stack}.yaml").write_text(text)
    itqan("up", "--stack", stack)
    found = outputs(stack)
    root = folder / "root.pem"
    root.write_text(found["rootCertificate"])
    yield Copy(stack, found, root)
    if docker_names(stack):
        itqan("down", "--yes", "--stack", stack)


def docker_names(stack: str, *kinds: str) -> list[str]:
    """Names of what carries the stack's label on the Docker host."""
    listings = {
        "containers": ["ps", "-a", "--format", "{{.Names}}"],
        "networks": ["network", "ls", "--format", "{{.Name}}"],
        "volumes": ["volume", "ls", "--format", "{{.Name}}"],
    }
    names: list[str] = []
    for kind in kinds or tuple(listings):
        command = ["docker", *listings[kind], "--filter", f"label=itqan.stack={stack}"]
        names += subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return names


def pulumi(*arguments: str, check: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Plain `pulumi`, with the exports of `./itqan env`."""
    result = subprocess.run(
        ["pulumi", *arguments, "--non-interactive", "--color", "never"],
        cwd=ROOT,
        env={**os.environ, **pulumi_environment()},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert not check or result.returncode == 0, (
        f"pulumi {' '.join(arguments)}\n{result.stdout}\n{result.stderr}"
    )
    return result

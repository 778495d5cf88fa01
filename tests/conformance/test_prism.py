"""The DNS client against Prism, which answers and checks requests as the official description says."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from files.dns import client
from tests.fakes.hostinger import DESCRIPTION

HERE = Path(__file__).parent / "prism"
STARTS = 60  # seconds


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running Prism."""
    folder = tmp_path_factory.mktemp("prism")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    install = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = folder / "node_modules/.bin/prism"
    said = folder / "said"
    with said.open("w") as output:
        command = [
            str(program),
            "mock",
            "--errors",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            str(DESCRIPTION),
        ]
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + STARTS
    while "Prism is listening" not in said.read_text():
        assert server.poll() is None and time.monotonic() < deadline, said.read_text()
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait(20)


def settings(url: str, token: str = "token") -> client.Settings:
    """As dns.ini would have them."""
    return client.Settings("hostinger", "mydomain.tld", 60, 0, api=url, token=token)


def test_every_request_of_the_records_is_as_described(url: str) -> None:
    wanted = client.parse(["mydomain.tld A 192.0.2.10", "*.mydomain.tld A 192.0.2.10"])
    client.enter_records(settings(url), wanted)


def test_the_described_zone_is_understood(url: str) -> None:
    (entry,) = client.Hostinger(settings(url)).zone()
    assert (entry["name"], entry["type"]) == ("www", "A")
    # the address of Prism's zone is none that the stack wants, so both requests of an update are made
    client.enter_records(settings(url), client.parse(["www.mydomain.tld A 192.0.2.10"]))
    # a name that shall have no IPv4 address: the request to delete
    client.enter_records(settings(url), client.parse(["www.mydomain.tld AAAA 2001:db8::1"]))


def test_a_challenge_is_as_described(url: str) -> None:
    api = client.Hostinger(settings(url))
    entry = {"name": "_acme-challenge", "type": "TXT", "ttl": 60, "records": [{"content": "value"}]}
    api.update([entry], overwrite=False)
    api.delete([("_acme-challenge", "TXT")])


def test_what_is_not_as_described_is_refused(url: str) -> None:
    with pytest.raises(client.Problem, match=r"422, the API refuses the records, nothing was changed"):
        client.Hostinger(settings(url)).update([{"name": "@", "type": "PTR", "records": []}], overwrite=True)

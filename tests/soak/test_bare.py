"""A server with nothing but sshd, sudo and curl: every package comes by the first `up`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vps.conftest import Vps
from tests.vps.hoster import Hoster


@pytest.fixture
def bare(hoster: Hoster, key: Path) -> Iterator[Vps]:
    """A stack and a bare server."""
    made = Vps("vps-bare", hoster.server(bare=True), hoster, key)
    made.forget()
    made.write_file()
    yield made
    made.forget()


def test_up_from_bare(bare: Vps) -> None:
    assert bare.server.bash("command -v nginx php dig nsupdate mysql git || echo bare") == "bare"
    assert bare.init_fully().returncode == 0
    bare.up()
    page = bare.server.bash(
        "curl -fsS --resolve itqan.test:443:127.0.0.1 https://itqan.test/up -o /dev/null -w '%{http_code}'"
    )
    assert page == "200"
    assert bare.server.bash("systemctl is-system-running --wait", check=False) == "running"
    assert "nothing to do" in bare.up().stdout

"""A server becomes strict at its first `up`, as root; from then on the deploy user does it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.copy import is_open, itqan, poll

from .conftest import Vps
from .hoster import Hoster

FURTHER = """  itqan:hardening: strict
  # what a container needs for Redis to start
  itqan:accepted: {units: ["unit /etc/systemd/system/redis-server.service.d/container.conf"]}
"""


@pytest.fixture(scope="module")
def fresh(hoster: Hoster, key: Path) -> Iterator[Vps]:
    """A strict stack's file and a server."""
    made = Vps("vps-strict", hoster.server(), hoster, key)
    made.forget()
    made.write_file()
    made.file.write_text(made.file.read_text() + FURTHER)
    yield made
    made.forget()


def logs_in(vps: Vps, user: str) -> bool:
    """Whether the stack's key opens an account."""
    options = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    command = ["ssh", "-F", "none", "-i", str(vps.key), *options, f"{user}@{vps.server.address}", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def require_clean(vps: Vps) -> None:
    """The audit names nothing: no difference, no stranger, no finding but that nobody makes backups."""
    poll(lambda: vps.audit()["differing"] == 0, 30, "an audit without a difference")
    report = vps.audit()
    assert (report["unknown"], report["obstacles"]) == ([], [])
    assert [finding["section"] for finding in report["findings"]] == ["Backup"]


def test_up_as_root_makes_it_strict(fresh: Vps) -> None:
    fresh.server.bash("DEBIAN_FRONTEND=noninteractive apt-get purge -y -qq nftables >&2; ! command -v nft")
    assert fresh.init_fully().returncode == 0
    fresh.up()
    require_clean(fresh)
    fresh.server.bash("systemctl -q is-active stranger || systemd-run -q --unit=stranger php -S 0.0.0.0:9999")
    assert [is_open(fresh.server.address, port) for port in (22, 80, 443)] == [True, True, True]
    assert [is_open(fresh.server.address, port) for port in (3306, 6379, 8080, 9999)] == [
        False,
        False,
        False,
        False,
    ]
    assert logs_in(fresh, "root") and logs_in(fresh, "deploy")
    page = "curl -fsS --resolve itqan.test:443:127.0.0.1 https://itqan.test/up -o /dev/null -w '%{http_code}'"
    assert fresh.server.bash(page) == "200"


def test_as_the_deploy_user_root_is_locked_out_and_the_stack_is_not(fresh: Vps) -> None:
    fresh.server.bash("systemctl stop stranger")
    fresh.set("connection.user", "deploy")
    fresh.up()
    assert not logs_in(fresh, "root")
    assert logs_in(fresh, "deploy")
    assert "nothing to do" in fresh.up().stdout
    require_clean(fresh)
    assert itqan("preview", "--stack", fresh.stack, check=False).returncode == 0

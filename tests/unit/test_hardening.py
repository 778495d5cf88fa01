"""Strict: the firewall lets in what serves the site, SSH takes keys only; nothing of it as documented."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from components import hardening
from components.nginx import site_content
from components.unit import Unit
from settings import Settings
from tests.conftest import OWN
from tests.unit.conftest import Bash

Units = Callable[[Settings], dict[str, Unit]]
Stack = Callable[..., Settings]


def rules(settings: Settings) -> list[str]:
    """The table as the kernel shows it, line by line."""
    return hardening.loaded(hardening.rules(settings)).splitlines()


def test_the_firewall_drops_all_but_ssh_and_the_site(strict: Settings) -> None:
    found = rules(strict)
    assert found[:3] == [
        "table inet itqan {",
        "chain input {",
        "type filter hook input priority filter; policy drop;",
    ]
    ports = [line for line in found if "dport" in line and "fe80" not in line]
    assert ports == ["tcp dport 22 counter accept", "tcp dport 80 accept", "tcp dport 443 accept"]
    assert found[-2:] == ["}", "}"]


def test_the_ssh_port_is_the_settings(stack: Stack) -> None:
    connection = {**OWN["prod"]["connection"], "port": 2222}
    settings = stack("prod", hardening="strict", connection=connection)
    assert "tcp dport 2222 counter accept" in rules(settings)
    assert "tcp dport 22 counter accept" not in rules(settings)


def test_ssh_is_let_in_by_a_rule_that_a_live_connection_meets_too(strict: Settings) -> None:
    """Else a packet of the connection that loads the rules would prove nothing about a new one."""
    found = rules(strict)
    assert found.index("tcp dport 22 counter accept") < found.index("ct state established,related accept")


def test_other_tables_are_left_alone(strict: Settings, units_of: Units) -> None:
    statements = [line for line in hardening.rules(strict).splitlines() if not line.lstrip().startswith("#")]
    assert not any("flush" in line for line in statements)
    service = units_of(strict)["hardening/nftables"].payload or ""
    assert re.findall(r"(?m)^ExecStop=(.*)$", service) == ["", "-/usr/sbin/nft delete table inet itqan"]


@pytest.mark.parametrize(("user", "permitted"), [("deploy", "no"), ("root", "prohibit-password")])
def test_root_may_log_in_only_where_the_stack_does(
    stack: Stack, units_of: Units, user: str, permitted: str
) -> None:
    settings = stack("prod", hardening="strict", connection={**OWN["prod"]["connection"], "user": user})
    unit = units_of(settings)["hardening/sshd"]
    assert f"PermitRootLogin {permitted}\n" in (unit.payload or "")
    assert unit.apply.startswith(
        "place /etc/ssh/sshd_config.d/10-itqan.conf root:root 644 /usr/sbin/sshd -t\n"
    )


def test_a_copy_is_reached_as_root(stack: Stack) -> None:
    assert hardening.root_login(stack("staging", hardening="strict")) == "prohibit-password"


def test_nothing_of_it_on_a_documented_host(prod: Settings, prod_units: dict[str, Unit]) -> None:
    assert not [name for name in prod_units if name.startswith("hardening/") or name.endswith("/sandbox")]
    assert "ssl_ciphers" not in site_content(prod)
    assert "Strict-Transport-Security" not in site_content(prod)


def test_tls_of_a_strict_site(strict: Settings) -> None:
    content = site_content(strict)
    [ciphers] = re.findall(r"ssl_ciphers (\S+);", content)
    assert all(
        re.fullmatch(r"ECDHE-(RSA|ECDSA)-(AES(128|256)-GCM|CHACHA20)-\S+", c) for c in ciphers.split(":")
    )
    assert "ssl_session_tickets off;" in content
    assert content.count("server_tokens off;") == 2
    assert 'add_header Strict-Transport-Security "max-age=63072000" always;' in content


def test_the_settings_own_hsts_is_not_sent_twice(stack: Stack) -> None:
    headers = {"strict-transport-security": "max-age=60"}
    content = site_content(stack("prod", hardening="strict", nginx={"headers": headers}))
    assert re.findall(r"(?i)add_header strict-transport-security (\S+)", content) == ['"max-age=60"']


NFT = r"""
nft() {
    printf '%s\n' "$*" >>calls
    case $* in
        'list table'*) printf 'table inet itqan {\n}\n' ;;
        'list chain'*) printf 'tcp dport 22 counter packets %s bytes 0 accept\n' "$PACKETS" ;;
    esac
}
systemd-run() { printf 'systemd-run %s\n' "$*" >>calls; }
systemctl() { printf 'systemctl %s\n' "$*" >>calls; }
wait_until() { shift; "$@"; }
eval "$(declare -f load_firewall | sed "s|/run/|$PWD/|")"
"""


def load(bash: Bash, folder: Path, packets: str) -> tuple[int, list[str], str]:
    """Load a file of rules on a host whose tools only note what they are asked for."""
    code = NFT + 'status=0\nload_firewall rules 22 || status=$?\nexit "$status"'
    result = bash(code, PACKETS=packets)
    return result.returncode, (folder / "calls").read_text().splitlines(), result.stderr


def test_rules_that_a_packet_came_through_stay(bash: Bash, tmp_path: Path) -> None:
    status, calls, _ = load(bash, tmp_path, "3")
    assert status == 0
    armed = next(at for at, call in enumerate(calls) if call.startswith("systemd-run "))
    assert armed < calls.index("-f rules")
    assert calls[-1] == "systemctl stop -q itqan-firewall-undo.timer"
    assert calls.count(f"-f {tmp_path}/itqan-firewall-before") == 0


def test_rules_without_that_proof_go_again(bash: Bash, tmp_path: Path) -> None:
    status, calls, said = load(bash, tmp_path, "0")
    assert status == 1
    assert calls.index("-f rules") < calls.index(f"-f {tmp_path}/itqan-firewall-before")
    assert "no packet of this connection came in at port 22" in said

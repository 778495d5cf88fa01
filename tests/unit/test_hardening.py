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
    ports = [line for line in found if "dport" in line and "udp" not in line]
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
    service = units_of(strict)["hardening/firewall-service"].payload or ""
    assert re.findall(r"(?m)^ExecStop=(.*)$", service) == ["-/usr/sbin/nft delete table inet itqan"]


def test_an_owner_s_firewall_stays_as_it_is(strict: Settings, units_of: Units) -> None:
    """Its file is not touched; ours load after it, which begins and ends with `flush ruleset`."""
    units = [unit for name, unit in units_of(strict).items() if name.startswith("hardening/")]
    assert not [unit.name for unit in units if "/etc/nftables.conf" in f"{unit.apply}{unit.remove}"]
    service = units_of(strict)["hardening/nftables"].payload or ""
    loads = re.findall(r"(?m)^Exec(\w+)=-/usr/sbin/nft -f /etc/itqan/firewall.nft$", service)
    assert loads == ["StartPost", "Reload", "StopPost"]


@pytest.mark.parametrize(("user", "permitted"), [("deploy", "no"), ("root", "prohibit-password")])
def test_root_may_log_in_only_where_the_stack_does(
    stack: Stack, units_of: Units, user: str, permitted: str
) -> None:
    settings = stack("prod", hardening="strict", connection={**OWN["prod"]["connection"], "user": user})
    unit = units_of(settings)["hardening/sshd"]
    assert f"PermitRootLogin {permitted}\n" in (unit.payload or "")
    assert unit.apply.startswith(
        "require_include /etc/ssh/sshd_config.d/10-itqan.conf\n"
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
eval "$(declare -f load_firewall | sed "s|/run/|$PWD/|g; s|root:root|$ME|")"
"""


def load(bash: Bash, folder: Path, me: str, packets: str) -> tuple[int, list[str], str]:
    """Load rules on a host whose tools only note what they are asked for."""
    (folder / "rules").write_text("old\n")
    result = bash(f'{NFT}\nload_firewall "$PWD/rules" 22 60', "new\n", PACKETS=packets, ME=me)
    return result.returncode, (folder / "calls").read_text().splitlines(), result.stderr


def test_rules_that_a_packet_came_through_stay(bash: Bash, tmp_path: Path, me: str) -> None:
    status, calls, _ = load(bash, tmp_path, me, "3")
    assert status == 0
    armed = next(at for at, call in enumerate(calls) if call.startswith("systemd-run "))
    assert armed < calls.index(f"-f {tmp_path}/itqan-firewall-new")
    assert calls[-1] == "systemctl stop -q itqan-firewall-undo.timer"
    assert calls.count(f"-f {tmp_path}/itqan-firewall-before") == 0
    assert (tmp_path / "rules").read_text() == "new\n"


def test_rules_without_that_proof_go_again_and_no_boot_reads_them(
    bash: Bash, tmp_path: Path, me: str
) -> None:
    status, calls, said = load(bash, tmp_path, me, "0")
    assert status == 1
    loaded = [call for call in calls if call.startswith("-f ")]
    assert loaded == [f"-f {tmp_path}/itqan-firewall-{which}" for which in ("new", "before")]
    assert "no packet of this connection came in at port 22" in said
    assert (tmp_path / "rules").read_text() == "old\n"


def test_lines_that_win_over_ours_become_comments(bash: Bash, tmp_path: Path) -> None:
    real = tmp_path / "real.cnf"
    real.write_text("[mysqld]\n  Bind_Address=0.0.0.0\nmax_connections = 7\n# bind-address = 1\n")
    (tmp_path / "link.cnf").symlink_to(real)
    done = bash("mute_lines 'bind[-_]address[[:space:]]*=' $PWD/link.cnf")
    assert (done.returncode, "  Bind_Address=0.0.0.0" in done.stderr) == (0, True)
    assert real.read_text() == (
        "[mysqld]\n# itqan:   Bind_Address=0.0.0.0\nmax_connections = 7\n# bind-address = 1\n"
    )
    assert (tmp_path / "link.cnf").is_symlink()
    [kept] = (tmp_path / "aside").iterdir()
    before = kept.read_text()
    assert "\n  Bind_Address=0.0.0.0\n" in before
    assert bash("unmute_lines $PWD/link.cnf").returncode == 0
    assert real.read_text() == before


SSHD = r"""
mkdir -p ssh/sshd_config.d
eval "$(declare -f probe_sshd | sed "s|/etc/ssh/|$PWD/ssh/|g; s|/usr/sbin/sshd|sshd|")"
sshd() { printf '%s\n' 'port 22' 'passwordauthentication no' 'permitrootlogin no'; }
"""


def test_what_a_match_block_allows_is_seen(bash: Bash, tmp_path: Path) -> None:
    """`sshd -T` shows what counts for everybody; a Match block wins over it for some."""
    folder = tmp_path / "ssh/sshd_config.d"
    folder.mkdir(parents=True)
    (folder.parent / "sshd_config").write_text(
        "PasswordAuthentication yes\nMatch User root\nX11Forwarding yes\n"
    )
    (folder / "90-backup.conf").write_text(
        'PermitRootLogin yes\nMatch User backup\n\tPasswordAuthentication = "yes"\n  PermitRootLogin no\n'
    )
    found = bash(f"{SSHD}probe_sshd").stdout.splitlines()
    assert found == [
        f"sshd exception {folder}/90-backup.conf Match User backup: PasswordAuthentication yes",
        "sshd passwordauthentication no",
        "sshd permitrootlogin no",
    ]


def test_an_sshd_that_reads_no_drop_ins_is_refused_before_a_change(bash: Bash, tmp_path: Path) -> None:
    main = tmp_path / "sshd_config"
    main.write_text("PasswordAuthentication yes\n")
    look = f'eval "$(declare -f require_include | sed "s|/etc/ssh/sshd_config|{main}|g")"\n'
    refused = bash(f"{look}require_include /etc/ssh/sshd_config.d/10-itqan.conf")
    assert refused.returncode == 1
    assert "make this its first line: Include /etc/ssh/sshd_config.d/*.conf" in refused.stderr
    main.write_text("Include /etc/ssh/sshd_config.d/*.conf\n")
    assert bash(f"{look}require_include /etc/ssh/sshd_config.d/10-itqan.conf").returncode == 0


def test_an_application_below_a_read_only_folder_may_write_there(stack: Stack, units_of: Units) -> None:
    for path, count in (("/home/deploy/itqan", 1), ("/srv/itqan", 0)):
        units = units_of(stack("prod", hardening="strict", application={"path": path}))
        for name in ("php/sandbox", "supervisor/sandbox"):
            assert (units[name].payload or "").count(f"\nReadWritePaths={path}\n") == count


def test_php_shares_tmp_with_workers_and_scheduler(strict: Settings, units_of: Units) -> None:
    """A job finds what a request left in sys_get_temp_dir()."""
    units = units_of(strict)
    private = [name for name, unit in units.items() if "PrivateTmp=yes" in (unit.payload or "")]
    assert private == ["nginx/sandbox"]


def test_reverb_goes_on_while_a_worker_ends_its_job(strict: Settings, units_of: Units) -> None:
    apply = units_of(strict)["supervisor/sandbox"].apply
    stops = re.findall(r"supervisorctl stop '?([^' ]+)", apply)
    assert stops == ["itqan-worker:*", "reverb:*", "all"]


def test_a_sandbox_that_a_host_refuses_costs_nobody_the_service(bash: Bash, tmp_path: Path) -> None:
    (tmp_path / "drop-in").write_text("[Service]\n")
    tools = """
systemctl() {
    printf '%s\\n' "$*" >>calls
    if [ "$1" = restart ] && [ -e drop-in ]; then return 1; fi
}
journalctl() { echo 'Failed to set up mount namespacing'; }
"""
    refused = bash(f"{tools}restart_sandboxed nginx seen $PWD/drop-in")
    assert refused.returncode == 1
    assert "Failed to set up mount namespacing" in refused.stderr
    assert "nginx: does not run in its sandbox, and goes on without" in refused.stderr
    assert not (tmp_path / "drop-in").exists()
    assert (tmp_path / "calls").read_text().splitlines()[-1] == "restart nginx"

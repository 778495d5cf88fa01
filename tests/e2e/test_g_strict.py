"""A documented copy becomes strict and documented again: closed where it should be, serving, healed."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator

import asyncssh
import pytest
import urllib3

from . import test_a_site as site
from . import test_b_server as inside
from .conftest import STACK as E2E
from .copy import ROOT, Copy, is_open, itqan, outputs, poll, pulumi
from .test_c_changes import resources

STACK = f"{E2E}-strict"
FILE = ROOT / f"Pulumi.{STACK}.yaml"
APPLICATION = "/var/www/itqan-platform"
PASSWORD = "sentinel-login-password"
DROP_INS = "/etc/ssh/sshd_config.d"


def become(hardening: str) -> None:
    """The profile changes as its owner would change it."""
    pulumi("config", "set", "--stack", STACK, "itqan:hardening", hardening)
    itqan("up", "--stack", STACK)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """A copy as documented, on which a password opens the deploy user; then strict. Nothing of it is left."""
    itqan("down", "--yes", "--stack", STACK, check=False)
    FILE.write_text("config:\n  itqan:extends: staging\n")
    itqan("up", "--stack", STACK)
    found = outputs(STACK)
    root = tmp_path_factory.mktemp("authority") / "root.pem"
    root.write_text(found["rootCertificate"])
    copy = Copy(STACK, found, root)
    copy.bash(
        f"echo deploy:{PASSWORD} | chpasswd; echo PasswordAuthentication yes >{DROP_INS}/20-open.conf\n"
        "systemctl reload ssh"
    )
    poll(lambda: password_opens(copy), 10, "a login by password, without which a refusal proves nothing")
    become("strict")
    yield copy
    itqan("down", "--yes", "--stack", STACK)
    FILE.unlink()


def require_as_expected() -> None:
    """A preview plans nothing; on a loaded machine a look may come too early, or give up too soon."""
    poll(lambda: itqan("preview", "--stack", STACK, check=False).returncode == 0, 120, "nothing to do")


def password_opens(copy: Copy) -> bool:
    """Whether the deploy user's password, the right one, logs in."""

    async def log_in() -> None:
        async with asyncssh.connect(
            copy.outputs["address"],
            username="deploy",
            password=PASSWORD,
            known_hosts=None,
            client_keys=None,
            agent_path=None,
            config=None,
        ):
            pass

    try:
        asyncio.run(log_in())
    except asyncssh.PermissionDenied:
        return False
    return True


@pytest.mark.parametrize("port", [22, 80, 443])
def test_open_to_other_hosts(strict: Copy, port: int) -> None:
    assert is_open(strict.outputs["address"], port)


@pytest.mark.parametrize("port", [3306, 6379, 8080, 9999])
def test_closed_to_other_hosts(strict: Copy, port: int) -> None:
    """9999 is a program that somebody starts on every address: only the firewall is between."""
    strict.bash("systemctl -q is-active stranger || systemd-run -q --unit=stranger php -S 0.0.0.0:9999")
    assert not is_open(strict.outputs["address"], port)
    strict.bash("systemctl stop stranger")


@pytest.mark.parametrize(
    ("version", "taken"),
    [
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
def test_tls_versions(strict: Copy, version: ssl.TLSVersion, taken: bool) -> None:
    context = ssl.create_default_context(cafile=str(strict.root))
    context.set_ciphers("ALL:@SECLEVEL=0")  # so that it is the server that refuses
    context.minimum_version = context.maximum_version = version
    address = (strict.outputs["address"], 443)
    with socket.create_connection(address, timeout=10) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=strict.outputs["domain"]) as secure:
                assert (secure.version(), taken) == (version.name.replace("_", "."), True)
        except (ssl.SSLError, ConnectionResetError):
            assert not taken


def test_sshd_offers_keys_only(strict: Copy) -> None:
    options = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    nobody = ["-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password,keyboard-interactive"]
    address = f"deploy@{strict.outputs['address']}"
    said = subprocess.run(
        ["ssh", "-F", "none", *options, *nobody, address, "true"], capture_output=True, text=True, check=False
    )
    assert said.returncode == 255
    assert "Permission denied (publickey)." in said.stderr


def test_the_password_that_opened_it_before_does_no_more(strict: Copy) -> None:
    assert not password_opens(strict)


def test_the_site_the_queue_the_socket_and_a_renewal_still_work(strict: Copy) -> None:
    site.test_the_page_answers_over_https_verified_against_the_authority(strict)
    site.test_a_websocket_handshake_through_nginx(strict)
    site.test_a_queued_job_is_done_by_a_worker(strict)
    site.test_the_application_finds_itself_healthy(strict)
    inside.test_a_renewal_is_served(strict)
    inside.test_no_unit_of_systemd_has_failed(strict)


def test_hsts_and_no_version(strict: Copy) -> None:
    headers = strict.get("/").headers
    assert headers["Strict-Transport-Security"] == "max-age=63072000"
    assert (headers["Server"], strict.get_plain("/").headers["Server"]) == ("nginx", "nginx")


def test_the_environment_is_not_for_everybody(strict: Copy) -> None:
    assert strict.bash("stat -c '%U:%G %a' /var/www/itqan-platform/.env") == "deploy:www-data 640"
    assert strict.bash("runuser -u nobody -- cat /var/www/itqan-platform/.env", check=False) == ""


PROBE = """<?php
$kept = getcwd() . "/../storage/app/strict-upload";
echo json_encode([
    "upload" => move_uploaded_file($_FILES["file"]["tmp_name"], $kept) ? file_get_contents($kept) : null,
    "git" => trim(shell_exec("git -c safe.directory='*' rev-parse HEAD 2>&1")),
    "tmp" => file_put_contents(sys_get_temp_dir() . "/strict-left", "a request"),
    "regex" => preg_match("/^(a|b)+c$/", "ababc"),
    "etc" => @file_put_contents("/etc/nginx/conf.d/strict", "x"),
    "usr" => @file_put_contents("/usr/local/bin/strict", "x"),
]);
"""


def test_what_an_application_does_works_in_the_sandbox(strict: Copy) -> None:
    """An upload, git, a file for a job in /tmp; and code of the system stays out of reach."""
    page = f"{APPLICATION}/public/strict-probe.php"
    strict.bash(f"cat >{page} <<'PHP'\n{PROBE}PHP\nchmod 644 {page}")
    try:
        with urllib3.HTTPSConnectionPool(
            strict.outputs["address"],
            443,
            ca_certs=str(strict.root),
            server_hostname=strict.outputs["domain"],
            assert_hostname=strict.outputs["domain"],
        ) as pool:
            fields = {"file": ("upload.txt", "an upload")}
            headers = {"Host": strict.outputs["domain"]}
            found = pool.request("POST", "/strict-probe.php", fields=fields, headers=headers).json()
        commit = strict.outputs["release"]
        assert found == {
            "upload": "an upload",
            "git": commit,
            "tmp": len("a request"),
            "regex": 1,
            "etc": False,
            "usr": False,
        }
        assert strict.bash("cat /tmp/strict-left") == "a request", "the scheduler finds it"
        mounted = "awk '$5 == \"/tmp\" {print $3, $4}' /proc/%s/mountinfo"
        places = [strict.bash(mounted % p) for p in ("1", "$(pgrep -x supervisord)", "$(pgrep -o php-fpm)")]
        assert len(set(places)) == 1, "and so do the workers"
    finally:
        strict.bash(f"rm -f {page} {APPLICATION}/storage/app/strict-upload /tmp/strict-left")


def test_audit_finds_nothing_and_a_second_up_changes_nothing(strict: Copy) -> None:
    # what the tests themselves brought
    strict.bash(f"mv {DROP_INS}/20-open.conf /root/; passwd -q -l deploy")
    before = resources(STACK)
    report = json.loads(itqan("audit", "--json", "--stack", STACK).stdout)
    assert (report["differing"], report["unknown"], report["findings"]) == (0, [], [])
    itqan("up", "--stack", STACK)
    assert resources(STACK) == before
    strict.bash(f"mv /root/20-open.conf {DROP_INS}/; passwd -q -u deploy")


LOOSEN = f"""
nft flush ruleset
systemctl disable -q --now itqan-firewall
printf 'PasswordAuthentication yes\\nLoginGraceTime 77\\n' >{DROP_INS}/01-loose.conf
printf 'Match User deploy\\n  PasswordAuthentication yes\\n' >{DROP_INS}/90-match.conf
systemctl reload ssh
printf '[mysqld]\\nmax_connections = 77\\nbind-address = 0.0.0.0\\n' >/etc/mysql/mariadb.conf.d/zz-open.cnf
printf 'bind 0.0.0.0\\nprotected-mode no\\n' >/etc/redis/open.conf
echo 'include /etc/redis/open.conf' >>/etc/redis/redis.conf
systemctl restart mariadb redis-server
redis-cli set kept value
"""
NAMED = {
    "hardening/firewall",
    "hardening/firewall-service",
    "hardening/sshd",
    "database/address",
    "database/schema",
    "redis/address",
    "redis/service",
}


def test_what_is_loosened_is_named_and_healed(strict: Copy) -> None:
    """By files that win over ours, too; with one restart of the database and none of Redis."""
    strict.bash(LOOSEN)
    poll(lambda: password_opens(strict), 10, "a login by password")
    assert is_open(strict.outputs["address"], 3306) and is_open(strict.outputs["address"], 6379)
    report = json.loads(itqan("audit", "--json", "--stack", STACK, check=False).stdout)
    assert {unit["unit"] for unit in report["units"] if unit["state"] == "differs"} >= NAMED
    started = "systemctl show -p ExecMainStartTimestampMonotonic --value redis-server"
    before = strict.bash(started)
    itqan("up", "--stack", STACK)
    assert not password_opens(strict)
    strict.bash("nft delete table inet itqan")  # so that the addresses themselves are seen
    assert not is_open(strict.outputs["address"], 3306) and not is_open(strict.outputs["address"], 6379)
    itqan("up", "--stack", STACK)
    assert strict.bash(f"{started}; redis-cli get kept") == f"{before}\nvalue"
    kept = "sshd -T | grep -x 'logingracetime 77'; mysql -N -e 'SELECT @@max_connections'"
    assert strict.bash(kept) == "logingracetime 77\n77", "what else those files say is left alone"
    assert strict.bash("ls /var/backups/itqan | grep -c -e 01-loose -e 90-match -e zz-open") == "3"
    require_as_expected()


def test_after_a_reboot_it_is_closed_and_serves_beside_an_owner_s_own_firewall(strict: Copy) -> None:
    strict.bash(
        "printf 'flush ruleset\\ntable inet owner {\\n}\\n' >/etc/nftables.conf\n"
        "systemctl enable -q --now nftables\n"
        "nft list table inet itqan && nft list table inet owner"
    )
    listening = "systemd-run -q --unit=stranger php -S 0.0.0.0:9999"
    command = ["docker", "restart", "-t", "5", strict.outputs["container"]]
    subprocess.run(command, check=True, capture_output=True)
    poll(lambda: strict.get("/up").status == 200, 60, "the application after a reboot")
    strict.bash(listening)
    assert [is_open(strict.outputs["address"], port) for port in (22, 80, 443)] == [True, True, True]
    assert [is_open(strict.outputs["address"], port) for port in (3306, 6379, 8080, 9999)] == [
        False,
        False,
        False,
        False,
    ]
    strict.bash("nft list table inet owner; systemctl stop stranger")
    strict.bash("systemctl restart nftables; nft list table inet itqan")
    strict.bash("systemctl disable -q nftables; nft delete table inet owner")
    require_as_expected()


def test_a_firewall_that_would_lock_the_stack_out_does_not_stay(strict: Copy) -> None:
    """Rules for another SSH port: refused over the very connection that they would have let die."""
    template = ROOT / "files/hardening/firewall.nft.j2"
    kept = template.read_text()
    template.write_text(kept.replace("tcp dport {{ ssh_port }} counter", "tcp dport 2222 counter"))
    try:
        result = itqan("up", "--stack", STACK, check=False)
    finally:
        template.write_text(kept)
    assert result.returncode == 1
    assert "no packet of this connection came in at port 22" in result.stdout + result.stderr
    assert is_open(strict.outputs["address"], 22)
    assert "tcp dport 22 counter" in strict.bash("nft list table inet itqan")
    assert "dport 2222" not in strict.bash("cat /etc/itqan/firewall.nft")
    itqan("up", "--stack", STACK)
    require_as_expected()


def test_a_run_that_dies_with_such_rules_is_undone_by_the_timer(strict: Copy) -> None:
    strict.bash(
        "sed 's/dport 22 /dport 2222 /' /etc/itqan/firewall.nft >/run/locked-out\n"
        "owner=$(sed -n 's/^stack //p' /etc/itqan/stack)\n"
        "length=$(stat -c %s /run/locked-out)\n"
        'ITQAN_SESSION=own setsid /usr/local/sbin/itqan-converge "$owner" hardening/firewall "$length" '
        "'echo no' yes 'load_firewall /etc/itqan/firewall.nft 2222 15' "
        "</run/locked-out 2>/run/locked-out.said &\n"
        "for _ in {1..300}; do\n"
        "    if grep -q 'firewall: loaded' /run/locked-out.said; then break; fi; sleep 0.1\n"
        "done\n"
        "kill -9 -- -$!"
    )
    assert not is_open(strict.outputs["address"], 22)
    poll(lambda: is_open(strict.outputs["address"], 22), 90, "the rules that let SSH in")
    require_as_expected()


def test_the_scheduler_has_run(strict: Copy) -> None:
    """Late, when a minute has passed anyway."""
    count = "mysql -N -e 'SELECT COUNT(*) FROM itqan_platform.heartbeats'"
    poll(lambda: int(strict.bash(count)) > 0, 75, "a row of the scheduled task")


def test_back_to_documented_nothing_of_it_remains(strict: Copy) -> None:
    become("documented")
    poll(lambda: password_opens(strict), 10, "a login by password, as before")
    strict.bash("systemd-run -q --unit=stranger php -S 0.0.0.0:9999")
    poll(lambda: is_open(strict.outputs["address"], 9999), 10, "a port that no firewall closes")
    strict.bash("systemctl stop stranger")
    places = (
        "/etc/systemd/system /etc/apt/apt.conf.d /etc/ssh/sshd_config.d/10-itqan.conf /etc/itqan/firewall.nft"
    )
    assert set(
        strict.bash(f"find {places} -name '*itqan*' -type f 2>/dev/null", check=False).splitlines()
    ) == {
        "/etc/systemd/system/itqan-catcher.service",
        "/etc/systemd/system/itqan-copy-firewall.service",
        "/etc/systemd/system/nftables.service.d/itqan-copy.conf",
        "/etc/systemd/system/logrotate.timer.d/itqan.conf",
    }
    assert strict.bash("apt-config dump APT::Periodic::Unattended-Upgrade") == ""
    assert strict.bash(f"sshd -T | grep ^x11forwarding; cat {DROP_INS}/01-loose.conf") == (
        "x11forwarding yes\nPasswordAuthentication yes\nLoginGraceTime 77"
    )
    assert strict.get("/up").status == 200
    require_as_expected()

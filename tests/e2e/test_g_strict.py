"""A copy with `hardening: strict`: closed where it should be, still serving, healed, and gone at the end."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator

import pytest

from . import test_a_site as site
from . import test_b_server as inside
from .copy import ROOT, Copy, itqan, outputs, poll
from .test_c_changes import resources

STACK = "e2e-strict"
FILE = ROOT / f"Pulumi.{STACK}.yaml"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    """A strict copy, up; afterwards nothing of it is left."""
    itqan("down", "--yes", "--stack", STACK, check=False)
    FILE.write_text("config:\n  itqan:extends: staging\n  itqan:hardening: strict\n")
    itqan("up", "--stack", STACK)
    found = outputs(STACK)
    root = tmp_path_factory.mktemp("authority") / "root.pem"
    root.write_text(found["rootCertificate"])
    yield Copy(STACK, found, root)
    itqan("down", "--yes", "--stack", STACK)
    FILE.unlink()


def is_open(copy: Copy, port: int) -> bool:
    """Whether this machine, another host to the copy, gets a TCP connection."""
    try:
        with socket.create_connection((copy.outputs["address"], port), timeout=2):
            return True
    except (TimeoutError, ConnectionRefusedError):
        return False


@pytest.mark.parametrize("port", [22, 80, 443])
def test_open_to_other_hosts(strict: Copy, port: int) -> None:
    assert is_open(strict, port)


@pytest.mark.parametrize("port", [3306, 6379, 8080, 9999])
def test_closed_to_other_hosts(strict: Copy, port: int) -> None:
    """9999 is a program that somebody starts on every address: only the firewall is between."""
    strict.bash("systemctl -q is-active stranger || systemd-run -q --unit=stranger php -S 0.0.0.0:9999")
    assert not is_open(strict, port)
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


@pytest.mark.usefixtures("strict")
def test_audit_finds_nothing_and_a_second_up_changes_nothing() -> None:
    before = resources(STACK)
    report = json.loads(itqan("audit", "--json", "--stack", STACK).stdout)
    assert (report["differing"], report["unknown"], report["findings"]) == (0, [], [])
    itqan("up", "--stack", STACK)
    assert resources(STACK) == before


def test_what_is_loosened_is_named_and_healed(strict: Copy) -> None:
    strict.bash(
        "nft flush ruleset\n"
        "echo PasswordAuthentication yes >/etc/ssh/sshd_config.d/01-loose.conf\n"
        "systemctl reload ssh\n"
        "systemd-run -q --unit=foreign nft add table inet foreign"
    )
    shown = itqan("preview", "--stack", STACK, check=False)
    assert "hardening-firewall" in shown.stdout and "hardening-sshd" in shown.stdout
    strict.bash("rm /etc/ssh/sshd_config.d/01-loose.conf; systemctl reload ssh")
    itqan("up", "--stack", STACK)
    assert not is_open(strict, 8080)
    assert "policy drop" in strict.bash("nft list table inet itqan")
    strict.bash("systemctl restart nftables && nft list table inet foreign && nft delete table inet foreign")
    assert itqan("preview", "--stack", STACK).returncode == 0


def test_a_firewall_that_would_lock_the_stack_out_does_not_stay(strict: Copy) -> None:
    """Rules for another SSH port: refused over the very connection that they would have let die."""
    template = ROOT / "files/hardening/nftables.conf.j2"
    kept = template.read_text()
    template.write_text(kept.replace("tcp dport {{ ssh_port }} counter", "tcp dport 2222 counter"))
    try:
        result = itqan("up", "--stack", STACK, check=False)
    finally:
        template.write_text(kept)
    assert result.returncode == 1
    assert "no packet of this connection came in at port 22" in result.stdout + result.stderr
    assert is_open(strict, 22)
    assert "tcp dport 22 counter" in strict.bash("nft list table inet itqan; cat /etc/nftables.conf")
    itqan("up", "--stack", STACK)
    assert itqan("preview", "--stack", STACK).returncode == 0


def test_the_scheduler_has_run(strict: Copy) -> None:
    """Last, when a minute has passed anyway."""
    count = "mysql -N -e 'SELECT COUNT(*) FROM itqan_platform.heartbeats'"
    poll(lambda: int(strict.bash(count)) > 0, 75, "a row of the scheduled task")

"""From nothing to a server that serves, as its owner types it; the tests follow one another."""

from __future__ import annotations

import json
import re

from tests.e2e.copy import itqan, poll

from .conftest import FURTHER, Vps

RUNNER = "/usr/local/sbin/itqan-converge"
# What a running server writes by itself.
WRITTEN = ("/var/lib/mysql", "/var/lib/redis", "/var/www/itqan-platform/storage", "/root", "/home/deploy")
WRONG = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
UNTOUCHED = f"[ ! -e /etc/itqan ] && [ ! -e {RUNNER} ] && echo untouched"


def test_init_asks_for_the_host_key_and_stores_nothing_without_it(vps: Vps) -> None:
    place = ("--host", vps.server.address, "--user", "root", "--key", str(vps.key))
    asked = vps.init(*place)
    assert asked.returncode == 1
    assert f"--host-key {vps.fingerprint()}" in asked.stderr
    refused = vps.init(*place, "--host-key", WRONG)
    assert refused.returncode == 1
    assert f"shows the host key {vps.fingerprint()}, not {WRONG}; nothing was stored" in refused.stderr
    assert "hostKey" not in vps.file.read_text()


def test_init_lists_what_is_missing_as_lines_to_type(vps: Vps) -> None:
    place = ("--host", vps.server.address, "--user", "root", "--key", str(vps.key))
    done = vps.init(*place, "--host-key", vps.fingerprint())
    assert done.returncode == 2, done.stderr
    missing = re.findall(r"(?m)^  pulumi config set --secret itqan:(\w+)", done.stdout)
    assert sorted(missing) == sorted([*FURTHER, "tsigSecret"])
    assert "the hoster's own authority" in vps.file.read_text(), "comments of the configuration survive"


def test_init_again_continues(vps: Vps) -> None:
    before = vps.secret("databasePassword")
    done = vps.init("--secrets", stdin=vps.further)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "as pinned" in done.stderr
    assert vps.secret("databasePassword") == before
    assert vps.secret("mailPassword") == FURTHER["mailPassword"]
    text = vps.file.read_text()
    assert not [value for value in (*FURTHER.values(), before, vps.hoster.tsig_secret) if value in text]
    assert vps.server.bash(UNTOUCHED) == "untouched"


def test_preflight_says_all_that_is_wrong_and_changes_nothing(vps: Vps) -> None:
    good = vps.file.read_text()
    vps.set("platform", "ubuntu-22.04")
    vps.set("server.minimumMemoryGb", "9000")
    vps.set("dns.keyName", "nobody.")
    vps.set("certificate.directory", vps.hoster.directory.replace("14000", "14001"))
    try:
        for command in ("preview", "up"):
            done = itqan(command, "--stack", vps.stack, check=False)
            said = done.stdout + done.stderr
            assert done.returncode == 1
            assert "is left alone, nothing was changed:" in said
            for problem in (
                "operating system: debian 13; itqan:platform asks for ubuntu 22.04",
                "asks for 9000 GB",
                "knows no TSIG key nobody. (itqan:dns.keyName)",
                ":14001/dir does not answer",
            ):
                assert problem in said, said
        assert len(vps.audit()["obstacles"]) >= 4
    finally:
        vps.file.write_text(good)
    assert vps.server.bash(UNTOUCHED) == "untouched"


def test_a_user_without_sudo_is_told_that_and_all_else(vps: Vps) -> None:
    good = vps.file.read_text()
    vps.server.bash(
        "useradd -m -s /bin/bash guest; install -d -o guest -m 700 /home/guest/.ssh\n"
        "install -o guest -m 600 /root/.ssh/authorized_keys /home/guest/.ssh/authorized_keys"
    )
    vps.set("connection.user", "guest")
    vps.set("server.minimumMemoryGb", "9000")
    try:
        done = itqan("preview", "--stack", vps.stack, check=False)
        said = done.stdout + done.stderr
        assert done.returncode == 1
        assert "a password is required; on the host, as root: echo 'guest ALL=(ALL) NOPASSWD:ALL'" in said
        assert "asks for 9000 GB" in said
    finally:
        vps.file.write_text(good)
        vps.server.bash("userdel -r guest 2>/dev/null")
    assert vps.server.bash(UNTOUCHED) == "untouched"


def test_up_makes_the_server(vps: Vps) -> None:
    done = vps.up()
    assert f"pulumi config set --stack {vps.stack} --path itqan:connection.user deploy" in done.stdout
    assert vps.server.bash("sed -n 's/^stack //p' /etc/itqan/stack").startswith("itqan/vps i")
    page = vps.server.bash(
        "curl -fsS --resolve itqan.test:443:127.0.0.1 https://itqan.test/ -o /dev/null -w '%{http_code}'"
    )
    assert page == "200"
    poll(lambda: vps.audit()["differing"] == 0, 30, "an audit without a difference")
    assert vps.audit()["obstacles"] == []


def test_up_as_the_deploy_user_changes_nothing_on_the_server(vps: Vps) -> None:
    vps.set("connection.user", "deploy")
    before = vps.server.snapshot(*WRITTEN)
    vps.up()
    assert sorted(vps.server.snapshot(*WRITTEN) ^ before) == []
    assert vps.outputs()["ssh"]["user"] == "deploy"
    again = vps.up()
    assert "nothing to do" in again.stdout


def test_the_secrets_are_nowhere_in_the_state_or_the_logs(vps: Vps) -> None:
    from tests.e2e.copy import ROOT, pulumi

    exported = pulumi("stack", "export", "--stack", vps.stack).stdout
    logs = [path for path in (ROOT / ".itqan/logs").glob(f"*{vps.stack}*") if path.is_file()]
    texts = [exported, *(path.read_text(errors="replace") for path in logs)]
    values = [*FURTHER.values(), vps.hoster.tsig_secret, vps.secret("databasePassword")]
    assert not [value for value in values if any(value in text for text in texts)]


def test_a_second_server_becomes_the_same(vps: Vps, twin: Vps) -> None:
    assert twin.init_fully().returncode == 0
    twin.up()
    poll(lambda: twin.audit()["differing"] == 0, 30, "an audit without a difference")
    assert sorted(set(state(twin)) ^ set(state(vps))) == []
    compared = json.loads(itqan("parity", vps.stack, twin.stack, "--json").stdout)
    assert {row["class"] for row in compared["rows"]} == {"same", "explained"}
    (records,) = (row for row in compared["rows"] if row["name"] == "dns/records")
    assert records["why"].endswith(f"can point to one of the two, and points to {twin.stack}")
    assert vps.server.address in records[vps.stack] and twin.server.address in records[twin.stack]


def state(vps: Vps) -> list[str]:
    """What makes a server: packages, accounts, services, configuration but for keys and secrets."""
    return vps.server.bash(
        "dpkg-query -W -f='${Package} ${Version}\\n'; getent passwd deploy www-data\n"
        "systemctl list-unit-files --state=enabled --no-legend --no-pager | awk '{print $1}'\n"
        "git -c safe.directory='*' -C /var/www/itqan-platform rev-parse HEAD\n"
        "for folder in nginx php redis mysql supervisor apt sudoers.d itqan systemd/system; do\n"
        "  find -L /etc/$folder -type f -printf '%p %m %u ' -exec sha256sum {} ';'\n"
        # of their own: the stack's name, the checks with the address in them, passwords, the key of digests
        "done | sort | grep -vE '/(itqan/(stack|release.ref|preflight|database.cnf|digest.key)|debian.cnf) '"
    ).splitlines()


def test_a_host_of_another_stack_is_left_alone(vps: Vps, twin: Vps) -> None:
    good = twin.file.read_text()
    pinned = " ".join(vps.server.host_key.split()[:2])
    twin.set("connection.host", vps.server.address)
    twin.set("connection.hostKey", pinned)
    before = vps.server.snapshot(*WRITTEN)
    try:
        for command in ("preview", "up"):
            done = itqan(command, "--stack", twin.stack, check=False)
            assert done.returncode == 1
            assert "it belongs to stack itqan/vps i" in done.stdout + done.stderr
        (obstacle,) = twin.audit()["obstacles"]
        assert obstacle.startswith("it belongs to stack itqan/vps i")
        assert "belongs to stack" in twin.init("--host-key", vps.fingerprint()).stderr
        # nobody looked before: the runner refuses
        twin.set("observe", "false")
        twin.set("nginx.headers.X-Test", "other")
        refused = twin.up(check=False)
        assert refused.returncode == 1
        assert "this host belongs to stack itqan/vps i" in refused.stderr
    finally:
        twin.file.write_text(good)
    assert sorted(vps.server.snapshot(*WRITTEN) ^ before) == []


def test_a_changed_host_key_stops_everything(vps: Vps, twin: Vps) -> None:
    good = twin.file.read_text()
    twin.set("connection.hostKey", " ".join(vps.server.host_key.split()[:2]))
    try:
        for command in ("preview", "up", "audit"):
            done = itqan(command, "--stack", twin.stack, check=False)
            assert done.returncode == 1
            assert "host key mismatch" in done.stdout + done.stderr
        assert "shows another host key than the pinned one" in twin.init().stderr
    finally:
        twin.file.write_text(good)

"""The observer on a server: its key sees what the last `up` recorded, and gets at nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from components.keys import public_key
from components.observer import HOME, PROGRAM
from components.record import BUSY
from components.render import render
from components.surroundings import fingerprint
from settings import SECRETS
from tests.e2e.copy import ROOT, itqan, poll, pulumi, pulumi_environment

from .conftest import FURTHER, Vps
from .hoster import Hoster

STACK, OBSERVER = "vps-observed", "itqan-observer"
# What a running server writes by itself, and what sudo keeps of a login.
WRITTEN = ("/var/lib/mysql", "/var/lib/redis", "/var/www/itqan-platform/storage", "/var/lib/sudo")
TRACE = "/tmp/observer-was-here"
# Where every account of this server may write.
ANYWHERE = "find / -xdev -not -path '/proc/*' -not -type l -writable 2>/dev/null | sort"


@pytest.fixture(scope="module")
def observer_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The observer's private key, as a pipeline gets it."""
    make = SECRETS["observerPrivateKey"].generate
    assert make
    file = tmp_path_factory.mktemp("observer") / "id_ed25519"
    file.touch(mode=0o600)
    file.write_text(make())
    return file


@pytest.fixture(scope="module")
def vps(hoster: Hoster, key: Path, observer_key: Path) -> Iterator[Vps]:
    """A server that is up, and that the observer may look at."""
    made = Vps(STACK, hoster.server(), hoster, key)
    made.forget()
    made.write_file()
    assert made.init_fully().returncode == 0
    made.set("accepted.units[0]", "unit /etc/systemd/system/redis-server.service.d/container.conf")
    made.set("observer.key", public_key(observer_key.read_text()))
    made.up()
    yield made
    made.forget()


@pytest.fixture
def ssh(vps: Vps, observer_key: Path, tmp_path: Path) -> list[str]:
    """The options with which OpenSSH's clients come as the observer."""
    hosts = tmp_path / "known_hosts"
    hosts.write_text(f"{vps.server.address} {vps.server.host_key}\n")
    options = {"UserKnownHostsFile": hosts, "IdentitiesOnly": "yes", "BatchMode": "yes", "ConnectTimeout": 10}
    return ["-F", "none", "-i", str(observer_key), *(f"-o{name}={value}" for name, value in options.items())]


def call(*command: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """A client's answer."""
    return subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={**os.environ, **environment},
    )


def observe(ssh: list[str], place: str, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """What OpenSSH's client gets, once no other observation goes on."""
    answers: list[subprocess.CompletedProcess[str]] = []

    def free() -> bool:
        answers.append(call("ssh", *ssh, place, *command, stdin=stdin))
        return answers[-1].returncode != BUSY

    poll(free, 20, "the observation before this one ends")
    return answers[-1]


def is_record(output: str) -> bool:
    """Whether this is what the observer gets, and nothing else."""
    names = [line.split(" ", 1)[0] for line in output.splitlines()]
    return names[-1:] == ["done"] and all(name == "record" or "/" in name for name in names[:-1])


def audit(vps: Vps, key: Path, **environment: str) -> tuple[int, dict[str, Any]]:
    """`./itqan audit` with the observer's key alone: exit status and report."""
    done = call(str(ROOT / "itqan"), "audit", vps.stack, "--observer-key", str(key), "--json", **environment)
    assert done.returncode in (0, 2), done.stderr
    return done.returncode, json.loads(done.stdout)


def as_observer(vps: Vps, script: str) -> subprocess.CompletedProcess[str]:
    """What a process of the account could do, had it ever got one."""
    inner = ["runuser", "-u", OBSERVER, "--", "bash", "-c", script]
    return call("docker", "exec", "-i", vps.server.container, *inner)


def test_the_key_alone_is_enough_for_an_audit(vps: Vps, observer_key: Path) -> None:
    nothing = {"PULUMI_BACKEND_URL": "file:///nowhere", "PULUMI_CONFIG_PASSPHRASE": "wrong"}
    poll(lambda: audit(vps, observer_key, **nothing)[0] == 0, 30, "an audit without a difference")
    report = audit(vps, observer_key, **nothing)[1]
    assert report["host"] == f"{OBSERVER}@{vps.server.address} port 22"
    # all but the record itself, which cannot say what is in it
    assert len(report["units"]) == vps.outputs()["units"] - 1


def test_an_observation_changes_nothing_on_the_server(vps: Vps, ssh: list[str]) -> None:
    before = vps.server.snapshot(*WRITTEN), vps.server.bash("ls -lA /tmp /var/tmp /run/lock /dev/shm")
    assert is_record(call("ssh", *ssh, f"{OBSERVER}@{vps.server.address}").stdout)
    after = vps.server.snapshot(*WRITTEN), vps.server.bash("ls -lA /tmp /var/tmp /run/lock /dev/shm")
    assert sorted(before[0] ^ after[0]) == []
    assert before[1] == after[1]


@pytest.mark.parametrize(
    ("options", "command", "stdin"),
    [
        ([], ["id"], ""),
        ([], [f"touch {TRACE}; sudo -n bash"], f"touch {TRACE}\n"),
        ([], [], f"id\ntouch {TRACE}\n"),
        (["-t"], ["bash", "-i"], f"touch {TRACE}\n"),
        ([], [f"{PROGRAM} now; $(touch {TRACE})"], ""),
        ([], ["cat", "/var/www/itqan-platform/.env"], ""),
        ([], ["crontab", "-"], f"* * * * * touch {TRACE}\n"),
        ([], ["systemd-run", "--user", "touch", TRACE], ""),
        ([], ["at", "now"], f"touch {TRACE}\n"),
        (["-oSetEnv=LC_ALL=$(id) LANG=x LC_X=;id BASH_ENV=/tmp/evil.sh LD_PRELOAD=/tmp/evil.so"], [], ""),
    ],
)
def test_whatever_is_asked_for_the_answer_is_the_record(
    vps: Vps, ssh: list[str], options: list[str], command: list[str], stdin: str
) -> None:
    vps.server.bash(f"printf 'touch {TRACE}\\n' >/tmp/evil.sh; chmod 755 /tmp/evil.sh")
    place = f"{OBSERVER}@{vps.server.address}"
    done = observe([*ssh, *options], place, *command, stdin=stdin)
    assert is_record(done.stdout), done.stdout[-300:] + done.stderr
    assert "uid=" not in done.stdout
    vps.server.bash(f"! [ -e {TRACE} ] && ! [ -e /var/spool/cron/crontabs/{OBSERVER} ]")


def test_a_terminal_is_refused(vps: Vps, ssh: list[str]) -> None:
    done = observe([*ssh, "-tt"], f"{OBSERVER}@{vps.server.address}", stdin=f"id\ntouch {TRACE}\n")
    assert "PTY allocation request failed" in done.stderr
    assert "uid=" not in done.stdout
    vps.server.bash(f"! [ -e {TRACE} ]")


def test_files_cannot_be_fetched_or_left(vps: Vps, ssh: list[str], tmp_path: Path) -> None:
    place = f"{OBSERVER}@{vps.server.address}"
    (tmp_path / "mine").write_text("x")
    attempts = [
        call(
            "sftp",
            *ssh,
            "-b",
            "-",
            place,
            stdin=f"get /etc/passwd {tmp_path}/got\nput {tmp_path}/mine {TRACE}\n",
        ),
        *(
            call("scp", *ssh, *protocol, *files)
            for protocol in ([], ["-O"])
            for files in (
                [f"{place}:/etc/passwd", f"{tmp_path}/got"],
                [f"{tmp_path}/mine", f"{place}:{TRACE}"],
            )
        ),
    ]
    assert [done.returncode for done in attempts if done.returncode == 0] == []
    assert not (tmp_path / "got").exists()
    vps.server.bash(f"! [ -e {TRACE} ]")


def test_the_connection_carries_nothing_else(vps: Vps, ssh: list[str], observer_key: Path) -> None:
    place = f"{OBSERVER}@{vps.server.address}"
    # -L and -D open the same kind of channel as -W
    assert "administratively prohibited" in call("ssh", *ssh, "-W", "127.0.0.1:3306", place).stderr
    listen = ["-N", "-oExitOnForwardFailure=yes"]
    for to in ("0:127.0.0.1:22", f"{TRACE}:127.0.0.1:22"):
        refused = call("ssh", *ssh, *listen, "-R", to, place)
        assert refused.returncode == 255 and "remote port forwarding failed" in refused.stderr
    allowed = call("ssh", *ssh, "-v", "-A", "-X", place, DISPLAY=":1").stderr
    # sshd's own words for what the line of authorized_keys leaves of: agent, port, pty, user-rc, x11
    (options,) = {line.split("key options: ")[1] for line in allowed.splitlines() if "key options: " in line}
    assert options.strip() == "command"

    async def sockets() -> list[str]:
        hosts: Any = ([asyncssh.import_public_key(vps.server.host_key)], [], [])
        said = []
        async with asyncssh.connect(
            vps.server.address,
            username=OBSERVER,
            client_keys=[str(observer_key)],
            known_hosts=hosts,
            config=None,
        ) as connection:
            for path in ("/run/mysqld/mysqld.sock", "/run/supervisor.sock", "/run/php/php8.4-fpm.sock"):
                with pytest.raises(asyncssh.ChannelOpenError) as refused:
                    await connection.open_unix_connection(path)
                said.append(str(refused.value))
        return said

    assert set(asyncio.run(sockets())) == {"open failed"}


def test_the_account_opens_by_this_key_only(vps: Vps, ssh: list[str], key: Path) -> None:
    without = [option for option in ssh if option != "-oBatchMode=yes"]
    place = f"{OBSERVER}@{vps.server.address}"
    password = call("ssh", *without, "-oPubkeyAuthentication=no", "-oNumberOfPasswordPrompts=0", place)
    other = call("ssh", *ssh[:3], str(key), *ssh[4:], place)
    assert (password.returncode, other.returncode) == (255, 255)
    assert vps.server.bash(f"getent shadow {OBSERVER} | cut -d: -f2") == "*"
    # su, as root only: the shell is what it is for sshd
    assert is_record(vps.server.bash(f"su - {OBSERVER} -c 'touch {TRACE}'"))
    vps.server.bash(f"! [ -e {TRACE} ]")


@pytest.mark.parametrize(
    "script",
    [
        "sudo -n id",
        "sudo -n -i",
        f"sudo -n {PROGRAM} now",
        f"sudo -n {PROGRAM} ''",
        f"sudo -n bash {PROGRAM}",
        f"sudo -n -u deploy {PROGRAM}",
        f"sudo -n -E {PROGRAM}",
        f"sudo -n BASH_ENV=/tmp/evil.sh {PROGRAM}",
        f"sudo -n -e {PROGRAM}",
        f"sudo -n -D /tmp {PROGRAM}",
        "su root -c id </dev/null",
        f"cat {PROGRAM}",
        f"{PROGRAM}",
        f"flock {PROGRAM} true",
        "cat /etc/shadow",
        "cat /etc/itqan/database.cnf",
        "cat /etc/letsencrypt/rfc2136.ini",
        "ls /etc/letsencrypt/live/itqanway.com-0001",
        "cat /home/deploy/.ssh/authorized_keys",
        "mysql -e 'SELECT 1'",
        "curl -s --fail --unix-socket /run/supervisor.sock http://localhost/RPC2",
        f"echo x >>{HOME}/.ssh/authorized_keys",
        f"echo x >{HOME}/.ssh/rc",
        f"rm -f {HOME}/shell",
        f"chsh -s /bin/bash {OBSERVER} </dev/null",
        f"ln -s /etc/passwd {HOME}/x",
    ],
)
def test_had_the_account_a_process_it_could_not(vps: Vps, script: str) -> None:
    done = as_observer(vps, script)
    assert done.returncode != 0, done.stdout
    assert "uid=0" not in done.stdout


def test_the_program_takes_nothing_from_its_caller(vps: Vps) -> None:
    vps.server.bash(
        f"printf 'touch {TRACE}\\n' >/tmp/evil.sh; install -d -m 777 /tmp/evil\n"
        "for name in cat flock nice timeout bash env; do install -m 755 /tmp/evil.sh /tmp/evil/$name; done"
    )
    evil = (
        "BASH_ENV=/tmp/evil.sh ENV=/tmp/evil.sh PATH=/tmp/evil:$PATH LC_ALL=../../tmp TMPDIR=/tmp/evil IFS=/"
    )
    evil += " SHELLOPTS=xtrace PS4='$(/tmp/evil.sh)' LD_PRELOAD=/tmp/evil.sh 'BASH_FUNC_cat%%=() { id; }'"
    done = as_observer(vps, f"cd /tmp/evil; echo id | env {evil} /usr/bin/sudo -n {PROGRAM}")
    assert is_record(done.stdout), done.stdout[-300:] + done.stderr
    vps.server.bash(f"! [ -e {TRACE} ]; rm -r /tmp/evil /tmp/evil.sh")


def test_the_account_owns_nothing_and_writes_where_everybody_may(vps: Vps) -> None:
    assert vps.server.bash(f"find / -xdev -user {OBSERVER} -not -path '/proc/*'") == ""
    mine = as_observer(vps, ANYWHERE).stdout.splitlines()
    everybody = vps.server.bash(f"runuser -u nobody -- bash -c {ANYWHERE!r}", check=False).splitlines()
    assert "/tmp" in mine
    assert mine == everybody
    assert as_observer(vps, "sudo -n -l").stdout.split("commands on")[1].splitlines()[1:] == [
        f'    (root) NOPASSWD: {PROGRAM} ""'
    ]


def test_it_tells_no_secret(vps: Vps, ssh: list[str]) -> None:
    bundle = json.loads(pulumi("config", "get", "--stack", vps.stack, "itqan:secrets").stdout)
    output = call("ssh", *ssh, f"{OBSERVER}@{vps.server.address}").stdout
    recorded = vps.server.bash(f"cat {PROGRAM}")
    values = [*FURTHER.values(), *(str(value) for value in bundle.values())]
    assert len(values) > 8
    assert [value for value in values if value in output or value in recorded] == []


def test_one_observation_at_a_time(vps: Vps, ssh: list[str], observer_key: Path) -> None:
    place = f"{OBSERVER}@{vps.server.address}"
    held = subprocess.Popen(
        ["docker", "exec", "-i", vps.server.container, "flock", PROGRAM, "cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert held.stdin and held.stdout
    held.stdin.write(b"held\n")
    held.stdin.flush()
    assert held.stdout.readline() == b"held\n"
    refused = call("ssh", *ssh, place)
    assert (refused.returncode, refused.stdout) == (BUSY, "")
    with ThreadPoolExecutor() as beside:
        waiting = beside.submit(audit, vps, observer_key)
        poll(lambda: _logins(vps) > 1, 20, "the audit comes while the lock is held")
        assert not waiting.done()
        held.stdin.close()
        held.wait(10)
        assert waiting.result()[0] == 0


def _logins(vps: Vps) -> int:
    """How often the observer was turned away or served since this server started, as sudo tells."""
    said = vps.server.bash(f"journalctl -q --no-pager -t sudo | grep -c 'COMMAND={PROGRAM}' || true")
    return int(said)


def test_drift_is_seen_with_the_key_alone(vps: Vps, observer_key: Path) -> None:
    vps.server.bash("chmod 600 /etc/nginx/sites-available/itqan-platform; useradd -m -s /bin/bash eve")
    status, report = audit(vps, observer_key)
    assert status == 2
    assert _differing(report) == ["nginx/site"]
    (unknown,) = report["unknown"]
    assert unknown["surrounding"] == "surroundings/logins" and unknown["lines"][0].startswith("login eve ")


@pytest.fixture
def looking_through_it(vps: Vps, observer_key: Path) -> Iterator[None]:
    """The stack's previews look through the observer."""
    good = vps.file.read_text()
    command = ["pulumi", "config", "set", "--stack", vps.stack, "--secret", "itqan:observerPrivateKey"]
    environment = {**os.environ, **pulumi_environment()}
    key = observer_key.read_text()
    subprocess.run(command, input=key, text=True, check=True, cwd=ROOT, env=environment)
    vps.set("observe", "observer")
    yield
    vps.file.write_text(good)


@pytest.mark.usefixtures("looking_through_it")
def test_a_preview_looks_through_the_observer_and_up_does_not(vps: Vps, observer_key: Path) -> None:
    since = vps.server.bash("date +%s")
    status, seen = _preview(vps, "--diff")
    assert status == 2, seen
    assert "# healed once; expected file /etc/nginx/sites-available/itqan-platform 644, found 600" in seen
    assert "login eve" in seen
    report = vps.audit()
    assert _differing(report) == ["nginx/site"]
    assert report["unobserved"] == []
    assert _logged_in(vps, since) == {fingerprint(public_key(observer_key.read_text()))}
    vps.server.bash("userdel -r eve 2>/dev/null")
    vps.up()
    assert fingerprint(public_key(vps.key.read_text())) in _logged_in(vps, since)
    assert _preview(vps)[0] == 0
    # a probe that the record on the host does not have
    vps.set("application.backups", "/home/deploy/other-backups")
    status, seen = _preview(vps)
    assert status == 2
    assert re.search("not observed, as the probe is another one .*: host/directories", seen), seen
    assert vps.audit()["unobserved"] == ["host/directories"]


def _differing(report: dict[str, Any]) -> list[str]:
    return [unit["unit"] for unit in report["units"] if unit["state"] == "differs"]


def _preview(vps: Vps, *options: str) -> tuple[int, str]:
    """A preview's exit status, and all that it said."""
    done = itqan("preview", "--stack", vps.stack, *options, check=False)
    return done.returncode, done.stdout + done.stderr


def _logged_in(vps: Vps, since: str) -> set[str]:
    """The keys that logged in on the server."""
    words = f"journalctl -q --no-pager --since @{since} | sed -n 's/.*Accepted publickey.* //p'"
    return set(vps.server.bash(words).split())


def test_the_recommended_sshd_lets_it_in_too(vps: Vps, observer_key: Path) -> None:
    file = "/etc/ssh/sshd_config.d/10-itqan.conf"
    vps.hoster.copy(vps.server.container, file, render("hardening/sshd.conf.j2", root_login="no"))
    try:
        vps.server.bash("/usr/sbin/sshd -t && systemctl reload ssh")
        assert len(audit(vps, observer_key)[1]["units"]) == vps.outputs()["units"] - 1
    finally:
        vps.server.bash(f"rm {file}; systemctl reload ssh")


def test_without_the_setting_nothing_of_it_stays(vps: Vps, ssh: list[str], observer_key: Path) -> None:
    pulumi("config", "rm", "--stack", vps.stack, "itqan:observer")
    vps.up()
    place = f"{OBSERVER}@{vps.server.address}"
    assert call("ssh", *ssh, place).returncode == 255
    rule = f"/etc/sudoers.d/{OBSERVER}"
    vps.server.bash(f"! getent passwd {OBSERVER} && ! [ -e {HOME} ] && ! [ -e {PROGRAM} ] && ! [ -e {rule} ]")
    told = call(str(ROOT / "itqan"), "audit", vps.stack, "--observer-key", str(observer_key))
    assert told.returncode == 1
    assert "authentication failed" in told.stderr and "the next `up` with itqan:observer.key" in told.stderr

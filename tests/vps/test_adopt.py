"""A server that somebody built by hand becomes a stack's, while it serves; the tests follow one another."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.sample import sample_repository
from settings import stack_file_config
from tests.e2e.copy import ROOT, itqan, poll, pulumi
from tests.e2e.faults import kill, start_up

from .conftest import Vps, pointed_at
from .hoster import Hoster, Server
from .load import Load

STACK = "vps-by-hand"
HERE = Path(__file__).parent
APPLICATION = "/var/www/itqan-platform"
UPLOAD = f"{APPLICATION}/storage/app/public/invoice.pdf"
LINEAGE = "/etc/letsencrypt/live/itqanway.com-0001"
# What the owner of the server knows, and nobody else may see.
SENTINELS = (
    "sentinel database #1 $x",
    "sentinelreverbkey",
    "sentinelreverbsecret",
    "sentinel-mail-user",
    'sentinel "mail" pass',
    "sentinel-livekit-key",
    "sentinel-livekit-secret",
    "sentinel-payment-secret",
)
FILE = """# the server that was there before
config:
  itqan:extends: prod
  itqan:platform: debian-13
  itqan:domain: itqan.test
  itqan:server: {{ipv4: {address}, ipv6: null, hostname: vps, minimumDiskGb: 4, minimumMemoryGb: 1}}
  # mail stays here
  itqan:environment: {{MAIL_MAILER: log}}
  itqan:certificate: {{directory: {directory}, email: admin@itqan.test}}
  itqan:dns: {{provider: rfc2136, server: {registrar}, keyName: itqan., conference: 192.0.2.10}}
  itqan:release: {{repository: /srv/git/itqan-platform.git, ref: {commit}}}
  itqan:accepted: {{units: ["unit /etc/systemd/system/redis-server.service.d/container.conf"]}}
"""
# Files of the units that the audit names; whatever else `up` changed would be a mistake.
FILES = {
    "host/runner": ["/usr/local/sbin/itqan-converge"],
    "host/preflight": ["/etc/itqan/preflight"],
    "host/owner": ["/etc/itqan/stack"],
    "host/digest-key": ["/etc/itqan/digest.key"],
    "host/login-key": ["/home/deploy/.ssh", "/home/deploy/.ssh/authorized_keys"],
    "host/sudo": ["/etc/sudoers.d/deploy"],
    "host/directories": ["/etc/itqan", "/home/deploy/backups"],
    "database/client": ["/etc/itqan/database.cnf"],
    "database/schema": [],  # the login that it looks with is the file of database/client
    "php/cli-limits": ["/etc/php/8.4/cli/conf.d/90-itqan.ini"],
    "php/fpm-limits": ["/etc/php/8.4/fpm/conf.d/90-itqan.ini"],
    "php/pool": ["/etc/php/8.4/fpm/pool.d/www.conf"],
    "certificates/credentials": ["/etc/letsencrypt/rfc2136.ini"],
    "certificates/hook": ["/etc/letsencrypt/renewal-hooks/deploy/nginx.sh"],
    "nginx/site": ["/etc/nginx/sites-available/itqan-platform"],
    "supervisor/itqan-worker": ["/etc/supervisor/conf.d/itqan-worker.conf"],
    "supervisor/reverb": ["/etc/supervisor/conf.d/reverb.conf"],
    "cron/scheduler": ["/var/spool/cron/crontabs/deploy", "/var/spool/cron/crontabs/www-data"],
    "logrotate/logs": ["/etc/logrotate.d/itqan-platform"],
    "logrotate/timer": ["/etc/systemd/system/logrotate.timer.d/itqan.conf"],
    "release/tool": ["/usr/local/sbin/itqan-release"],
    "release/session": ["/usr/local/sbin/itqan-session"],
    "release/settings": ["/etc/itqan/release.conf"],
    "release/ref": ["/etc/itqan/release.ref"],
    "release/env": [f"{APPLICATION}/.env"],
}
# Copies of what somebody else wrote.
KEPT = "/var/backups/itqan"
# What the running server writes by itself: rows, sessions, logs, and what compiles itself.
WRITTEN = (
    "/var/lib/mysql",
    "/var/lib/redis",
    f"{APPLICATION}/storage/logs",
    f"{APPLICATION}/storage/framework",
    "/root",
)
# The moments of a hand-over at which the unit's shell dies: what there is on the host by then.
KILLED = {
    moment: f"""
reloads=$(journalctl -u php8.4-fpm -o cat | grep -c '^Reloaded ' || true)
for try in $(seq 12000); do
    if {seen}; then pkill -KILL -f '[i]tqan-converge .*php/pool'; exit 0; fi
    sleep 0.01
done
exit 1
"""
    for moment, seen in {
        "started": "[ -s /run/itqan-fpm.pid ]",
        "answers": "[ -S /run/php/php8.4-fpm.sock.itqan ] && ! [ -S /run/php/itqan-fpm.sock ]",
        "reloaded": "[ -s /run/itqan-fpm.pid ] && "
        "[ $(journalctl -u php8.4-fpm -o cat | grep -c '^Reloaded ') -gt $reloads ]",
    }.items()
}
SERVICES = ("mariadb", "redis-server", "nginx", "php8.4-fpm", "supervisor", "cron")


@pytest.fixture(scope="module")
def by_hand(hoster: Hoster, key: Path) -> Iterator[Vps]:
    """A server that was built without a stack, with rows, an upload, a certificate; its stack's file."""
    server = hoster.server()
    build(server, hoster)
    made = Vps(STACK, server, hoster, key)
    made.forget()
    made.file.write_text(
        FILE.format(
            address=server.address,
            directory=hoster.directory,
            registrar=hoster.registrar,
            commit=sample_repository().commit,
        )
    )
    yield made
    made.forget()


def build(server: Server, hoster: Hoster) -> None:
    """Runs by_hand.sh, and leaves something that nobody wants to lose."""
    given = {
        "tsig": hoster.tsig_secret,
        "stream": sample_repository().stream,
        "env": (HERE / "by_hand.env").read_text(),
        "site": (HERE / "by_hand.nginx").read_text(),
    }
    for name, content in given.items():
        hoster.copy(server.container, f"/root/by-hand.{name}", content)
    server.bash("chmod 755 /root; chmod 644 /root/by-hand.*")
    arguments = ["itqan.test", server.address, hoster.registrar, hoster.directory]
    done = subprocess.run(
        ["docker", "exec", "-i", server.container, "bash", "-s", *arguments],
        input=(HERE / "by_hand.sh").read_text(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    server.bash(
        f"install -D -o www-data -g www-data /dev/stdin {UPLOAD} <<<'an invoice'\n"
        "redis-cli set kept value >/dev/null\n"
        "for visit in 1 2 3; do "
        "curl -fsSk -o /dev/null --resolve itqan.test:443:127.0.0.1 https://itqan.test/; done"
    )


def load_on(server: Server) -> Load:
    """Requests to the site of a server."""
    return Load(server.address, "itqan.test", server.bash("cat /usr/local/share/ca-certificates/root.crt"))


def started(server: Server) -> str:
    """When the services started, and whether one was started anew since."""
    shown = "-p Id -p MainPID -p ExecMainStartTimestampMonotonic -p NRestarts"
    return server.bash(f"systemctl show {shown} {' '.join(SERVICES)}")


def treasure(server: Server) -> str:
    """What nobody wants to lose: rows, an upload, Redis, the certificate, the passwords."""
    return server.bash(
        "mysql -N itqan_platform -e 'SELECT * FROM migrations; SELECT * FROM visits ORDER BY id LIMIT 3; "
        'SELECT user, host, authentication_string FROM mysql.user WHERE user = "itqan"\'\n'
        f"stat -c '%n %i %U %a %y' {UPLOAD}; cat {UPLOAD}; redis-cli get kept\n"
        f"readlink -f {LINEAGE}/*.pem; openssl x509 -in {LINEAGE}/cert.pem -noout -serial\n"
        f"sha256sum {APPLICATION}/bootstrap/cache/*.php\n"
        f"git -c safe.directory='*' -C {APPLICATION} rev-parse HEAD"
    )


def variables(server: Server) -> str:
    """The environment as the application's own library reads it."""
    read = (
        'require "vendor/autoload.php"; $all = Dotenv\\Dotenv::parse(file_get_contents(".env"));'
        "ksort($all); echo json_encode($all);"
    )
    return server.bash(f"cd {APPLICATION} && php -r '{read}'")


def paths(snapshot: set[str]) -> set[str]:
    """The paths of a snapshot's lines."""
    return {line.rsplit(" ", 6)[0] for line in snapshot}


def differing(vps: Vps) -> set[str]:
    """The units that the audit names."""
    return {unit["unit"] for unit in vps.audit()["units"] if unit["state"] == "differs"}


def adopt(vps: Vps, *options: str) -> subprocess.CompletedProcess[str]:
    """`./itqan adopt`."""
    return itqan("adopt", vps.stack, *options, check=False)


def test_a_copy_is_not_adopted() -> None:
    refused = itqan("adopt", "staging", check=False)
    assert refused.returncode == 1
    assert "is a copy on Docker" in refused.stderr


def test_adopt_asks_for_init(by_hand: Vps) -> None:
    refused = adopt(by_hand)
    assert refused.returncode == 1
    assert f"type: ./itqan init {STACK}" in refused.stderr


def test_init_makes_no_secret_anew(by_hand: Vps) -> None:
    place = ["--host", by_hand.server.address, "--user", "root", "--key", str(by_hand.key)]
    done = by_hand.init(*place, "--host-key", by_hand.fingerprint())
    assert done.returncode == 2, done.stdout + done.stderr
    assert "its secrets are not made anew" in done.stderr
    assert "itqan:appKey" in done.stdout


def test_adopt_stores_secrets_and_nothing_else(by_hand: Vps) -> None:
    file, host = by_hand.file.read_text(), by_hand.server.snapshot(*WRITTEN)
    done = adopt(by_hand)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PAYMENT_SECRET, appKey, databasePassword" in done.stdout
    for row in ("environment.LOG_LEVEL", "environment.SUPPORT_PHONE", "php.pool.maxChildren"):
        assert row in done.stdout
    said = done.stdout + done.stderr + by_hand.file.read_text()
    assert not [sentinel for sentinel in SENTINELS if sentinel in said]
    assert by_hand.secret("databasePassword") == SENTINELS[0]
    assert by_hand.secret("mailPassword") == 'sentinel "mail" pass'
    assert by_hand.secret("tsigSecret") == by_hand.hoster.tsig_secret
    plain = [line for line in by_hand.file.read_text().splitlines() if not line.strip().startswith("secure:")]
    assert plain == [line for line in file.splitlines() if not line.strip().startswith("secure:")]
    assert sorted(by_hand.server.snapshot(*WRITTEN) ^ host) == []


def test_adopt_takes_values_only_when_told_to(by_hand: Vps) -> None:
    done = adopt(by_hand, "--take")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "secrets stored, encrypted in Pulumi.vps-by-hand.yaml: none" in done.stdout
    text = by_hand.file.read_text()
    assert "LOG_LEVEL: warning" in text
    assert "maxChildren: 6" in text
    assert "# mail stays here" in text, "comments of the configuration survive"
    again = adopt(by_hand)
    assert again.returncode == 0
    assert "the settings say what the host has" in again.stdout
    assert by_hand.file.read_text() == text


def test_two_values_of_a_secret_are_told_and_none_is_lost(by_hand: Vps) -> None:
    pulumi("config", "set", "--secret", "--stack", STACK, "itqan:mailPassword", "sentinel-of-the-settings")
    try:
        told = adopt(by_hand)
        assert told.returncode == 2
        assert "stored with other values than the host's, and left so: mailPassword" in told.stdout
        kept = adopt(by_hand, "--keep")
        assert (kept.returncode, "the stored ones stay: mailPassword" in kept.stdout) == (0, True)
        assert "sentinel" not in told.stdout + told.stderr + kept.stdout + kept.stderr
    finally:
        pulumi("config", "rm", "--stack", STACK, "itqan:mailPassword")


def test_replace_stores_what_the_host_has(by_hand: Vps) -> None:
    bundle = json.loads(pulumi("config", "get", "--stack", STACK, "itqan:secrets").stdout)
    other = json.dumps({**bundle, "mailPassword": "sentinel-of-the-settings"})
    pulumi("config", "set", "--secret", "--stack", STACK, "itqan:secrets", other)
    done = adopt(by_hand, "--replace")
    assert (done.returncode, "replaced by the host's: mailPassword" in done.stdout) == (0, True)
    assert by_hand.secret("mailPassword") == 'sentinel "mail" pass'


def test_adopt_takes_the_way_to_git_and_the_token(by_hand: Vps) -> None:
    """In a stack of its own, so that the story goes on with the server as it was built."""
    ssh, ini = "/home/deploy/.ssh", "/root/secret/hostinger.ini"
    renewal = "/etc/letsencrypt/renewal/another.conf"
    known = f"git.test {by_hand.server.host_key}"
    by_hand.hoster.copy(by_hand.server.container, "/root/known", f"{known}\n")
    by_hand.server.bash(
        f"git config -f {APPLICATION}/.git/config remote.origin.url git@git.test:itqan.git\n"
        f"install -d -o deploy -g deploy {ssh}; ssh-keygen -q -t ed25519 -N '' -f {ssh}/itqan\n"
        f"printf 'Host git.test\\n  IdentityFile ~/.ssh/itqan\\n' >{ssh}/config\n"
        f"mv /root/known {ssh}/known_hosts; ssh-keygen -q -H -f {ssh}/known_hosts 2>/dev/null\n"
        f"chown -R deploy: {ssh}\n"
        f"install -D -m 600 /dev/stdin {ini} <<<'dns_hostinger_api_token = \"sentinel-token\"'\n"
        f"echo 'dns_hostinger_credentials = {ini}' >{renewal}"
    )
    try:
        with pointed_at("vps-taken", by_hand.server, by_hand.hoster, by_hand.key) as made:
            assert made.init_fully().returncode == 2
            first = adopt(made)
            assert "hostingerToken" in first.stdout and "deployKey" not in first.stdout
            assert "release.knownHosts" in first.stdout
            done = adopt(made, "--take", "--replace")
            assert "deployKey" in done.stdout, done.stdout + done.stderr
            assert "sentinel-token" not in first.stdout + done.stdout + done.stderr + made.file.read_text()
            assert made.secret("hostingerToken") == "sentinel-token"
            assert made.secret("deployKey").strip() == by_hand.server.bash(f"cat {ssh}/itqan")
            release = stack_file_config(made.file)["release"]
            assert release["repository"] == "git@git.test:itqan.git"
            assert [line.split()[2] for line in release["knownHosts"]] == [by_hand.server.host_key.split()[1]]
    finally:
        origin = "/srv/git/itqan-platform.git"
        by_hand.server.bash(
            f"git config -f {APPLICATION}/.git/config remote.origin.url {origin}\n"
            f"chown deploy:www-data {APPLICATION}/.git/config; chmod 755 {APPLICATION}/.git/config\n"
            f"rm -rf {ssh} /root/secret {renewal} /root/known"
        )


def test_the_audit_names_what_up_will_change(by_hand: Vps) -> None:
    host = by_hand.server.snapshot(*WRITTEN)
    done = itqan("audit", STACK, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert differing(by_hand) == FILES.keys()
    assert sorted(by_hand.server.snapshot(*WRITTEN) ^ host) == []


def test_up_changes_just_that_and_every_request_is_answered(by_hand: Vps) -> None:
    server = by_hand.server
    before = (started(server), treasure(server), variables(server))
    host = server.snapshot(*WRITTEN)
    with load_on(server) as load:
        poll(lambda: load.answers["200"] > 20, 30, "the site answers")
        by_hand.up()
        answered = load.answers["200"]
        poll(lambda: load.answers["200"] > answered + 20, 30, "the site answers")
    assert set(load.answers) == {"200"}, load.answers
    assert (started(server), treasure(server), variables(server)) == before
    changed = paths(server.snapshot(*WRITTEN) ^ host)
    named = {path for files in FILES.values() for path in files}
    # a folder changes with what is in it (and gets another inode on the overlay of a container)
    folders = {str(folder) for path in (*named, KEPT) for folder in Path(path).parents}
    further = {path for path in changed - named - folders if not path.startswith(KEPT)}
    assert further == set()
    assert named - changed == set(), "each of these was written"


def test_the_second_up_changes_nothing(by_hand: Vps) -> None:
    poll(lambda: by_hand.audit()["differing"] == 0, 30, "an audit without a difference")
    host, before = by_hand.server.snapshot(*WRITTEN), started(by_hand.server)
    assert "nothing to do" in by_hand.up().stdout
    assert sorted(by_hand.server.snapshot(*WRITTEN) ^ host) == []
    assert started(by_hand.server) == before
    done = itqan("audit", STACK, check=False)
    assert done.returncode == 0, done.stdout


def test_a_reload_of_the_adopted_server_cuts_off_no_request(by_hand: Vps) -> None:
    by_hand.set("php.pool.maxChildren", "7")
    with load_on(by_hand.server) as load:
        poll(lambda: load.answers["200"] > 20, 30, "the site answers")
        by_hand.up()
    assert set(load.answers) == {"200"}, load.answers


@pytest.mark.parametrize("moment", ["started", "answers", "reloaded"])
def test_a_hand_over_of_fpm_that_is_killed_is_finished_by_the_next_run(by_hand: Vps, moment: str) -> None:
    """FPM as Debian has it again; the run and its shell on the host die while the second FPM answers."""
    pool = "/etc/php/8.4/fpm/pool.d/www.conf"
    server = by_hand.server
    server.bash(f"sed -i '/process_control_timeout/d' {pool}; systemctl restart php8.4-fpm")
    with load_on(server) as load:
        poll(lambda: load.answers["200"] > 20, 30, "the site answers")
        run = start_up(by_hand.stack)
        server.bash(KILLED[moment])
        kill(run)
        assert server.bash("ls /run/itqan-fpm.pid")
        by_hand.up()
        answered = load.answers["200"]
        poll(lambda: load.answers["200"] > answered + 20, 30, "the site answers")
    assert set(load.answers) == {"200"}, load.answers
    assert server.bash("ls /run/itqan-fpm* /run/php/*itqan* 2>/dev/null || true") == ""
    assert server.bash("pgrep -fc '^php-fpm: master'") == "1"
    poll(lambda: by_hand.audit()["differing"] == 0, 30, "an audit without a difference")


def test_the_secrets_are_nowhere_in_the_state_or_the_logs(by_hand: Vps) -> None:
    exported = pulumi("stack", "export", "--stack", by_hand.stack).stdout
    logs = [path for path in (ROOT / ".itqan/logs").glob(f"*{by_hand.stack}*") if path.is_file()]
    texts = [exported, *(path.read_text(errors="replace") for path in logs)]
    assert not [word for word in SENTINELS if any(word in text for text in texts)]

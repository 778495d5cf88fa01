"""Secrets of a server: each is changed under load and killed at every step; none is where it should not be.

The tests follow one another on one server.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import ssl
import subprocess
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

import pytest
import urllib3

from components.observation import Endpoint, Unreachable, observe
from components.render import probe_library
from components.unit import Unit
from settings import SECRETS
from tests.e2e.copy import ROOT, itqan, poll, pulumi
from tests.sentinel import (
    APPLICATION,
    KNOW,
    Sampler,
    found_in,
    found_on,
    kept_by_the_engine,
    needles,
    sampled,
)
from tests.vps.conftest import Vps
from tests.vps.hoster import Hoster
from tests.vps.load import Load

STACK = "vps-secrets"
DOMAIN = "itqan.test"
# As the container of these tests starts Redis.
ACCEPTED = '  itqan:accepted: {units: ["unit /etc/systemd/system/redis-server.service.d/container.conf"]}\n'
VARIABLE = "PAYMENT_SECRET"
BOOT = (
    'require "vendor/autoload.php"; $app = require "bootstrap/app.php"; '
    "$app->make(Illuminate\\Contracts\\Console\\Kernel::class)->bootstrap(); "
)
# Where each change is killed, one after the other: what it says when it gets there. Each step of every one is
# killed in tests/unit/test_rotate.py.
STEPS = {
    "db": (
        "Making a new",
        "database-schema",
        "release-env",
        "The old one is withdrawn",
        "The change of db is done",
    ),
    "redis": ("redis-login", "supervisor-processes", "Only the new one", "redis-password"),
    "app-key": (
        "becomes readable",
        "release-env",
        "becomes the one that encrypts",
        "The change of app-key is done",
    ),
    "ssh": (
        "The new key is added",
        "The new key becomes the stack's",
        "release-env",
        "The old key is removed",
    ),
}


class Story:
    """The server, and all that was said, sampled and known on the way.

    told     what every command said
    secrets  every value that a secret ever had, by a name of its own
    """

    def __init__(self, vps: Vps, sampler: Sampler) -> None:
        self.vps, self.sampler = vps, sampler
        self.told: dict[str, str] = {}
        self.secrets: dict[str, str] = {}

    def note(self, name: str, done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
        """Keeps what a command said, and the values that the secrets have now."""
        self.told[name] = done.stdout + done.stderr
        self.learn()
        return done

    def learn(self) -> dict[str, str]:
        """The secrets as the configuration has them now."""
        shown = json.loads(pulumi("config", "--show-secrets", "--json", "--stack", self.vps.stack).stdout)
        bundle = json.loads(shown["itqan:secrets"]["value"]) if "itqan:secrets" in shown else {}
        values = {name: value for name, value in bundle.items() if isinstance(value, str)}
        rotation = bundle.get("rotation") or {}
        values |= {f"rotation-{name}": value for name, value in rotation.items() if name != "of"}
        if variables := shown.get("itqan:environmentSecrets"):
            values |= variables["objectValue"]
        known = set(self.secrets.values())
        self.secrets |= {
            f"{name}-{len(self.secrets)}": value
            for name, value in needles(values).items()
            if value not in known
        }
        return values

    def killed_at(self, of: str, step: str) -> bool:
        """`rotate`, killed with all its processes when it says `step`; False when it ended before."""
        process = subprocess.Popen(
            [str(ROOT / "itqan"), "rotate", self.vps.stack, of],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert process.stdout
        said = ""
        for line in process.stdout:
            said += line
            if step in line:
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.told[f"rotate {of} until {step}"] = said
        self.learn()
        return step in said

    def rotate(self, of: str) -> subprocess.CompletedProcess[str]:
        """`rotate`, undisturbed."""
        return self.note(f"rotate {of}", itqan("rotate", self.vps.stack, of, check=False))

    @cached_property
    def authority(self) -> str:
        """Who signed the site's certificate."""
        return self.vps.server.bash("cat /usr/local/share/ca-certificates/root.crt")

    def load(self) -> Load:
        """Requests to pages that use database, session, cache and queue."""
        return Load(self.vps.server.address, DOMAIN, self.authority, pages=("/", "/up"))

    def get(self, path: str, cookie: str = "", method: str = "GET") -> urllib3.BaseHTTPResponse:
        """A request to the site."""
        context = ssl.create_default_context(cadata=self.authority)
        with urllib3.HTTPSConnectionPool(
            self.vps.server.address,
            443,
            ssl_context=context,
            server_hostname=DOMAIN,
            assert_hostname=DOMAIN,
            timeout=60,
        ) as pool:
            headers = {"Host": DOMAIN, **({"Cookie": f"itqan_session={cookie}"} if cookie else {})}
            return pool.request(method, path, headers=headers, retries=False)

    def php(self, code: str) -> str:
        """What the application, started on the server as the web user, prints."""
        return self.vps.server.bash(f"cd {APPLICATION} && runuser -u www-data -- php -r '{BOOT}{code}'")

    def cookie(self, sent: str = "") -> str:
        """The session's cookie as the site sends it."""
        header = self.get("/", sent).headers["Set-Cookie"]
        found = re.search(r"itqan_session=([^;]+)", header)
        assert found
        return found.group(1)

    def session(self, cookie: str) -> str:
        """The session that a cookie is of; a mark of 41 characters stands before it."""
        return self.php(f'echo substr(app("encrypter")->decrypt("{unquote(cookie)}", false), 41);')

    def require_new_processes(self) -> None:
        """No process goes on with what it read before."""
        look = f"{probe_library()}\nset +e; probe_processes {APPLICATION}"
        poll(
            lambda: self.vps.server.bash(look, check=False).endswith("none"), 60, "processes with the new one"
        )

    def require_work_done(self, token: str) -> None:
        """A job goes through Redis to a worker and into the database."""
        assert self.get(f"/api/visits/{token}", method="POST").status == 202
        poll(lambda: self.get(f"/api/visits/{token}").status == 200, 30, "the job was done")

    def require_whole(self) -> None:
        """Nothing differs, on the host and in the state."""
        # some probes have a deadline of their own, which a busy machine misses now and then
        poll(lambda: itqan("audit", self.vps.stack, check=False).returncode == 0, 180, "a clean audit")
        shown = self.note("preview at the end", itqan("preview", "--stack", self.vps.stack, check=False))
        assert shown.returncode == 0, shown.stdout


@pytest.fixture(scope="module")
def story(hoster: Hoster, key: Path) -> Iterator[Story]:
    """A new server, and a stack's file."""
    vps = Vps(STACK, hoster.server(), hoster, key)
    vps.forget()
    vps.write_file()
    vps.file.write_text(vps.file.read_text() + ACCEPTED)
    with sampled() as sampler:
        yield Story(vps, sampler)
    vps.forget()


def changed(story: Story, of: str) -> None:
    """One change, killed at every step and continued, while no request fails."""
    with story.load() as load:
        poll(lambda: load.answers["200"] > 20, 30, "the site answers")
        missed = [step for step in STEPS[of] if not story.killed_at(of, step)]
        assert missed == [], story.told
        done = story.rotate(of)
        assert done.returncode == 0, done.stdout + done.stderr
        answered = load.answers["200"]
        poll(lambda: load.answers["200"] > answered + 20, 30, "the site answers")
    assert set(load.answers) == {"200"}, load.answers


def test_init_up_and_all_other_runs(story: Story, tmp_path: Path) -> None:
    vps = story.vps
    make = SECRETS["deployKey"].generate or SECRETS["sshPrivateKey"].generate
    assert make
    given = json.dumps({**json.loads(vps.further), "deployKey": make()})
    place = ["--host", vps.server.address, "--user", "root", "--key", str(vps.key)]
    done = story.note("init", vps.init(*place, "--host-key", vps.fingerprint(), "--secrets", stdin=given))
    assert done.returncode == 0, done.stdout + done.stderr
    variable = ["--path", "--secret", f"itqan:environmentSecrets.{VARIABLE}"]
    pulumi("config", "set", "--stack", STACK, *variable, stdin="sentinel-payment-secret")
    assert story.note("up", vps.up(check=False)).returncode == 0, story.told["up"]
    vps.set("connection.user", "deploy")
    story.note("up as deploy", vps.up())
    written = f"{APPLICATION}/.env /etc/itqan/database.cnf /etc/letsencrypt/rfc2136.ini"
    vps.server.bash(f"rm {written} /home/deploy/.ssh/itqan_deploy")
    story.note("preview", itqan("preview", "--diff", "--stack", STACK, check=False))
    page = tmp_path / "audit.html"
    story.note("audit", itqan("audit", STACK, "--html", str(page), check=False))
    story.told["page"] = page.read_text(encoding="utf-8")
    story.note("json", itqan("audit", STACK, "--json", check=False))
    vps.server.bash("mount --bind /etc/itqan /etc/itqan && mount -o remount,ro,bind /etc/itqan")
    failed = story.note("failed up", vps.up(check=False))
    vps.server.bash("umount /etc/itqan")
    assert failed.returncode == 1
    story.note("up again", vps.up())
    assert story.note("adopt", itqan("adopt", STACK, check=False)).returncode == 0, story.told["adopt"]
    story.require_whole()


def test_another_change_waits(story: Story) -> None:
    assert story.killed_at("db", "Both are accepted")
    refused = story.rotate("redis")
    assert refused.returncode == 1
    assert f"a change of db is under way; first: ./itqan rotate {STACK} db" in refused.stderr
    assert story.rotate("db").returncode == 0


def test_database(story: Story) -> None:
    old = story.vps.secret("databasePassword")
    changed(story, "db")
    new = story.vps.secret("databasePassword")
    assert new != old
    for host in ("127.0.0.1", "localhost"):
        assert not logs_in(story, host, old)
        assert logs_in(story, host, new)
    story.require_new_processes()
    story.require_work_done("after-database")
    story.require_whole()
    assert found_on(story.vps.server.container, {"old": old}) == set()


def logs_in(story: Story, host: str, password: str) -> bool:
    """Whether a password opens the application's account."""
    file = f"[client]\nhost={host}\nuser=itqan\npassword={password}\n"
    command = ["docker", "exec", "-i", story.vps.server.container]
    done = subprocess.run(
        [*command, "mysql", "--defaults-file=/dev/stdin", "-e", "SELECT 1"],
        input=file,
        text=True,
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def redis_says(story: Story, *lines: str) -> str:
    """What Redis answers to the last of these lines; a password on standard input is in no process list."""
    command = ["docker", "exec", "-i", story.vps.server.container, "redis-cli"]
    text = "".join(f"{line}\n" for line in lines)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


def test_first_redis_password(story: Story) -> None:
    assert redis_says(story, "PING") == "PONG"
    changed(story, "redis")
    assert "NOAUTH" in story.vps.server.bash("redis-cli ping")
    assert redis_says(story, f"AUTH {story.vps.secret('redisPassword')}", "PING") == "PONG"
    story.require_new_processes()
    story.require_work_done("after-first-redis")
    story.require_whole()


def test_another_redis_password(story: Story) -> None:
    old = story.vps.secret("redisPassword")
    with story.load() as load:
        poll(lambda: load.answers["200"] > 20, 30, "the site answers")
        assert story.rotate("redis").returncode == 0, story.told["rotate redis"]
    assert set(load.answers) == {"200"}, load.answers
    new = story.vps.secret("redisPassword")
    assert redis_says(story, f"AUTH {new}", "PING") == "PONG"
    assert "WRONGPASS" in redis_says(story, f"AUTH {old}")
    story.vps.server.bash("systemctl restart redis-server && sleep 1")
    assert redis_says(story, f"AUTH {new}", "PING") == "PONG", "it lasts"
    story.require_new_processes()
    story.require_work_done("after-redis")
    story.require_whole()
    assert found_on(story.vps.server.container, {"old": old}) == set()


def test_application_key(story: Story) -> None:
    """Sessions and encrypted values of the old key are read; what is written is of the new one."""
    old = story.vps.secret("appKey")
    cookie = story.cookie()
    session, value = story.session(cookie), story.php('echo encrypt("kept");')
    changed(story, "app-key")
    new = story.vps.secret("appKey")
    assert new != old
    assert story.vps.secret("previousAppKeys") == old
    story.require_work_done("after-key")
    assert story.php(f'echo decrypt("{value}");') == "kept"
    assert story.session(story.cookie(cookie)) == session
    read = (
        '$old = base64_decode(substr(config("app.previous_keys")[0], 7)); '
        '$reader = new Illuminate\\Encryption\\Encrypter($old, "AES-256-CBC"); '
        f'try {{ $reader->decrypt("{unquote(story.cookie())}", false); echo "old"; }} '
        'catch (Throwable) { echo "new"; }'
    )
    assert story.php(read) == "new"
    story.require_whole()


def test_login_key(story: Story) -> None:
    old = story.vps.secret("sshPrivateKey")
    assert login(story, old) == "logs in"
    changed(story, "ssh")
    assert login(story, story.vps.secret("sshPrivateKey")) == "logs in"
    for user in ("deploy", "root"):
        assert "authentication failed" in login(story, old, user)
    story.require_whole()


def login(story: Story, key: str, user: str = "deploy") -> str:
    """Whether a private key opens an account, in words."""
    server = story.vps.server
    endpoint = Endpoint(server.address, 22, user, key, " ".join(server.host_key.split()[:2]))
    try:
        asyncio.run(observe(endpoint, [Unit("test/login", "true", "", "")]))
    except Unreachable as error:
        return str(error)
    return "logs in"


def test_nothing_said_a_secret(story: Story) -> None:
    assert len(story.told) > 30
    assert len(story.secrets) >= 12 + 6  # those of the beginning, and a value for each change
    found = {
        f"{name} in {told}"
        for told, text in story.told.items()
        for name, secret in story.secrets.items()
        if secret in text
    }
    assert found == set()


def test_no_process_had_one_on_either_side(story: Story) -> None:
    assert story.sampler.saw("pulumi")
    assert story.sampler.saw("/usr/local/sbin/itqan-converge")
    assert story.sampler.found(story.secrets) == set()


def test_state_logs_and_histories_have_none(story: Story) -> None:
    kept = kept_by_the_engine()
    assert any(STACK in str(path) for path in kept)
    assert found_in([*kept, story.vps.file], story.secrets) == set()


def test_on_the_server_only_what_needs_them_has_them(story: Story) -> None:
    found = found_on(story.vps.server.container, story.secrets)
    assert found - KNOW == set()
    assert f"{APPLICATION}/.env" in found

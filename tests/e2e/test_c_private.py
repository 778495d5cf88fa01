"""A private repository over SSH and over HTTPS; deployments by hand from it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.sentinel import found_in, found_on, kept_by_the_engine, sampled

from .copy import ROOT as CHECKOUT
from .copy import Copy, itqan, outputs, poll, pulumi

ROOT = "/var/www/itqan-platform"
REPOSITORY, WORK = "/home/git/app.git", "/home/git/work"
PORT = 8444
TOKEN = "github_pat_sentinel$5#x"
PREPARE = f"""
useradd -m -s /usr/bin/git-shell git
usermod -p '*' git
install -d -o git -g git -m 700 /home/git/.ssh
install -o git -g git -m 600 /dev/stdin /home/git/.ssh/authorized_keys
cp -r /srv/git/itqan-platform.git {REPOSITORY}
chown -R git: {REPOSITORY}
cd /home/git
runuser -u git -- git clone -q {REPOSITORY} {WORK}
runuser -u git -- git -C {WORK} config user.name Ali
runuser -u git -- git -C {WORK} config user.email ali@itqan.test
"""
# Section "Quick Deploy" of the document, as it stands there.
QUICK = """
cd /var/www/itqan-platform
git pull origin main
php artisan config:clear
php artisan cache:clear
php artisan route:clear
php artisan view:clear
php artisan config:cache
php artisan route:cache
php artisan view:cache
php artisan queue:restart
"""


@dataclass(frozen=True)
class Private:
    """The copy, whose application comes from a private repository."""

    copy: Copy

    def push(self, name: str) -> str:
        """A commit on main with one more file of PHP. Returns it."""
        script = (
            f"echo '<?php' >app/{name}.php; git add -A; git commit -qm {name}\n"
            "git push -q origin HEAD:main; git rev-parse HEAD"
        )
        return self.copy.bash(f"cd {WORK}; runuser -u git -- bash -euo pipefail -c {quoted(script)}")

    def configure(self, **values: str) -> None:
        """Values of the release."""
        pairs = [
            part
            for key, value in values.items()
            for part in ("--plaintext", f"itqan:release.{key.replace('_0', '[0]')}={value}")
        ]
        pulumi("config", "set-all", "--path", "--stack", self.copy.stack, *pairs)

    def by_hand(self, script: str) -> str:
        """What the deploy user types."""
        return self.copy.bash(f"runuser -u deploy -- bash -euo pipefail <<'END'\n{script}\nEND")

    def running(self) -> str:
        found: str = json.loads(self.copy.get("/up").data)["release"]
        return found


def as_wanted(stack: str) -> bool:
    """Whether nothing differs; who serves the repository there is not of the stack."""
    report = json.loads(itqan("audit", "--json", "--stack", stack, check=False).stdout)
    assert [f["text"] for f in report["findings"] if f["section"] == "Deployment Procedures"] == []
    return not report["differing"]


@pytest.fixture(scope="module")
def private(copy: Copy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Private]:
    """A git server beside the application, which knows this machine's key; afterwards all is as it was."""
    key = tmp_path_factory.mktemp("keys") / "mine"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    socket = key.with_name("agent")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    poll(socket.exists, 10, "the agent")
    before = os.environ.get("SSH_AUTH_SOCK")
    os.environ["SSH_AUTH_SOCK"] = str(socket)
    subprocess.run(["ssh-add", "-q", str(key)], check=True)
    public = key.with_suffix(".pub").read_text().strip()
    copy.bash(f"bash -euo pipefail -c {quoted(PREPARE)} <<<'{public}'")
    made = Private(copy)
    host_key = " ".join(copy.outputs["ssh"]["hostKey"].split()[:2])
    made.configure(
        repository=f"ssh://git@{copy.outputs['address']}{REPOSITORY}",
        ref="main",
        knownHosts_0=f"{copy.outputs['address']} {host_key}",
    )
    # what the sample brings on this platform, so that the image stays the same
    pulumi(
        "config", "set", "--stack", copy.stack, "--path", "itqan:furtherPackages[0]", "php-laravel-framework"
    )
    yield made
    for name in ("release", "furtherPackages", "repositoryToken"):
        pulumi("config", "rm", "--stack", copy.stack, f"itqan:{name}", check=False)
    copy.bash("pkill -u git || true; userdel -r git 2>/dev/null")
    itqan("up", "--stack", copy.stack)
    agent.terminate()
    agent.wait()
    if before is None:
        del os.environ["SSH_AUTH_SOCK"]
    else:
        os.environ["SSH_AUTH_SOCK"] = before


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def test_a_key_that_is_not_accepted_is_told_and_the_next_up_goes_on(private: Private) -> None:
    wanted, copy = private.push("First"), private.copy
    before = private.running()
    refused = itqan("up", "--stack", copy.stack, check=False)
    assert refused.returncode == 1
    public = copy.bash("cat /home/deploy/.ssh/itqan_own.pub")
    assert "does not let this host in yet. Enter this public key there" in refused.stderr
    assert f"key:    {public}" in refused.stderr
    assert f"where:  the deploy keys of home/git/app on {copy.outputs['address']}" in refused.stderr
    assert private.running() == before
    copy.bash(f"echo '{public}' >>/home/git/.ssh/authorized_keys")
    itqan("up", "--stack", copy.stack)
    poll(lambda: private.running() == wanted, 10, "the new release")
    assert outputs(copy.stack)["deployKey"]["publicKey"] == public
    assert copy.bash("stat -c '%U %a' /home/deploy/.ssh/itqan_own") == "deploy 600"


def test_by_hand_while_a_deploy_runs_and_after_it_both_agree(private: Private) -> None:
    wanted, stack = private.push("Second"), private.copy.stack
    command = ["docker", "exec", private.copy.outputs["container"], "runuser", "-u", "deploy", "--"]
    hand = subprocess.Popen(
        [*command, f"{ROOT}/deployment/deploy.sh"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert hand.stderr
    assert any("release: step 2" in line for line in hand.stderr)
    # held there until the other one has found it
    private.copy.bash("pkill -STOP -f '^bash [^ ]*itqan-release pull'")
    second = subprocess.Popen(
        [str(CHECKOUT / "itqan"), "deploy", stack],
        cwd=CHECKOUT,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert second.stderr
    found = any(
        "release: another release runs, begun by deploy, by hand at " in line for line in second.stderr
    )
    # sudo and runuser stop with what they started, and are not told when that goes on
    private.copy.bash("pkill -CONT -f '[i]tqan-release pull|deployment/[d]eploy.sh'")
    assert found
    rest = second.stderr.read()
    assert (second.wait(), "runs already: nothing to do" in rest) == (0, True), rest
    said, _ = "".join(hand.stderr), hand.wait()
    assert (hand.returncode, f"release: {wanted[:12]}, the newest of main, runs" in said) == (0, True), said
    assert private.running() == wanted
    assert as_wanted(stack)
    assert itqan("preview", "--stack", stack).returncode == 0
    [noted] = json.loads(itqan("releases", stack, "--json").stdout)["releases"][-1:]
    assert noted["commit"] == wanted and noted["by"].endswith(", by hand")


def test_the_documents_quick_deploy_is_told_and_settled(private: Private) -> None:
    wanted, stack = private.push("Third"), private.copy.stack
    private.by_hand(QUICK)

    def audited() -> tuple[list[str], list[dict[str, str]]]:
        report = json.loads(itqan("audit", "--json", "--stack", stack, check=False).stdout)
        return [unit["unit"] for unit in report["units"] if unit["state"] == "differs"], report["findings"]

    # workers that were told to restart need a moment
    _, findings = poll(audited, 30, "one difference", lambda found: found[0] == ["release/permissions"])
    [finding] = [f for f in findings if f["section"] == "Deployment Procedures"]
    assert f"commit {wanted[:12]} was checked out by hand" in finding["text"]
    assert finding["line"] == f"./itqan deploy {stack} --full"
    itqan(*finding["line"].split()[1:])
    assert as_wanted(stack)


def test_a_token_over_https_is_nowhere_but_in_its_file(private: Private) -> None:
    wanted, copy = private.push("Fourth"), private.copy
    name, container = f"git.{copy.outputs['domain']}", copy.outputs["container"]
    # a commit, as nobody but the host itself knows this name
    private.configure(repository=f"https://{name}:{PORT}/app.git", ref=wanted)
    secrets = {"repositoryToken": TOKEN}
    with named(copy, name), served(container), sampled() as sampler:
        pulumi("config", "set", "--secret", "--stack", copy.stack, "itqan:repositoryToken", stdin=TOKEN)
        done = itqan("up", "--stack", copy.stack)
    poll(lambda: private.running() == wanted, 10, "the new release")
    assert sampler.saw("remote-https")
    assert sampler.found(secrets) == set()
    assert TOKEN not in done.stdout + done.stderr
    assert found_in(kept_by_the_engine(), secrets) == set()
    assert found_on(container, secrets) == {"/etc/itqan/repository.token"}


@contextmanager
def named(copy: Copy, name: str) -> Iterator[None]:
    """The host knows itself by a further name. Docker has mounted the file: it is not replaced."""
    copy.bash(f"echo '127.0.0.1 {name}' >>/etc/hosts")
    try:
        yield
    finally:
        copy.bash(f"sed '/ {name}$/d' /etc/hosts >/run/hosts; cat /run/hosts >/etc/hosts; rm /run/hosts")


@contextmanager
def served(container: str) -> Iterator[None]:
    """The repository over HTTPS, with the copy's own certificate, for whoever has the token."""
    program = (CHECKOUT / "tests/git_https.py").read_text()
    inside = ["docker", "exec", "-i", container]
    place = "/home/git/git_https.py"
    subprocess.run([*inside, "tee", place], input=program, text=True, check=True, stdout=subprocess.DEVNULL)
    lineage = "/etc/letsencrypt/live/itqanway.com-0001"
    server = subprocess.Popen(
        [*inside, "python3", place, str(PORT), lineage], stdin=subprocess.PIPE, text=True
    )
    assert server.stdin
    server.stdin.write(f"x-access-token:{TOKEN}\n")
    server.stdin.close()
    try:
        yield
    finally:
        subprocess.run([*inside, "pkill", "-f", place], check=True)
        server.wait()

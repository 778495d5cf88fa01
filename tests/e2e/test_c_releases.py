"""Releases on a real host that fail in each of the nine steps, die, and wait for a person's decision."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from .copy import Copy, itqan, poll, pulumi
from .faults import Visitor

ROOT = "/var/www/itqan-platform"
ORIGIN = "/srv/git/itqan-platform.git"
WORK = "/home/deploy/work"
TOOL = "itqan-release"
# A commit whose artisan fails at one of its commands.
ARTISAN = "if (($argv[1] ?? '') === '{command}') {{ fwrite(STDERR, \"told to fail\\n\"); exit(9); }}\n"
MIGRATION = """<?php
return new class extends Illuminate\\Database\\Migrations\\Migration
{{
    public function up(): void
    {{
        {up}
    }}
{down}
}};
"""
CREATE = "Illuminate\\Support\\Facades\\Schema::create('{name}', fn ($table) => $table->id());"
DOWN = "    public function down(): void\n    {{\n        {body}\n    }}"
DROP = "Illuminate\\Support\\Facades\\Schema::drop('{name}');"


def reversible(name: str, further: str = "") -> str:
    """A migration that makes a table."""
    down = DOWN.format(body=DROP.format(name=name))
    return MIGRATION.format(up=CREATE.format(name=name) + further, down=down)


@dataclass(frozen=True)
class Host:
    """The copy's host, and the repository that it is released from."""

    copy: Copy
    old: str

    def push(self, **files: str) -> str:
        """A commit on the released one with further or other files. Returns it."""
        lines = [f"cd {WORK}", f"git checkout -q -B next {self.old}"]
        for number, (name, text) in enumerate(files.items()):
            path = name if "/" in name or "." in name else name.replace("__", "/")
            encoded = base64.b64encode(text.encode()).decode()
            lines.append(f"mkdir -p $(dirname {path}); echo {encoded} | base64 -d >{path} # {number}")
        lines += ["git add -A -f", "git commit -q --allow-empty -m next", "git push -q -f origin next"]
        self.copy.bash("runuser -u deploy -- bash -euo pipefail <<'END'\n" + "\n".join(lines) + "\nEND")
        return self.copy.bash(f"git -c safe.directory='*' -C {WORK} rev-parse HEAD")

    def artisan(self, command: str) -> str:
        """A commit whose artisan fails at a command."""
        text = self.copy.bash(f"cat {ROOT}/artisan")
        start = "require __DIR__"
        return self.push(artisan=text.replace(start, ARTISAN.format(command=command) + start, 1))

    def tool(self, *words: str) -> subprocess.CompletedProcess[str]:
        """itqan-release on the host."""
        command = ["docker", "exec", self.copy.outputs["container"], TOOL, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    def deploy(self, commit: str, *options: str) -> subprocess.CompletedProcess[str]:
        """A release of a commit."""
        return self.tool("deploy", "next", commit, *options)

    def running(self) -> set[str]:
        """The commits that PHP-FPM and Reverb name, the number of workers, and `old` for each of before."""
        answers = [
            self.copy.get("/up").data.decode(),
            self.copy.bash("curl -s http://127.0.0.1:8080/up"),
        ]
        workers = self.copy.bash(
            f"at=$(stat -c %Y {ROOT}/bootstrap/cache/routes-v7.php)\n"
            "for pid in $(pgrep -u www-data -f 'artisan queue:work'); do\n"
            "if (($(stat -c %Y /proc/$pid) < at)); then echo old; fi; done\n"
            "pgrep -cf '^php artisan queue:work'",
            check=False,
        )
        return {json.loads(answer)["release"] for answer in answers} | {workers}

    def state(self) -> str:
        """Commit, branch, dependencies, assets, caches, structure of the database, what lies about."""
        return self.copy.bash(
            f"cd {ROOT}; git='git -c safe.directory=*'\n"
            "$git rev-parse HEAD; $git symbolic-ref -q HEAD || true\n"
            "$git status --porcelain --untracked-files=no\n"
            "find vendor public/build bootstrap/cache -type f -exec sha256sum {} + | sort\n"
            "mysqldump --no-data --skip-comments itqan_platform | sed 's/ AUTO_INCREMENT=[0-9]*//'\n"
            "mysql -N itqan_platform -e 'SELECT migration FROM migrations'\n"
            "ls storage/framework; find .git -name 'itqan-*'; ls"
        )

    def last(self) -> dict[str, object]:
        """The newest line of the log."""
        made: dict[str, object] = json.loads(self.copy.bash("tail -n 1 /var/log/itqan/releases.jsonl"))
        return made


@pytest.fixture(scope="module")
def host(copy: Copy) -> Iterator[Host]:
    """See clone_of_the_repository."""
    with clone_of_the_repository(copy) as made:
        yield made


@contextmanager
def clone_of_the_repository(copy: Copy) -> Iterator[Host]:
    """A clone of the repository on the host; afterwards the copy is as it was."""
    old = copy.outputs["release"]
    copy.bash(
        f"runuser -u deploy -- git clone -q {ORIGIN} {WORK}\n"
        f"runuser -u deploy -- git -C {WORK} config user.name Ali\n"
        f"runuser -u deploy -- git -C {WORK} config user.email ali@itqan.test"
    )
    made = Host(copy, old)
    assert made.tool("deploy", "main", old).returncode == 0
    yield made
    copy.bash(
        f"rm -rf {WORK} /home/deploy/backups/*; git -c safe.directory='*' -C {ORIGIN} branch -D next; "
        f"runuser -u deploy -- git -C {ROOT} branch -D next || true; "
        f"runuser -u deploy -- git -C {ROOT} fetch -q --prune origin"
    )
    itqan("up", "--stack", copy.stack)


def require_taken_back(host: Host, before: str, done: subprocess.CompletedProcess[str], step: str) -> None:
    """The release before runs, as if nothing had been tried, and it is told what failed."""
    assert done.returncode != 0
    assert f"itqan: release: failed in {step}" in done.stderr
    assert f"itqan: release: {host.old[:12]} runs again, as before" in done.stderr, done.stderr
    assert host.state() == before
    answer = host.copy.get("/up")
    assert (answer.status, json.loads(answer.data)["release"]) == (200, host.old)
    assert host.last()["result"] == "failed, taken back"


def test_step_1_refuses_what_this_host_does_not_have(host: Host) -> None:
    before = host.state()
    lock = json.loads(host.copy.bash(f"cat {ROOT}/composer.debian.lock"))
    lock["platform"]["ext-nowhere"] = "*"
    composer = json.loads(host.copy.bash(f"cat {ROOT}/composer.debian.json"))
    composer["require"]["ext-nowhere"] = "*"
    files = {"composer.debian.json": json.dumps(composer), "composer.debian.lock": json.dumps(lock)}
    done = host.deploy(host.push(**files))
    assert done.returncode == 1
    assert "this host is not what composer.debian.lock of" in done.stderr
    assert "ext-nowhere" in done.stderr and "ext-redis" not in done.stderr
    assert host.state() == before


def test_step_3_a_checkout_that_fails(host: Host) -> None:
    before, hook = host.state(), f"{ROOT}/.git/hooks/post-checkout"
    wanted = host.push(**{"app/New.php": "<?php\n"})
    once = "[ -e /tmp/once ] || { touch /tmp/once; exit 7; }"
    host.copy.bash(f"printf '#!/bin/sh\\n{once}\\n' >{hook}; chmod 755 {hook}")
    try:
        done = host.deploy(wanted)
    finally:
        host.copy.bash(f"rm -f {hook} /tmp/once")
    require_taken_back(host, before, done, "step 3, check out")


def test_step_4_a_script_of_composer_fails(host: Host) -> None:
    before = host.state()
    composer = json.loads(host.copy.bash(f"cat {ROOT}/composer.debian.json"))
    composer["scripts"] = {"post-install-cmd": "echo told to fail >&2; exit 4"}
    composer["description"] = "other"
    done = host.deploy(host.push(**{"composer.debian.json": json.dumps(composer)}))
    require_taken_back(host, before, done, "step 4 and 5, composer install")
    assert "    " in done.stderr and "told to fail" in done.stderr


def test_step_5_a_build_that_fails(host: Host) -> None:
    before = host.state()
    done = host.deploy(host.push(**{"resources/js/app.js": "import 'nowhere-at-all'\n"}))
    require_taken_back(host, before, done, "step 4 and 5, composer install, npm ci and build, exit code 1")
    assert "nowhere-at-all" in done.stderr


def test_step_6_a_migration_that_fails_and_one_before_it(host: Host) -> None:
    before = host.state()
    files = {
        "database/migrations/2026_03_01_000000_first.php": reversible("first"),
        "database/migrations/2026_03_02_000000_second.php": MIGRATION.format(
            up="throw new RuntimeException('told to fail');",
            down=DOWN.format(body=DROP.format(name="second")),
        ),
    }
    done = host.deploy(host.push(**files))
    assert "migrations to run: 2026_03_01_000000_first 2026_03_02_000000_second" in done.stderr
    assert "cannot be reversed" not in done.stderr
    require_taken_back(host, before, done, "step 6, migrate")
    backup = str(host.last()["backup"])
    assert host.copy.bash(f"stat -c '%U %a' {backup}") == "deploy 600"
    assert host.copy.bash(f"gzip -dc {backup} | tail -n 1").startswith("-- Dump completed")


@pytest.mark.parametrize(
    ("command", "step", "options"),
    [("view:cache", "step 7", []), ("queue:restart", "step 8", []), ("up", "step 9", ["--full"])],
)
def test_steps_7_to_9(host: Host, command: str, step: str, options: list[str]) -> None:
    before = host.state()
    done = host.deploy(host.artisan(command), *options)
    assert f"release: {'full' if options else 'quick'}" in done.stderr
    require_taken_back(host, before, done, step)
    assert "    told to fail" in done.stderr


BUILDS = "pgrep -f '[v]ite build' >/dev/null"


def killed(host: Host, commit: str, what: str) -> str:
    """A release of the commit, and what kills it in the middle of its build. Returns what it said."""
    host.copy.bash(
        f"setsid {TOOL} deploy next {commit} >/run/killed 2>&1 </dev/null & session=$!\n"
        f"for try in $(seq 3000); do if {BUILDS}; then {what}; echo seen >/run/seen; break; fi\n"
        "sleep 0.01; done; wait || true"
    )
    assert host.copy.bash("cat /run/seen; rm /run/seen") == "seen", host.copy.bash("cat /run/killed")
    return host.copy.bash("cat /run/killed; rm /run/killed")


def test_kill_9_is_settled_by_the_next_run_and_told_before(host: Host) -> None:
    before = host.state()
    wanted = host.push(**{"resources/css/app.css": "/* new */\n", "app/New.php": "<?php\n"})
    killed(host, wanted, "pkill -KILL -s $session")
    answer = host.copy.get("/")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "15")
    assert "release not settled" in itqan("audit", "--json", "--stack", host.copy.stack, check=False).stdout
    done = host.tool("clone")
    assert f"the release of {wanted[:12]} did not get to its end" in done.stderr
    assert (done.returncode, host.state()) == (0, before)
    host.copy.require_page()


def test_kill_9_of_the_steps_alone_is_settled_at_once(host: Host) -> None:
    before = host.state()
    wanted = host.push(**{"resources/css/app.css": "/* newer */\n"})
    assert "exit code 137" in killed(host, wanted, f"kill -9 $(pgrep -n -s $session -f '{TOOL} deploy')")
    assert host.state() == before
    host.copy.require_page()


def test_what_cannot_be_reversed_waits_for_a_person_and_is_restored(host: Host) -> None:
    before = host.state()
    up = CREATE.format(name="half") + " throw new RuntimeException('told to fail');"
    done = host.deploy(
        host.push(**{"database/migrations/2026_03_03_000000_final.php": MIGRATION.format(up=up, down="")})
    )
    assert "cannot be reversed, only restored from the backup: 2026_03_03_000000_final" in done.stderr
    backup = str(host.last()["backup"])
    assert f"sudo itqan-release restore {backup}" in done.stderr
    assert host.copy.get("/").status == 503
    refused = itqan("up", "--stack", host.copy.stack, check=False)
    assert refused.returncode == 1
    assert f"sudo itqan-release restore {backup}" in refused.stderr
    restored = host.tool("restore", backup)
    assert restored.returncode == 0, restored.stderr
    assert host.state() == before
    host.copy.require_page()


def test_a_release_is_noted_and_shown(host: Host) -> None:
    wanted = host.push(**{"database/migrations/2026_03_04_000000_kept.php": reversible("kept")})
    done = host.deploy(wanted)
    assert done.returncode == 0, done.stderr
    noted = host.last()
    assert (noted["commit"], noted["author"], noted["result"]) == (wanted, "Ali <ali@itqan.test>", "released")
    shown = itqan("releases", host.copy.stack).stdout
    assert f"{wanted[:12]}  {host.old[:12]}  next" in shown
    everything = json.loads(itqan("releases", host.copy.stack, "--json").stdout)["releases"]
    assert everything[-1] == noted
    assert f"NOTICE: released {wanted}" in host.copy.bash(f"tail -n 3 {ROOT}/storage/logs/laravel.log")
    poll(lambda: json.loads(host.copy.get("/up").data)["release"] == wanted, 10, "the new release")
    host.copy.bash(f"cd {ROOT}; runuser -u www-data -- php artisan migrate:rollback --force --step=1")
    assert host.tool("deploy", "main", host.old).returncode == 0


def require_all_new(host: Host, commit: str, said: subprocess.CompletedProcess[str]) -> None:
    """FPM, Reverb and two workers have the code of the commit, as soon as the command has ended."""
    running = host.running()
    log = "tail -n 30 /var/log/supervisor/supervisord.log"
    assert running == {commit, "2"}, f"{said.stderr}\n{said.stdout}\n{host.copy.bash(log)}"


def test_deploy_and_back(host: Host) -> None:
    """PHP alone: quickly, no request fails, every process has the code, and the engine sees nothing to do."""
    stack = host.copy.stack
    wanted = host.push(**{"app/New.php": "<?php\n"})
    with Visitor(host.copy) as visitor:
        said = itqan("deploy", stack, wanted)
        assert (
            f"release: quick, without maintenance mode: 1 files differ between {host.old[:12]}" in said.stderr
        )
        require_all_new(host, wanted, said)
        assert itqan("preview", "--stack", stack).returncode == 0
        said = itqan("rollback", stack)
        assert f"{host.old} runs; before it {wanted}" in said.stdout
        require_all_new(host, host.old, said)
    visitor.require()
    assert itqan("preview", "--stack", stack).returncode == 0
    assert (
        host.copy.bash(
            f"cd {ROOT}; runuser -u www-data -- php artisan itqan:heartbeat >&2; "
            "mysql -N itqan_platform -e 'SELECT `release` FROM heartbeats ORDER BY id DESC LIMIT 1'"
        )
        == host.old
    )
    pulumi("config", "rm", "--stack", stack, "itqan:release")

"""The strategy `atomic` under load: to it, two releases, two that fail, a rollback, and in-place again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from .copy import Copy, itqan, poll, pulumi
from .load import Traffic
from .test_c_releases import DOWN, MIGRATION, ROOT, Host, clone_of_the_repository

FOLDERS = "/var/www/.itqan-platform"
DROPS = "Illuminate\\Support\\Facades\\Schema::table('visits', fn ($table) => $table->dropColumn('nowhere'));"
UPLOAD = f"{ROOT}/storage/app/upload"

# Where PHP-FPM finds the documented path; asked all the time, in FastCGI words, while the file is there.
WHERE, ASKED, ANSWERS = "/run/where.php", "/run/ask.php", "/run/where.log"
ASK = f"""
cat >{WHERE} <<'END'
<?php echo 'asked ', realpath('{ROOT}'), "\\n";
END
cat >{ASKED} <<'END'
<?php
$record = fn (int $type, string $body) => pack('CCnnCx', 1, $type, 1, strlen($body), 0) . $body;
$parameters = '';
foreach (['SCRIPT_FILENAME' => '{WHERE}', 'REQUEST_METHOD' => 'GET'] as $name => $value) {{
    $parameters .= pack('CC', strlen($name), strlen($value)) . $name . $value;
}}
while (is_file('{WHERE}')) {{
    usleep(5000);
    if (! ($fpm = @stream_socket_client('unix:///run/php/php8.4-fpm.sock'))) continue;
    fwrite($fpm, $record(1, pack('nCx5', 1, 0)) . $record(4, $parameters) . $record(4, '') . $record(5, ''));
    if (preg_match('/asked .*\\n/', stream_get_contents($fpm), $answer)) {{
        file_put_contents('{ANSWERS}', $answer[0], FILE_APPEND);
    }}
}}
END
: >{ANSWERS}
php {ASKED} </dev/null >/dev/null 2>&1 &
"""


@pytest.fixture(scope="module")
def host(copy: Copy) -> Iterator[Host]:
    """See test_c_releases; with an upload and a local branch that have to survive."""
    with clone_of_the_repository(copy) as made:
        branch = f"runuser -u deploy -- git -C {ROOT} branch"
        copy.bash(f"echo kept >{UPLOAD}; chown www-data: {UPLOAD}; {branch} mine")
        yield made
        copy.bash(f"rm -f {UPLOAD}; {branch} -D mine")


def set_strategy(copy: Copy, strategy: str) -> None:
    """The setting; what preview says of it; `up`."""
    assert copy.bash(f"stat -c %F {ROOT}") == ("directory" if strategy == "atomic" else "symbolic link")
    pulumi("config", "set", "--stack", copy.stack, "--path", "itqan:release.strategy", strategy)
    planned = itqan("preview", "--stack", copy.stack, check=False)
    assert planned.returncode == 2
    assert "release-layout" in planned.stdout + planned.stderr
    itqan("up", "--stack", copy.stack)
    assert itqan("preview", "--stack", copy.stack).returncode == 0


def require_all_run(host: Host, commit: str) -> None:
    """A page, a job, a WebSocket message and the scheduler's task: each is of the commit."""
    copy = host.copy
    assert host.running() == {commit, "2"}
    token = f"e2e-{time.time_ns()}"
    assert copy.request("POST", f"/api/visits/{token}").status == 202
    poll(lambda: copy.get(f"/api/visits/{token}").status == 200, 30, "the job")
    assert commit in copy.get(f"/api/visits/{token}").data.decode()
    newest = "SELECT `release` FROM heartbeats ORDER BY id DESC LIMIT 1"
    beat = f"cd {ROOT}; runuser -u www-data -- php artisan itqan:heartbeat >&2"
    assert copy.bash(f"{beat}; mysql -N itqan_platform -e '{newest}'") == commit
    gone = "find /proc -mindepth 2 -maxdepth 2 -name cwd -user www-data -lname '*(deleted)' -printf '%l\n'"
    assert copy.bash(f"runuser -u www-data -- {gone} 2>/dev/null", check=False) == ""


def test_no_request_fails_through_conversions_and_releases(host: Host) -> None:
    copy = host.copy
    with Traffic(copy) as traffic:
        set_strategy(copy, "atomic")
        assert copy.bash(f"stat -c %F {ROOT}") == "symbolic link"
        index = copy.bash(f"cat {ROOT}/public/index.php")
        for number in range(2):
            # an application may ask for the documented path, and PHP remembers for minutes what it led to
            first = index.replace("<?php", f"<?php // {number}\nrealpath('{ROOT}/public/index.php');", 1)
            wanted = host.push(**{"public/index.php": first})
            done = host.deploy(wanted)
            assert done.returncode == 0, done.stderr
            require_all_run(host, wanted)
    traffic.require()
    assert len(traffic.waits) >= 2, "the client of Reverb came back each time"
    assert (
        copy.bash(f"cat {UPLOAD}; git -c safe.directory='*' -C {ROOT} rev-parse mine") == f"kept\n{host.old}"
    )
    assert copy.bash(f"runuser -u deploy -- git -C {ROOT} status --porcelain --untracked-files=no") == ""
    # a page of the first one asks for its own files
    asset = copy.bash(f"cd {FOLDERS}/assets; find build -name '*.css' | head -n 1")
    assert copy.get(f"/{asset}").status == 200


def test_a_release_that_fails_or_dies_leaves_what_runs_alone(host: Host) -> None:
    copy = host.copy
    running = copy.bash(f"readlink {ROOT}")
    with Traffic(copy) as traffic:
        failing = MIGRATION.format(up=DROPS, down=DOWN.format(body="throw new RuntimeException();"))
        done = host.deploy(host.push(**{"database/migrations/2026_03_01_000000_first.php": failing}))
        assert done.returncode != 0
        assert "2026_03_01_000000_first: drops a column of visits: nowhere" in done.stderr
        assert f"{str(host.last()['from'])[:12]} runs on, as before" in done.stderr
        boot = "throw new RuntimeException('no worker');"
        provider = copy.bash(f"cat {ROOT}/app/Console/Commands/ReverbStart.php")
        broken = provider.replace("$address = $this", f"{boot} $address = $this", 1)
        done = host.deploy(host.push(**{"app/Console/Commands/ReverbStart.php": broken}))
        assert done.returncode != 0
        assert "Supervisor cannot start it with this code: program reverb" in done.stderr
        assert copy.bash(f"readlink {ROOT}") == running
        poll(lambda: len(host.running()) == 2, 30, "everything runs as before")
    traffic.require()
    assert itqan("audit", copy.stack, check=False).returncode == 2  # the commit is not the configured one


@contextmanager
def asked_without_a_pause(copy: Copy) -> Iterator[Callable[[], set[str]]]:
    """PHP-FPM is asked where the documented path leads. Yields what tells its answers from now on."""

    def answers() -> set[str]:
        copy.bash(f": >{ANSWERS}")
        # so many that each process, which take turns, gave some of them
        lines = poll(
            lambda: copy.bash(f"cat {ANSWERS}").splitlines(), 30, "answers", lambda now: len(now) > 100
        )
        return {line.removeprefix("asked ") for line in lines}

    copy.bash(ASK)
    try:
        yield answers
    finally:
        copy.bash(f"rm -f {WHERE} {ASKED}")


def test_back_by_one_rename_and_in_place_again(host: Host) -> None:
    """`rollback` builds nothing; back in-place nothing is lost."""
    copy = host.copy
    before = json.loads(copy.get("/up").data)["release"]
    with asked_without_a_pause(copy) as answers:
        with Traffic(copy) as traffic:
            said = itqan("rollback", copy.stack)
            assert "is still there: what it has is not made again" in said.stderr
            old = json.loads(copy.get("/up").data)["release"]
            assert old != before
            require_all_run(host, old)
            processes = "pgrep -f '^php-fpm: pool'"
            of_before = set(copy.bash(processes).split())
            set_strategy(copy, "in-place")
            assert not of_before & set(copy.bash(processes).split()), "they remember where the path led"
            require_all_run(host, old)
            assert copy.bash(f"stat -c %F {ROOT} {ROOT}/storage") == "directory\ndirectory"
        traffic.require()
        pulumi("config", "rm", "--stack", copy.stack, "itqan:release")
        assert host.tool("deploy", "main", host.old).returncode == 0
        assert answers() == {ROOT}, (
            "a process that asked while the path was a link finds nothing there any more"
        )
    assert copy.bash(f"cat {UPLOAD}; ls -d {FOLDERS}", check=False) == "kept"
    itqan("up", "--stack", copy.stack)

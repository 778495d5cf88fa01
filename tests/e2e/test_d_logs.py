"""Logs of a copy: merged, followed through their rotation; and sessions on its host."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import accumulate

import pytest

from .copy import ROOT, Copy, itqan, poll

LOGS = "/var/www/itqan-platform/storage/logs"
ROTATE = "logrotate --force /etc/logrotate.d/itqan-platform"
# The reader's command line, and no shell's that asks for it.
READERS = "pgrep -f '^python3 -I -c' || true"


def visit(copy: Copy) -> str:
    """A job for the workers."""
    token = str(uuid.uuid4())
    assert copy.request("POST", f"/api/visits/{token}").status == 202
    return token


def done_lines(copy: Copy) -> int:
    """How many jobs the workers have written that they did, in all that is left of their log."""
    return int(copy.bash(f"zcat -qf {LOGS}/worker.log* | grep -c ' DONE$' || true"))


@contextmanager
def follower(copy: Copy, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`./itqan logs -f`, which is interrupted at the end, and leaves nothing on the host."""
    # what is started in the background of a script inherits that SIGINT is ignored
    command = ["env", "--default-signal=INT", str(ROOT / "itqan"), "logs", copy.stack, "-f", *words]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    poll(lambda: copy.bash(READERS) == "", 10, "the end of the reader on the host")


def wait_for_line(process: subprocess.Popen[str], pattern: str) -> None:
    assert process.stdout
    for line in process.stdout:
        if re.search(pattern, line):
            return
    pytest.fail(f"the logs ended before {pattern}")


def write(copy: Copy, text: str) -> None:
    """An entry in the application's log, as the application writes it, in its own time zone."""
    at = copy.bash("TZ=Asia/Riyadh date '+%F %T'")
    entry = f"printf '[{at}] staging.ERROR: {text}\\n'"
    copy.bash(f"{entry} | runuser -u www-data -- tee -a {LOGS}/laravel.log >&2")


def test_entries_of_all_sources_are_merged_and_harmless(copy: Copy) -> None:
    copy.get("/?e2e=logs")
    write(copy, "boom \\033[2J\\n[stacktrace]\\n#0 e2e")
    shown = itqan("logs", copy.stack, "app", "nginx", "mysql", "--since", "10m").stdout
    lines = shown.splitlines()
    times = [datetime.fromisoformat(line[:19]) for line in lines if line[:4].isdigit()]
    # a process may write an entry a moment after the time that it gives it
    assert all(
        at - newest > timedelta(seconds=-3) for at, newest in zip(times, accumulate(times, max), strict=True)
    )
    assert {line[20:25] for line in lines if line[:4].isdigit()} >= {"app  ", "nginx"}
    [at] = [number for number, line in enumerate(lines) if "staging.ERROR: boom \\x1b[2J" in line]
    assert [line.split("│ ")[1] for line in lines[at + 1 : at + 3]] == ["[stacktrace]", "#0 e2e"]
    assert any("GET /?e2e=logs" in line for line in lines)
    found = itqan("logs", copy.stack, "app", "nginx", "--since", "10m", "--grep", "#0 e2e").stdout
    assert "boom" in found and "GET" not in found


def test_a_log_that_is_not_there_is_named(copy: Copy) -> None:
    copy.bash("mv /var/log/supervisor/supervisord.log /root/")
    try:
        shown = itqan("logs", copy.stack, "supervisor", "worker")
    finally:
        copy.bash("mv /root/supervisord.log /var/log/supervisor/")
    assert "supervisor: /var/log/supervisor/supervisord.log is not there" in shown.stderr


def test_following_goes_through_a_rotation_that_loses_nothing(copy: Copy) -> None:
    before = done_lines(copy)
    with follower(copy, "worker", "app") as process:
        visit(copy)
        wait_for_line(process, r"worker │ App.Jobs.RecordVisit .* DONE$")
        for _ in range(3):
            visit(copy)
            copy.bash(ROTATE)
            visit(copy)
            time.sleep(1)  # rotated names have the second in them
        poll(lambda: done_lines(copy) >= before + 7, 30, "a line of each job")
        write(copy, "after the rotation")
        wait_for_line(process, "after the rotation")
    assert done_lines(copy) == before + 7
    assert copy.bash(f"stat -c '%U:%G %a' {LOGS}/*.log | sort -u") == "www-data:www-data 664"
    opened = copy.bash(f"ls -l /proc/$(cat /run/supervisord.pid)/fd | grep -o '{LOGS}/.*' | sort -u").split()
    assert opened == [f"{LOGS}/reverb.log", f"{LOGS}/worker.log"]


def test_the_timer_rotates_what_has_outgrown_its_size_and_the_audit_is_clean(copy: Copy) -> None:
    """In the service's own sandbox."""
    copy.bash(f"truncate -s 51M {LOGS}/laravel.log; systemctl start logrotate.service")
    assert copy.bash(f"stat -c %s {LOGS}/laravel.log") == "0"
    copy.bash(f"find {LOGS} -name 'laravel.log-*' -size +50M -delete")
    audit = json.loads(itqan("audit", copy.stack, "--json", check=False).stdout)
    wrong = [unit for unit in audit["units"] if unit["state"] != "as expected"]
    assert wrong == []


def test_a_session_has_the_right_user_folder_words_input_and_status(copy: Copy) -> None:
    words = ["a b", "$HOME", "x'y", "*", ""]
    shown = itqan("shell", copy.stack, "--", "printf", "%s|", *words).stdout
    assert shown == "".join(f"{word}|" for word in words)
    piped = subprocess.run(
        [str(ROOT / "itqan"), "shell", copy.stack],
        input="id -un; pwd; exit 7\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (piped.stdout.split(), piped.returncode) == (["deploy", "/var/www/itqan-platform"], 7)
    routes = "/var/www/itqan-platform/bootstrap/cache/routes-v7.php"
    copy.bash(f"rm {routes}")
    itqan("artisan", copy.stack, "route:cache")
    assert copy.bash(f"stat -c %U {routes}") == "www-data"
    assert itqan("artisan", copy.stack, "no:such", check=False).returncode == 1


def test_the_clients_are_logged_in(copy: Copy) -> None:
    statements = "SELECT CURRENT_USER(), DATABASE();"
    done = subprocess.run(
        [str(ROOT / "itqan"), "mysql", copy.stack, "-N"],
        input=statements,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["itqan@localhost", "itqan_platform"]
    assert itqan("redis", copy.stack, "ping").stdout.strip() == "PONG"


def test_a_terminal_shows_where_one_is(copy: Copy) -> None:
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(ROOT)
        os.execvpe(
            str(ROOT / "itqan"),
            ["itqan", "shell", copy.stack],
            {**os.environ, "TERM": "xterm", "NO_COLOR": ""},
        )
    shown = b""
    os.write(terminal, b"tty && stat -c %U $(tty); exit 5\n")
    try:
        while select.select([terminal], [], [], 30)[0]:
            shown += os.read(terminal, 4096)
    except OSError:  # the other end is closed
        pass
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 5
    text = shown.decode(errors="replace")
    assert f"\x1b[32m {copy.stack} \x1b[0m deploy@" in text
    assert re.search(r"/dev/pts/\d+\r\ndeploy\r\n", text)


def test_a_copy_is_no_production(copy: Copy) -> None:
    """Nothing is noted of sessions there, and its log has its releases only."""
    found = json.loads(itqan("releases", copy.stack, "--json").stdout)
    assert found["sessions"] == []
    assert found["releases"]

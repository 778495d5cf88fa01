"""What many probes ask is asked once for all of them, and says the same as when each asks by itself."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from components.facts import questions, shares
from components.observation import script
from components.unit import Unit, call

Bash = Callable[..., "subprocess.CompletedProcess[str]"]
# Fakes that note each call.
SYSTEMCTL = """systemctl() {
    echo "systemctl $*" >>calls
    local unit first=1
    for unit; do
        case $unit in show | -* | *State | StateChangeTimestamp) continue ;; esac
        if ((! first)); then echo; fi
        first=0
        case $unit in
            gone) printf 'ActiveState=inactive\\nLoadState=not-found\\nStateChangeTimestamp=\\n' ;;
            *)
                printf '%s\\n' ActiveState=active LoadState=loaded UnitFileState=enabled \\
                    "StateChangeTimestamp=Sun 2026-11-29 16:00:00.250000 UTC"
                ;;
        esac
    done
}
"""
CURL = """curl() {
    echo curl >>calls
    for process in worker/RUNNING/11 worker/RUNNING/12 worker/STOPPED/0 reverb/STARTING/13; do
        IFS=/ read -r group state pid <<<"$process"
        printf '%s\\n' '<value><struct>' '<member>' '<name>group</name>' \\
            "<value><string>$group</string></value>" '</member>' \\
            "<member><name>statename</name><value><string>$state</string></value></member>" \\
            '<member>' '<name>pid</name>' "<value><int>$pid</int></value>" '</member></struct></value>'
    done
}
"""
SS = """ss() {
    echo ss >>calls
    printf 'LISTEN 0 9 %s 0.0.0.0:*\\n' '[::1]:1' 127.0.0.1:1 0.0.0.0:2 '[::]:2' 127.0.0.1:11
}
"""


def unit(name: str, *lines: str) -> Unit:
    """A unit that is only looked at."""
    return Unit(f"test/{name}", "\n".join(lines), "x", "true")


def test_each_thing_is_asked_for_once() -> None:
    units = [
        unit("one", "probe_file /b", "probe_service nginx cron"),
        unit("two", "probe_file /a /b", "probe_reloaded nginx /etc/passwd"),
        unit("three", "probe_program worker", "probe_groups worker", "probe_exposed 1"),
    ]
    assert questions(units) == [
        "know_services cron nginx",
        "know_programs",
        "know_ports",
        "know_files /a /b",
    ]


def test_a_name_in_quotes_is_left_to_its_probe() -> None:
    asked = unit("one", call("probe_file", "/a b", "/c"))
    assert shares(asked)
    assert questions([asked]) == []


def test_who_shares_nothing_does_not_wait() -> None:
    program = script([unit("shares", "probe_file /a"), unit("alone", "probe_link /a")])
    parts = ("\nobserve test/alone", "\nknow_files /a", "\nobserve test/shares")
    asked = [program.index(part) for part in parts]
    assert asked == sorted(asked)
    assert "\nknow_files /a" not in script([unit("shares", "probe_file /a")], limit=1)


@pytest.mark.parametrize(
    ("fake", "know", "probes"),
    [
        (
            "",
            "know_files $PWD/file $PWD/gone $PWD/link $PWD",
            "probe_file $PWD/file $PWD/gone $PWD/link $PWD",
        ),
        (SYSTEMCTL, "know_services one gone two", "probe_service one gone two; probe_reloaded two file"),
        (CURL, "know_programs", "(probe_program worker); (probe_program none); (probe_groups worker)"),
        (SS, "know_ports", "for port in 1 2 3 11; do probe_listening $port; probe_exposed $port; done"),
    ],
)
def test_the_answers_are_the_same(bash: Bash, tmp_path: Path, fake: str, know: str, probes: str) -> None:
    (tmp_path / "file").write_text("content\n")
    (tmp_path / "link").symlink_to("file")
    alone = bash(f"set +e; {fake}\n{probes}").stdout
    (tmp_path / "calls").write_text("")
    known = bash(f"set +e; {fake}\n{know}\n{probes}")
    assert known.stdout == alone
    assert len(alone.splitlines()) > 2
    assert known.stderr == ""
    assert len((tmp_path / "calls").read_text().splitlines()) == bool(fake)


def test_what_systemd_says_is_put_to_the_right_unit(bash: Bash) -> None:
    done = bash(f"set +e; {SYSTEMCTL}\nknow_services one gone two\nprobe_service two gone")
    assert done.stdout == "service two enabled active\nservice gone absent\n"


def test_what_systemd_does_not_tell_of_each_is_not_known(bash: Bash) -> None:
    fake = "systemctl() { echo LoadState=loaded; }"
    assert bash(f"set +e; {fake}\nknow_services one two\necho ${{#KNOWN_SERVICES[@]}}").stdout == "0\n"


def test_a_file_that_is_gone_since_is_absent(bash: Bash) -> None:
    done = bash("touch file; know_files file; rm file; probe_file file")
    assert done.stdout == "file file absent\n"


def test_processes(bash: Bash) -> None:
    done = bash(f"set +e; {CURL}\nsupervisor_processes; program_processes worker; probe_program worker")
    assert done.stdout.splitlines() == [
        *("worker RUNNING 11", "worker RUNNING 12", "worker STOPPED 0", "reverb STARTING 13"),
        *("RUNNING 11", "RUNNING 12", "STOPPED 0"),
        "program worker RUNNING 2 STOPPED 1",
    ]


def test_a_program_that_starts_is_asked_for_anew(bash: Bash) -> None:
    program = "supervisor_processes() { echo x RUNNING 1; }; KNOWN_PROGRAMS='x STARTING 1'; probe_program x"
    assert bash(f"set +e; {program}").stdout == "program x RUNNING 1\n"

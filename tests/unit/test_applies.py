"""Applies: a file is replaced in one step, or stays; nothing unknown is deleted; waiting has an end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

Bash = Callable[..., "subprocess.CompletedProcess[str]"]


def names(folder: Path) -> list[str]:
    """What is in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


def test_place_makes_the_file_and_its_folder(bash: Bash, tmp_path: Path, me: str) -> None:
    done = bash(f'place "$PWD/etc/new/file" {me} 640', "content\n")
    path = tmp_path / "etc/new/file"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (path.read_text(), path.stat().st_mode & 0o7777) == ("content\n", 0o640)
    assert names(path.parent) == ["file"]


def test_place_keeps_every_byte(bash: Bash, tmp_path: Path, me: str) -> None:
    content = "no newline at the end, \\ $x `y` %s\n\n\n\tإتقان"
    bash(f"place $PWD/file {me} 644", content)
    assert (tmp_path / "file").read_text() == content


def test_place_keeps_the_new_file_when_the_test_accepts_it(bash: Bash, tmp_path: Path, me: str) -> None:
    (tmp_path / "file").write_text("# managed by itqan\n")
    done = bash(f"place $PWD/file {me} 600 grep -q new $PWD/file", "new\n")
    assert done.returncode == 0
    assert (tmp_path / "file").read_text() == "new\n"
    assert names(tmp_path) == ["file"]


def test_place_brings_the_old_file_back_when_the_test_refuses(bash: Bash, tmp_path: Path, me: str) -> None:
    path = tmp_path / "file"
    path.write_text("# managed by itqan\n")
    path.chmod(0o604)
    before = path.stat()
    done = bash(f"place $PWD/file {me} 600 bash -c 'echo the reason; exit 3'", "new\n")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "the reason\n" in done.stderr
    assert f"itqan: {path}: refused by `bash -c echo the reason; exit 3`" in done.stderr
    assert (path.read_text(), path.stat().st_mode, path.stat().st_mtime_ns) == (
        "# managed by itqan\n",
        before.st_mode,
        before.st_mtime_ns,
    )
    assert names(tmp_path) == ["file"]


def test_place_leaves_nothing_when_there_was_nothing_and_the_test_refuses(
    bash: Bash, tmp_path: Path, me: str
) -> None:
    assert bash(f"place $PWD/file {me} 600 false", "new\n").returncode == 1
    assert names(tmp_path) == []


def test_place_leaves_the_file_alone_when_the_new_one_cannot_be_written(bash: Bash, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old\n")
    done = bash("place $PWD/file nobody-of-this-name:nogroup 600", "new\n")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert (tmp_path / "file").read_text() == "old\n"
    assert names(tmp_path) == ["file"]


def test_place_replaces_a_link_and_not_what_it_points_to(bash: Bash, tmp_path: Path, me: str) -> None:
    (tmp_path / "target").write_text("target\n")
    (tmp_path / "file").symlink_to("target")
    bash(f"place $PWD/file {me} 644", "new\n")
    assert not (tmp_path / "file").is_symlink()
    assert (tmp_path / "target").read_text() == "target\n"


def test_place_is_never_half_done_for_a_reader(bash: Bash, tmp_path: Path, me: str) -> None:
    (tmp_path / "file").write_text("old\n")
    done = bash(f"(sleep 0.2; echo new) | place $PWD/file {me} 644 & sleep 0.1; cat file; wait; cat file")
    assert done.stdout == "old\nnew\n"


def test_place_keeps_a_copy_of_what_somebody_else_wrote(bash: Bash, tmp_path: Path, me: str) -> None:
    (tmp_path / "file").write_text("by hand\n")
    for _ in range(2):
        assert bash(f"place $PWD/file {me} 644", "# managed by itqan\n").returncode == 0
    assert [path.read_text() for path in (tmp_path / "aside").iterdir()] == ["by hand\n"]


def test_after_a_kill_before_the_test_the_last_good_file_comes_back(
    bash: Bash, tmp_path: Path, me: str
) -> None:
    (tmp_path / "file").write_text("# managed by itqan, good\n")
    bash(f"place $PWD/file {me} 644 bash -c 'kill -9 $PPID'", "# managed by itqan, bad\n")
    assert (tmp_path / "file").read_text() == "# managed by itqan, bad\n"
    assert bash(f"place $PWD/file {me} 644 false", "# managed by itqan, worse\n").returncode == 1
    assert (tmp_path / "file").read_text() == "# managed by itqan, good\n"


def test_set_aside_moves_and_never_deletes(bash: Bash, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same name").write_text(f"{folder}\n")
    done = bash('set_aside "one/same name" gone "two/same name"')
    assert done.returncode == 0
    kept = sorted(path.read_text() for path in (tmp_path / "aside").iterdir())
    assert kept == ["one\n", "two\n"]
    assert "one/same name is not of this stack: moved to" in done.stderr
    assert names(tmp_path / "one") == []


def test_set_aside_takes_a_dangling_link(bash: Bash, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    assert bash("set_aside link").returncode == 0
    assert not (tmp_path / "link").is_symlink()


@pytest.mark.parametrize(
    ("glob", "keep", "left"),
    [
        ("*.conf", "a.conf b.conf", [".hidden.conf", "a.conf", "b.conf", "readme"]),
        ("*.conf", "b.conf", [".hidden.conf", "b.conf", "readme"]),
        ("*", "a.conf", [".hidden.conf", "a.conf"]),
        ("*.none", "x", [".hidden.conf", "a.conf", "b.conf", "c.conf", "readme"]),
    ],
)
def test_keep_only(bash: Bash, tmp_path: Path, glob: str, keep: str, left: list[str]) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    for name in ("a.conf", "b.conf", "c.conf", "readme", ".hidden.conf"):
        (folder / name).touch()
    assert bash(f"keep_only $PWD/conf.d '{glob}' {keep}").returncode == 0
    assert names(folder) == left


@pytest.mark.parametrize("glob", ["*.conf", "*"])
def test_what_keep_only_leaves_is_what_probe_entries_expects(bash: Bash, tmp_path: Path, glob: str) -> None:
    """Otherwise a hidden file would be drift that no apply ever takes away."""
    folder = tmp_path / "conf.d"
    folder.mkdir()
    for name in ("keep.conf", "x.conf", ".x.conf.swp", ".hidden.conf"):
        (folder / name).touch()
    done = bash(f"keep_only $PWD/conf.d '{glob}' keep.conf; probe_entries $PWD/conf.d '{glob}'")
    assert done.stdout == f"entries {folder} keep.conf\n"


def test_wait_until_ends_when_the_command_succeeds(bash: Bash) -> None:
    started = time.monotonic()
    done = bash("(sleep 0.3; touch there) & wait_until 10 test -e there && echo seen")
    assert (done.returncode, done.stdout) == (0, "seen\n")
    assert time.monotonic() - started < 3


def test_wait_until_ends_at_the_deadline(bash: Bash) -> None:
    started = time.monotonic()
    done = bash("if wait_until 1 false; then echo seen; else echo late; fi")
    assert done.stdout == "late\n"
    assert 0 < time.monotonic() - started < 4


def test_wait_until_says_nothing(bash: Bash) -> None:
    done = bash("wait_until 0 bash -c 'echo out; echo err >&2; exit 1' || true")
    assert (done.stdout, done.stderr) == ("", "")


RELOADED = """
    marker=itqan-test-$$
    start() { bash -c "exec -a $marker sleep 20" </dev/null >/dev/null 2>&1 & echo $! >>pids; }
    trap 'xargs -r -a pids kill' EXIT
    touch pids
    touch -d '10 seconds ago' file
"""


@pytest.mark.parametrize("before", ["true", "start; wait_until 5 pgrep -f ^$marker"], ids=["down", "running"])
def test_reload_service_waits_for_a_new_process(bash: Bash, before: str) -> None:
    program = "systemctl() { (sleep 0.3; start) & }; reload_service it $marker file; wc -l <pids"
    done = bash(f"{RELOADED}\n{before}\n{program}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == ("1" if before == "true" else "2")


def test_reload_service_refuses_when_the_reload_fails(bash: Bash) -> None:
    done = bash(f"{RELOADED}\nstart\nsystemctl() {{ return 5; }}\nreload_service it $marker file; echo never")
    assert done.returncode != 0
    assert done.stdout == ""


def test_refuse_is_one_line_and_exit_1(bash: Bash) -> None:
    done = bash("refuse 'no such thing'; echo never")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "itqan: no such thing\n")


def test_preflight_says_all_that_is_wrong_at_once(bash: Bash) -> None:
    done = bash("preflight d system=plan9/4 memory=100000 disk=2000000 architecture=vax")
    assert done.returncode == 1
    refusal, *problems = done.stderr.splitlines()
    assert refusal.endswith("nothing was changed:")
    assert [line.partition(":")[0] for line in problems] == [
        "  - architecture",
        "  - disk",
        "  - memory",
        "  - operating system",
    ]
    assert "itqan:server.minimumMemoryGb asks for 100000 GB" in done.stderr


def test_ensure_login_key_adds_one_line_and_no_second(bash: Bash, tmp_path: Path, me: str) -> None:
    home = f"getent() {{ echo x:x:x:x:x:$PWD:x; }}; user={me.partition(':')[0]}; "
    bash(f"{home} mkdir -m 700 .ssh; echo 'ssh-rsa AAAA other' >.ssh/authorized_keys")
    for _ in range(2):
        done = bash(
            f"{home} ensure_login_key $user 'ssh-ed25519 BBBB'; probe_login_key $user 'ssh-ed25519 BBBB'"
        )
        assert done.stdout.endswith(" present\n"), done.stderr
    keys = tmp_path / ".ssh/authorized_keys"
    assert keys.read_text() == "ssh-rsa AAAA other\nssh-ed25519 BBBB\n"
    assert keys.stat().st_mode & 0o777 == 0o600


def test_refuse_records_lists_what_to_enter(bash: Bash) -> None:
    done = bash("refuse_records 'record a.b A 192.0.2.1' 'record *.b A 192.0.2.1'")
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == ["  record a.b A 192.0.2.1", "  record *.b A 192.0.2.1"]


def test_ensure_directory(bash: Bash, tmp_path: Path, me: str) -> None:
    bash(f"ensure_directory $PWD/a/b {me} 750")
    assert (tmp_path / "a/b").stat().st_mode & 0o7777 == 0o750

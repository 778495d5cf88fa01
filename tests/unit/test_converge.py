"""The runner: unchanged, changed, failed with the reason, or applied and still different with a diff."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.render import host_script
from components.unit import CONVERGE, Unit, create_text, remove_text


def wait_for(path: Path) -> None:
    """Until a file is there."""
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not appear"
        time.sleep(0.02)


Converge = Callable[..., "subprocess.CompletedProcess[str]"]
OWNER = "itqan/test mine"
NAME = f"test/converge-{os.getpid()}"
LOCK = Path(f"/run/lock/itqan-{NAME.replace('/', '-')}.lock")


@pytest.fixture
def converge(tmp_path: Path) -> Iterator[Converge]:
    """A function: run the runner with a unit; a payload that is not read to its end is a failure too."""
    runner = tmp_path / "itqan-converge"
    runner.write_text(host_script("host/converge.sh").replace("/etc/itqan/stack", f"{tmp_path}/owner"))
    runner.chmod(0o755)

    def run(
        probe: str, expect: str, apply: str, payload: str = "", output: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        command = create_text(Unit(NAME, probe, expect, apply, payload, output=output), OWNER, sudo=False)
        (tmp_path / "payload").write_text(payload)
        piped = f"set -o pipefail\ncat payload | {command.replace(CONVERGE, str(runner))}"
        return subprocess.run(
            ["bash", "-c", piped], capture_output=True, text=True, check=False, timeout=30, cwd=tmp_path
        )

    yield run
    LOCK.unlink(missing_ok=True)


def test_unchanged(converge: Converge, tmp_path: Path) -> None:
    done = converge("echo fine", "fine", "touch applied")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{NAME} unchanged\n", "")
    assert not (tmp_path / "applied").exists()


def test_changed(converge: Converge, tmp_path: Path) -> None:
    done = converge("cat state", "new", "echo working; cat >state", "new\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{NAME} changed\n", "working\n")
    assert (tmp_path / "state").read_text() == "new\n"


def test_twice_is_once(converge: Converge) -> None:
    assert converge("cat state", "new", "cat >state", "new\n").stdout == f"{NAME} changed\n"
    assert converge("cat state", "new", "cat >state", "new\n").stdout == f"{NAME} unchanged\n"


def test_applied_and_still_different_is_a_failure_with_a_diff(converge: Converge) -> None:
    done = converge("printf 'same\\nfound\\n'", "same\nwanted", "true")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        f"itqan: {NAME}: applied, yet the host is not as expected:",
        "--- expected",
        "+++ found",
        "@@ -1,2 +1,2 @@",
        " same",
        "-wanted",
        "+found",
    ]


@pytest.mark.parametrize(
    "apply",
    [
        "echo why >&2; false; touch after",
        "echo why >&2; cat gone | cat; touch after",
        "echo why >&2; echo $unset; touch after",
        "refuse why; touch after",
        "(echo why >&2; exit 7)\ntouch after",
    ],
)
def test_a_failing_apply_stops_at_once_and_says_why(converge: Converge, tmp_path: Path, apply: str) -> None:
    done = converge("cat state 2>/dev/null || echo absent", "x", apply)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "why" in done.stderr
    assert not (tmp_path / "after").exists()


def test_a_probe_that_fails_is_a_difference_and_not_a_failure(converge: Converge) -> None:
    done = converge("cat state || exit 9", "new", "cat >state", "new\n")
    assert (done.returncode, done.stdout) == (0, f"{NAME} changed\n")


def test_a_probe_runs_without_the_rules_of_apply(converge: Converge) -> None:
    assert converge('false; echo "${unset}fine"', "fine", "false").stdout == f"{NAME} unchanged\n"


def test_a_large_payload_is_drained_when_nothing_changes(converge: Converge) -> None:
    """A closed pipe would be an error of the writer; the engine's connection writes all of it."""
    done = converge("echo fine", "fine", "false", "x" * (1 << 20))
    assert (done.returncode, done.stdout) == (0, f"{NAME} unchanged\n")


def test_a_large_payload_arrives_whole(converge: Converge, tmp_path: Path) -> None:
    payload = "".join(f"{number}\n" for number in range(200000))
    assert converge("wc -c <state", str(len(payload)), "cat >state", payload).returncode == 0
    assert (tmp_path / "state").read_text() == payload


def test_half_a_payload_is_no_payload(converge: Converge, tmp_path: Path) -> None:
    """A connection that ends early looks like the end of the payload."""
    whole = converge("cat state", "new", "cat >state", "new\n")
    assert whole.returncode == 0
    runner, words = tmp_path / "itqan-converge", [OWNER, NAME, "9", "cat state", "other", "cat >state"]
    done = subprocess.run(
        [runner, *words], input="oth", capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"itqan: {NAME}: the connection ended after 3 of 9 bytes; nothing was changed\n"
    assert (tmp_path / "state").read_text() == "new\n"


def test_apply_goes_on_when_its_connection_is_cut(converge: Converge, tmp_path: Path) -> None:
    """Nobody reads what it says any more, and the signal of who cancelled reaches the whole process group."""
    converge("true", "", "true")  # the runner is there
    apply = "touch begun; until [ -e cut ]; do sleep 0.02; done; say one; echo two; say three; cat >state"
    words = [OWNER, NAME, "4", "cat state", "new", apply]
    with subprocess.Popen(
        [str(tmp_path / "itqan-converge"), *words],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as run:
        assert run.stdin and run.stdout and run.stderr
        run.stdin.write(b"new\n")
        run.stdin.close()
        wait_for(tmp_path / "begun")
        run.stdout.close()
        run.stderr.close()
        os.killpg(run.pid, signal.SIGTERM)
        run.wait(timeout=10)
        assert not (tmp_path / "state").exists()
        (tmp_path / "cut").touch()
    done = converge("cat state", "new", "false")
    assert (done.returncode, done.stdout) == (0, f"{NAME} unchanged\n")


@pytest.mark.parametrize(
    "words",
    [
        "cp: error writing 'x': No space left on device",
        "npm ERR! code ENOSPC",
        "E: You don't have enough free space in /var/cache/apt/archives/.",
        "ERROR 3 (HY000): Error writing file 'x' (Errcode: 28 'No space left on device')",
        "fatal: sha1 file 'x/.git/index.lock' write error. Out of diskspace",
    ],
)
def test_a_full_disk_is_said_in_one_line_whoever_met_it(converge: Converge, words: str) -> None:
    done = converge("echo x", "y", f'echo "{words}" >&2; exit 7')
    assert done.returncode == 7
    *_, last = done.stderr.splitlines()
    assert last.startswith(f"itqan: {NAME}: the disk is full")
    assert last.endswith("make room (`df -h`), then type ./itqan up again")


@pytest.mark.parametrize("probe", ["echo fine", "cat state"])
def test_output_comes_after_the_first_line(converge: Converge, probe: str) -> None:
    done = converge(probe, "fine", "echo fine >state; echo noise", output="echo one; echo two")
    first, _, rest = done.stdout.partition("\n")
    assert first in (f"{NAME} changed", f"{NAME} unchanged")
    assert rest == "one\ntwo\n"


def test_output_is_not_asked_after_a_failure(converge: Converge) -> None:
    assert converge("echo x", "y", "true", output="echo never").stdout == ""


def test_the_library_is_there_for_probe_and_apply(converge: Converge, tmp_path: Path) -> None:
    probe = f"probe_link {tmp_path}/link"
    done = converge(probe, f"link {tmp_path}/link -> there", f"say placing; ln -s there {tmp_path}/link")
    assert (done.returncode, done.stderr) == (0, "placing\n")


def test_the_probe_cannot_eat_the_payload(converge: Converge, tmp_path: Path) -> None:
    converge("cat; cat state", "new", "cat >state", "new\n")
    assert (tmp_path / "state").read_text() == "new\n"


def test_two_runs_of_one_unit_wait_for_each_other(converge: Converge, tmp_path: Path) -> None:
    command = f"""exec 9>{LOCK}; flock 9; touch held; sleep 0.4; echo free >order"""
    with subprocess.Popen(["bash", "-c", command], cwd=tmp_path):
        subprocess.run(
            ["bash", "-c", "until [ -e held ]; do sleep 0.02; done"], cwd=tmp_path, check=True, timeout=10
        )
        done = converge("tail -n 1 order", "mine", "cat >>order", "mine\n")
    assert done.returncode == 0
    assert done.stderr == f"{NAME}: a run from before is still at it; waiting for its end\n"
    assert (tmp_path / "order").read_text() == "free\nmine\n"


def test_what_apply_starts_does_not_keep_the_lock(converge: Converge) -> None:
    done = converge("cat state", "x", "(sleep 5 </dev/null >/dev/null 2>&1 &); echo x >state")
    assert done.returncode == 0
    assert subprocess.run(["flock", "-n", str(LOCK), "true"], check=False).returncode == 0


def test_what_apply_starts_does_not_keep_the_payload(converge: Converge, tmp_path: Path) -> None:
    show = "ls -l /proc/self/fd >fds; echo x >state"
    assert converge("cat state", "x", f"(({show}) </dev/null)", "secret").returncode == 0
    assert "itqan-" not in (tmp_path / "fds").read_text()


def test_a_host_of_another_stack_is_left_alone(converge: Converge, tmp_path: Path) -> None:
    (tmp_path / "owner").write_text("# managed by itqan\nstack itqan/test theirs\n")
    done = converge("echo no", "yes", "touch applied")
    assert (done.returncode, done.stdout) == (1, "")
    assert "belongs to stack itqan/test theirs, not to itqan/test mine; nothing was changed" in done.stderr
    assert not (tmp_path / "applied").exists()
    (tmp_path / "owner").write_text(f"stack {OWNER}\n")
    assert converge("cat applied", "x", "echo x >applied").stdout == f"{NAME} changed\n"


def test_removal(converge: Converge, tmp_path: Path) -> None:
    (tmp_path / "thing").touch()
    runner = tmp_path / "itqan-converge"
    unit = Unit(NAME, "true", "", "true", remove="rm -f thing")
    command = (remove_text(unit, OWNER, sudo=False) or "").replace(CONVERGE, str(runner))
    converge("true", "", "true")  # the runner is there
    subprocess.run(["bash", "-c", command], check=True, cwd=tmp_path, stdin=subprocess.DEVNULL)
    assert not (tmp_path / "thing").exists()
    (tmp_path / "thing").touch()
    (tmp_path / "owner").write_text("stack itqan/test theirs\n")
    again = subprocess.run(["bash", "-c", command], check=False, cwd=tmp_path, stdin=subprocess.DEVNULL)
    assert again.returncode == 1
    assert (tmp_path / "thing").exists()

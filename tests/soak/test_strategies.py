"""Ten releases under wrk, and the strategies killed at many moments under load: no request fails."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.e2e.copy import Copy, itqan, poll, pulumi
from tests.e2e.load import Traffic, counted, wrk
from tests.e2e.test_c_releases import ROOT, TOOL, Host, clone_of_the_repository

RELEASES = 10
MOMENTS = 16
KILL = "pkill -KILL -f '^/bin/bash /usr/local/sbin/[i]tqan-release' || true"


@pytest.fixture(scope="module")
def host(copy: Copy) -> Iterator[Host]:
    """A clone of the repository, releases by the strategy `atomic`, and wrk."""
    copy.bash(
        "which wrk >/dev/null || { apt-get update -qq "
        "&& apt-get install -y -qq --no-install-recommends wrk; } >&2"
    )
    pulumi("config", "set", "--stack", copy.stack, "--path", "itqan:release.strategy", "atomic")
    itqan("up", "--stack", copy.stack)
    with clone_of_the_repository(copy) as made:
        yield made
        pulumi("config", "rm", "--stack", copy.stack, "itqan:release")


def test_ten_releases_under_wrk(host: Host) -> None:
    copy = host.copy
    with Traffic(copy, clients=1) as traffic:
        load = wrk(copy, 900)
        for number in range(RELEASES):
            wanted = host.push(**{"app/New.php": f"<?php // {number}\n"})
            done = host.deploy(wanted)
            assert done.returncode == 0, done.stderr
            poll(lambda: len(host.running()) == 2, 30, "every process with the new code")
        copy.bash("pkill -INT wrk")
        report, _ = load.communicate(timeout=60)
    total, failed = counted(report)
    waits = sorted(traffic.waits)
    figures = f"{total} requests by wrk, {failed} failed; {dict(traffic.answers)}; reconnected after {waits}"
    print(figures)
    assert total > 0 and failed == 0, report
    traffic.require()
    assert len(waits) == RELEASES, "the client of Reverb came back each time by itself"


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_release_killed_at_any_moment(host: Host, moment: int) -> None:
    """The link leads to a whole release all the time, and the next run of the tool ends well."""
    copy = host.copy
    started = time.monotonic()
    assert host.deploy(host.push(**{"app/New.php": "<?php // whole\n"})).returncode == 0
    whole = time.monotonic() - started
    wanted = host.push(
        **{"app/New.php": f"<?php // {moment}\n", "resources/css/app.css": f"/* {moment} */\n"}
    )
    with Traffic(copy, clients=2) as traffic:
        command = ["docker", "exec", copy.outputs["container"], TOOL, "deploy", "next", wanted]
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(whole * (moment + 0.5) / MOMENTS)
        copy.bash(KILL)
        run.wait()
        assert host.tool("clone").returncode == 0
        poll(lambda: len(host.running()) == 2, 60, "every process with the same code")
    traffic.require()
    assert host.deploy(wanted).returncode == 0
    assert copy.bash(f"runuser -u deploy -- git -C {ROOT} status --porcelain --untracked-files=no") == ""


@pytest.mark.parametrize("hundredths", [1, 5, 10, 20, 40, 80, 160])
@pytest.mark.parametrize("strategy", ["in-place", "atomic"])
def test_a_change_of_strategy_killed_at_any_moment(host: Host, strategy: str, hundredths: int) -> None:
    copy = host.copy
    other = {"in-place": "atomic", "atomic": "in-place"}[strategy]
    assert host.tool("layout", other).returncode == 0
    with Traffic(copy, clients=2) as traffic:
        command = ["docker", "exec", copy.outputs["container"], TOOL, "layout", strategy]
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(hundredths / 100)
        copy.bash(KILL)
        run.wait()
        assert host.tool("layout", strategy).returncode == 0
        poll(lambda: len(host.running()) == 2, 60, "every process with the same code")
    traffic.require()
    assert host.tool("layout", "atomic").returncode == 0

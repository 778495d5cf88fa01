"""Times releases on a copy that is up and has no other use: PHP alone changed, as in "Quick Deploy".

    python -m benchmarks.releases [--stack staging] [--rounds 5]

In turn, one of each a round: the document's commands by hand, itqan-release, `./itqan deploy`,
`./itqan rollback`; then how long a browser's client of Reverb was without it (it asks again a second after
it lost its connection). A command that fails ends the benchmark; the copy ends at what it had.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.copy import Copy, itqan, outputs
from tests.e2e.load import Traffic
from tests.e2e.test_c_releases import ROOT as APPLICATION
from tests.e2e.test_c_releases import Host, clone_of_the_repository

ROOT = Path(__file__).resolve().parent.parent
# "Quick Deploy (Code Changes Only)", each command by the user whose files it writes. Its cache:clear empties
# sessions and queue where they are in the same database of Redis: left out on both sides.
BY_HAND = [
    ("deploy", "git fetch -q origin && git checkout -q --detach origin/next"),
    *(("www-data", f"php artisan {name}:clear") for name in ("config", "route", "view")),
    *(("www-data", f"php artisan {name}:cache") for name in ("config", "route", "view")),
    ("www-data", "php artisan queue:restart"),
]
# Seconds until the workers, which look for queue:restart when they have slept, run again for a while:
# Supervisor waits before it starts one again that ended in its first second.
SETTLED = 6


def timed(run: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def by_hand(copy: Copy) -> None:
    """The document's commands, one after the other."""
    lines = [f"runuser -u {user} -- bash -c 'cd {APPLICATION} && {line}'" for user, line in BY_HAND]
    copy.bash("\n".join(f"{line} >&2" for line in lines))


def released(done: subprocess.CompletedProcess[str]) -> None:
    """Raises SystemExit when a release failed."""
    if done.returncode:
        raise SystemExit(done.stderr)


def measure(host: Host, rounds: int) -> dict[str, list[float]]:
    """Seconds by what was done."""
    copy, number = host.copy, 0
    found: dict[str, list[float]] = {}

    def note(name: str, run: Callable[[], object]) -> None:
        found.setdefault(name, []).append(timed(run))

    def pushed() -> str:
        nonlocal number
        number += 1
        return host.push(**{"app/New.php": f"<?php // {number} {time.time_ns()}\n"})

    for _ in range(rounds):
        pushed()
        note("the document's commands by hand", lambda: by_hand(copy))
        time.sleep(SETTLED)
        wanted = pushed()
        note("itqan-release deploy", lambda wanted=wanted: released(host.deploy(wanted)))  # type: ignore[misc]
        wanted = pushed()
        note("./itqan deploy", lambda wanted=wanted: itqan("deploy", copy.stack, wanted))  # type: ignore[misc]
        note("./itqan rollback", lambda: itqan("rollback", copy.stack))
        with Traffic(copy, clients=1) as traffic:
            released(host.deploy(pushed()))
            time.sleep(3)
        found.setdefault("a client without Reverb", []).extend(traffic.waits)
    return found


def main() -> None:
    """Runs the benchmark and prints one line for each figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stack", default="staging")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    stack = arguments.stack
    copy = Copy(stack, outputs(stack), ROOT / ".itqan" / f"{stack}-root.pem")
    configuration = ROOT / f"Pulumi.{stack}.yaml"
    before = configuration.read_text()
    with clone_of_the_repository(copy) as host:
        try:
            figures = measure(host, arguments.rounds)
        finally:
            configuration.write_text(before)  # `deploy` has put a commit there
    for name, seconds in figures.items():
        low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
        print(f"{name:<32} min {low:.2f} s  median {middle:.2f} s  max {high:.2f} s  ({len(seconds)} runs)")


if __name__ == "__main__":
    main()

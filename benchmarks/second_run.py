"""Times `./itqan up` on a stack that is up, as a whole process from typing to prompt.

    python benchmarks/second_run.py [--stack staging] [--runs 10] [--change]

Without `--change` there is nothing to do; with it, one line of the nginx site comes and goes from run to run.
A run that fails, or changes something else, ends the benchmark.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "files/nginx/site.conf.j2"
# Runs before those that count: they fill the caches of the file system.
WARM_UP = 2


def timed_run(stack: str, expected: str) -> tuple[float, float]:
    """Seconds of one run, and of its observation of the host.

    Raises SystemExit when the run failed or its closing line has not the `expected` words.
    """
    start = time.perf_counter()
    run = subprocess.run(
        [ROOT / "itqan", "up", "--stack", stack], capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - start
    if run.returncode or expected not in run.stdout:
        raise SystemExit(f"this was no run with {expected!r}:\n{run.stderr}{run.stdout}")
    observed = re.search(r"observed \d+ units in ([\d.]+) s", run.stdout + run.stderr)
    return seconds, float(observed[1]) if observed else 0.0


@contextmanager
def changing_site() -> Iterator[Iterator[None]]:
    """Each step of the iterator changes one line of the site's template; at the end it is as it was."""
    before = SITE.read_text()

    def steps() -> Iterator[None]:
        for text in cycle((f"{before}# benchmark\n", before)):
            SITE.write_text(text)
            yield

    try:
        yield steps()
    finally:
        SITE.write_text(before)


def measure(stack: str, runs: int, change: bool) -> list[tuple[float, float]]:
    """The figures of `runs` runs, after the warm-up."""
    if not change:
        return [timed_run(stack, "nothing to do") for _ in range(WARM_UP + runs)][WARM_UP:]
    with changing_site() as steps:
        return [timed_run(stack, "1 changed") for _, _ in zip(range(WARM_UP + runs), steps, strict=False)][
            WARM_UP:
        ]


def main() -> None:
    """Runs the benchmark and prints one line for each figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stack", default="staging")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--change", action="store_true")
    arguments = parser.parse_args()
    figures = measure(arguments.stack, arguments.runs, arguments.change)
    for name, seconds in zip(("whole run", "of it observation"), zip(*figures, strict=True), strict=True):
        low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
        print(f"{name:<18} min {low:.2f} s  median {middle:.2f} s  max {high:.2f} s  ({len(seconds)} runs)")


if __name__ == "__main__":
    main()

"""Times `./itqan up` with nothing to do, as a whole process from typing to prompt: minimum, median, maximum.

    python benchmarks/nothing_to_do.py [--stack staging] [--runs 10]

The stack has to be up. A run that changes something, or fails, ends the benchmark.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import time
from pathlib import Path

ITQAN = Path(__file__).resolve().parent.parent / "itqan"
# Runs before those that count: they fill the caches of the file system.
WARM_UP = 2


def timed_run(stack: str) -> tuple[float, float]:
    """Seconds of one run, and of its observation of the host.

    Raises SystemExit when the run failed or changed something.
    """
    start = time.perf_counter()
    run = subprocess.run([ITQAN, "up", "--stack", stack], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if run.returncode or "nothing to do" not in run.stdout:
        raise SystemExit(f"this was no run with nothing to do:\n{run.stderr}{run.stdout}")
    observed = re.search(r"observed \d+ units in ([\d.]+) s", run.stderr)
    return seconds, float(observed[1]) if observed else 0.0


def main() -> None:
    """Runs the benchmark and prints one line for each figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stack", default="staging")
    parser.add_argument("--runs", type=int, default=10)
    arguments = parser.parse_args()
    runs = [timed_run(arguments.stack) for _ in range(WARM_UP + arguments.runs)][WARM_UP:]
    for name, figures in zip(("whole run", "of it observation"), zip(*runs, strict=True), strict=True):
        low, middle, high = min(figures), statistics.median(figures), max(figures)
        print(f"{name:<18} min {low:.2f} s  median {middle:.2f} s  max {high:.2f} s  ({len(figures)} runs)")


if __name__ == "__main__":
    main()

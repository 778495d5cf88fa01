"""Times a whole stack from nothing, images built, in turn with another command that builds the same server.

    python benchmarks/cold.py [--runs 3] [--versus 'COMMAND']

`--versus` is a shell command that builds the server another way; it is run in turn with ours, and so is
`--versus-clean` after it. The images have to be there: run `./itqan up` and `./itqan down` once before.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STACK = "bench"


def timed(command: list[str] | str) -> float:
    """Seconds of one command. Raises SystemExit with its last words when it fails."""
    start = time.perf_counter()
    run = subprocess.run(
        command, shell=isinstance(command, str), cwd=ROOT, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - start
    if run.returncode:
        raise SystemExit(f"{command} failed:\n{(run.stdout + run.stderr)[-2000:]}")
    return seconds


def ours() -> float:
    """Seconds of `./itqan up` for a stack that was never there, its secrets and network included."""
    seconds = timed(["./itqan", "up", "--stack", STACK])
    timed(["./itqan", "down", "--yes", "--stack", STACK])
    (ROOT / f"Pulumi.{STACK}.yaml").unlink(missing_ok=True)
    return seconds


def main() -> None:
    """Runs the benchmark and prints one line for each side, and the ratio of the medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--versus")
    parser.add_argument("--versus-clean")
    arguments = parser.parse_args()
    figures: dict[str, list[float]] = {"itqan up": [], "versus": []}
    for _ in range(arguments.runs):
        figures["itqan up"].append(ours())
        if arguments.versus:
            figures["versus"].append(timed(arguments.versus))
        if arguments.versus_clean:
            timed(arguments.versus_clean)
    for name, seconds in figures.items():
        if seconds:
            shown = " ".join(f"{s:.1f}" for s in seconds)
            print(f"{name:<9} median {statistics.median(seconds):.1f} s  ({shown})")
    if figures["versus"]:
        ratio = statistics.median(figures["itqan up"]) / statistics.median(figures["versus"])
        print(f"ratio     {ratio:.2f}")


if __name__ == "__main__":
    main()

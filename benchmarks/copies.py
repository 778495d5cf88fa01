"""Brings copies of branches up, several at once, and shows time and memory by their number.

    python -m pip install -r benchmarks/requirements.txt
    python -m benchmarks.copies [--counts 1 2 4 8] [--chart benchmarks/copies.svg]

The images have to be there: run `./itqan up` and `./itqan down` once before. Everything happens in a checkout
of its own, with a repository of the sample application; nothing of it is left. A copy that does not come up,
or whose health is not good, ends the benchmark.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import urllib3

from tests.branches.project import Checkout, Repository, page


@dataclass(frozen=True)
class Round:
    """Copies that were brought up at once.

    count    how many
    seconds  of each, from typing `branch up` to its first page over HTTPS
    memory   of each, in megabytes of 10^6, once all are up, as `branch list` has it: with what Linux keeps of
             files that are in use, which it gives up where memory is short
    """

    count: int
    seconds: Sequence[float]
    memory: Sequence[float]


class FirstPage(threading.Thread):
    """Asks a copy that comes up for its page, again and again, until the answer is 200.

    at  when that was (time.perf_counter); None as long as it was not
    """

    def __init__(self, branch: str) -> None:
        super().__init__(daemon=True)
        self._container = f"itqan-staging-{branch}-server"
        self._ended = threading.Event()
        self.at: float | None = None

    def run(self) -> None:
        """Until the page is there, or the run has ended."""
        while self.at is None and not self._ended.wait(0.1):
            if (address := self._address()) and self._answers(address):
                self.at = time.perf_counter()

    def _address(self) -> str:
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        command = ["docker", "inspect", "--type", "container", "--format", form, self._container]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    def _answers(self, address: str) -> bool:
        # whom it is signed by is looked at in the end
        with urllib3.HTTPSConnectionPool(address, 443, cert_reqs="CERT_NONE", timeout=5) as pool:
            try:
                return pool.request("GET", "/", redirect=False, retries=False).status == 200
            except urllib3.exceptions.HTTPError:
                return False

    def end(self) -> None:
        """Asks no more."""
        self._ended.set()
        self.join()


def bring_up(checkout: Checkout, folder: Path, branch: str) -> float:
    """Seconds from typing `branch up` to the first page with status 200 over HTTPS.

    Raises AssertionError when there is none, or its certificate is not the copy's authority's in the end.
    """
    first = FirstPage(branch)
    start = time.perf_counter()
    first.start()
    try:
        checkout.itqan("branch", "up", branch)
    finally:
        first.end()
    page(checkout.outputs(checkout.copies()[branch]["stack"]), folder)
    assert first.at is not None
    return first.at - start


def release(checkout: Checkout, branch: str) -> float:
    """Seconds of `branch up` of a copy that is up: the new commit runs when it ends."""
    start = time.perf_counter()
    checkout.itqan("branch", "up", branch)
    return time.perf_counter() - start


def measure(checkout: Checkout, folder: Path, branches: Sequence[str]) -> Round:
    """One round; its copies are gone afterwards. Raises AssertionError for a copy that is not healthy."""
    with ThreadPoolExecutor(len(branches)) as pool:
        try:
            seconds = list(pool.map(partial(bring_up, checkout, folder), branches))
            found = [row for branch, row in checkout.copies().items() if branch in branches]
            assert {row["health"] for row in found} == {"ok"}, found
            return Round(len(branches), seconds, [row["memory"] for row in found])
        finally:
            list(pool.map(lambda branch: checkout.itqan("branch", "down", branch), branches))


def new_commits(checkout: Checkout, repository: Repository, folder: Path, runs: int) -> list[float]:
    """Seconds of `branch up` for new commits of a copy that is up, the application's own build included."""
    bring_up(checkout, folder, "bench-1")
    try:
        figures = []
        for number in range(runs):
            repository.push("bench-1", f"commit {number}")
            figures.append(release(checkout, "bench-1"))
        return figures
    finally:
        checkout.itqan("branch", "down", "bench-1")


def shown(made: Round) -> str:
    """A round as a line."""
    last, middle = max(made.seconds), statistics.median(made.seconds)
    return "\n  ".join(
        (
            f"{made.count} at once: the last answers after {last:.1f} s, the median after {middle:.1f} s;",
            f"memory of a copy {statistics.mean(made.memory):.0f} MB, of all {sum(made.memory):.0f} MB",
        )
    )


def draw(rounds: Sequence[Round], file: Path) -> None:
    """Time until the last copy answers, and memory of all, by the number of copies."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    counts = [made.count for made in rounds]
    time_axes, memory_axes = figure.subplots(1, 2)
    time_axes.plot(counts, [max(made.seconds) for made in rounds], marker="o")
    time_axes.set(title="Until the last copy answers", ylabel="seconds")
    memory_axes.plot(counts, [sum(made.memory) / 1000 for made in rounds], marker="o", color="tab:green")
    memory_axes.set(title="Memory of all copies", ylabel="GB")
    for axes in (time_axes, memory_axes):
        axes.set(xlabel="copies brought up at once", xticks=counts, xlim=(0, None), ylim=(0, None))
        axes.grid(alpha=0.3)
    figure.savefig(file)


def main() -> None:
    """Runs the rounds and prints a line for each."""
    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--commits", type=int, default=3, help="new commits of a copy that is up")
    parser.add_argument("--chart", type=Path, help="an SVG or PNG file")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="itqan-bench-") as made:
        folder = Path(made)
        repository = Repository.of_sample(folder)
        branches = [f"bench-{number}" for number in range(1, max(arguments.counts) + 1)]
        for branch in branches:
            repository.push(branch, branch)
        checkout = Checkout.make(folder / "checkout", repository)
        if arguments.commits:
            figures = new_commits(checkout, repository, folder, arguments.commits)
            print("new commits:", " ".join(f"{seconds:.1f} s" for seconds in figures), flush=True)
        rounds = []
        for count in arguments.counts:
            rounds.append(measure(checkout, folder, branches[:count]))
            print(shown(rounds[-1]), flush=True)
    if arguments.chart:
        draw(rounds, arguments.chart)


if __name__ == "__main__":
    main()

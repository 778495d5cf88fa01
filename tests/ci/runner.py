"""A workflow's runner: a checkout of this project, GitHub's variables, and an event."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.branches.project import Checkout
from tests.fakes.github import GitHub

REPOSITORY, TOKEN = "itqan/platform", "ghs_token-of-the-tests"


@dataclass(frozen=True)
class Runner:
    """A machine that runs jobs of workflows; `files` is where it keeps a job's own."""

    checkout: Checkout
    api: GitHub
    files: Path

    def ci(self, *words: str, event: dict[str, Any] | None = None, status: int = 0) -> str:
        """`./itqan ci …` as a step of a job, which has to end with a status. Returns the job's summary."""
        self.files.mkdir(exist_ok=True)
        names = {"EVENT_PATH": "event.json", "STEP_SUMMARY": "summary.md", "OUTPUT": "output"}
        paths = {name: self.files / file for name, file in names.items()}
        paths["EVENT_PATH"].write_text(json.dumps(event or {}))
        for name in ("STEP_SUMMARY", "OUTPUT"):
            paths[name].write_text("")
        variables = {
            "GITHUB_API_URL": self.api.url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ID": "7",
            "GITHUB_SHA": "c" * 40,
            "GITHUB_TOKEN": TOKEN,
            **{f"GITHUB_{name}": str(path) for name, path in paths.items()},
            # A secret that the repository does not have.
            "PULUMI_ACCESS_TOKEN": "",
        }
        step = replace(self.checkout, variables={**self.checkout.variables, **variables})
        printed, said = step.itqan("ci", *words, status=status)
        assert "Traceback" not in said and TOKEN not in printed + said
        return paths["STEP_SUMMARY"].read_text()

    def output(self) -> str:
        """What the last step left for later ones."""
        return (self.files / "output").read_text()


def pull_request(action: str, number: int, branch: str, commit: str, fork: bool = False) -> dict[str, Any]:
    """The event of a pull request."""
    name = "visitor/platform" if fork else REPOSITORY
    return {
        "action": action,
        "pull_request": {
            "number": number,
            "head": {"ref": branch, "sha": commit, "repo": {"full_name": name}},
            "base": {"ref": "main", "sha": "b" * 40},
        },
    }

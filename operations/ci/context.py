"""Where a pipeline's command runs: what GitHub's runner says in the environment, or an ordinary terminal."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..backend import chosen_backend
from ..errors import OperationError
from .github import GitHub

SECRET_PREFIXES = ("PULUMI_", "AWS_", "AZURE_", "GOOGLE_")
API = "https://api.github.com"


@dataclass(frozen=True)
class PullRequest:
    """A pull request as the event of a workflow's run has it.

    branch    the branch that is to be merged
    commit    its newest commit
    base      the commit that it is compared with
    is_fork   whether it comes from another repository, which gets no secrets
    """

    number: int
    branch: str
    commit: str
    base: str
    is_fork: bool
    is_closed: bool


@dataclass(frozen=True)
class Context:
    """What the runner says; in a terminal nothing of it.

    github        the API; None outside of a workflow
    run           the address of this run's log
    """

    github: GitHub | None = None
    pull_request: PullRequest | None = None
    commit: str = ""
    run: str = ""
    summary_file: Path | None = None
    output_file: Path | None = None
    has_backend: bool = True

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Context:
        """The context of a process; takes the token out of its environment, so that no child gets it.

        Raises OperationError when the runner's variables do not fit together.
        """
        token = environment.pop("GITHUB_TOKEN", "")
        repository = environment.get("GITHUB_REPOSITORY", "")
        if repository:
            _drop_missing_secrets(environment)
        event = _event(environment.get("GITHUB_EVENT_PATH", ""))
        if repository and not token:
            raise OperationError(
                "GITHUB_TOKEN is missing; in a workflow: env: {GITHUB_TOKEN: ${{ github.token }}}"
            )
        server = environment.get("GITHUB_SERVER_URL", "https://github.com")
        run = environment.get("GITHUB_RUN_ID", "")
        return cls(
            GitHub(environment.get("GITHUB_API_URL") or API, repository, token) if repository else None,
            _pull_request(event, repository),
            environment.get("GITHUB_SHA", ""),
            f"{server}/{repository}/actions/runs/{run}" if repository and run else "",
            _path(environment, "GITHUB_STEP_SUMMARY"),
            _path(environment, "GITHUB_OUTPUT"),
            not repository or chosen_backend(environment) is not None,
        )

    def require_backend(self) -> None:
        """Raises OperationError in a workflow that does not say where the state is kept."""
        if not self.has_backend:
            raise OperationError(
                "PULUMI_BACKEND_URL is missing: a state on this runner would be lost with it; in a workflow: "
                "env: {PULUMI_BACKEND_URL: ${{ secrets.PULUMI_BACKEND_URL }}}"
            )

    def summarise(self, text: str) -> None:
        """The run's summary: on its page, or on standard output."""
        if self.summary_file:
            with self.summary_file.open("a", encoding="utf-8") as stream:
                stream.write(f"{text}\n")
        else:
            print(text)

    def output(self, name: str, value: str) -> None:
        """A value for later steps of the workflow."""
        if self.output_file:
            with self.output_file.open("a", encoding="utf-8") as stream:
                stream.write(f"{name}={value}\n")

    def comment(self, marker: str, body: str) -> None:
        """The pull request's one comment with a marker, where there is a pull request that may have one."""
        if self.github and self.pull_request:
            self.github.put_comment(self.pull_request.number, marker, body)


def _drop_missing_secrets(environment: MutableMapping[str, str]) -> None:
    """A secret that the repository does not have is an empty variable, which Pulumi takes for a value."""
    for name in [
        name for name, value in environment.items() if not value and name.startswith(SECRET_PREFIXES)
    ]:
        del environment[name]


def _path(environment: MutableMapping[str, str], name: str) -> Path | None:
    return Path(environment[name]) if environment.get(name) else None


def _event(path: str) -> dict[str, Any]:
    if not path:
        return {}
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OperationError(f"GITHUB_EVENT_PATH: {path} is not the event of a run: {error}") from None
    return found if isinstance(found, dict) else {}


def _pull_request(event: dict[str, Any], repository: str) -> PullRequest | None:
    found = event.get("pull_request")
    if not found:
        return None
    # The repository of a pull request whose fork was deleted is null.
    head = (found["head"].get("repo") or {}).get("full_name")
    return PullRequest(
        number=int(found["number"]),
        branch=str(found["head"]["ref"]),
        commit=str(found["head"]["sha"]),
        base=str(found["base"]["sha"]),
        is_fork=head != repository,
        is_closed=event.get("action") == "closed",
    )

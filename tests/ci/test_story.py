"""A pull request from its opening to its end, a night, and main: what pipelines do, without GitHub."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from settings import stack_of
from tests.branches.project import Checkout, Repository, docker_names, inside, page
from tests.fakes.github import GitHub

from .runner import REPOSITORY, TOKEN, Runner, pull_request

pytestmark = pytest.mark.usefixtures("own_edge")

BRANCH = "ci/feature"
STACK = stack_of(BRANCH)
APPLICATION = "/var/www/itqan-platform"
SITE = "files/nginx/site.conf.j2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where everything of the story is."""
    return tmp_path_factory.mktemp("ci")


@pytest.fixture(scope="module")
def api() -> Iterator[GitHub]:
    """GitHub; in the end nothing that it was asked for was other than it describes."""
    with GitHub(REPOSITORY, TOKEN) as made:
        yield made
        assert made.violations == []


@pytest.fixture(scope="module")
def repository(folder: Path) -> Repository:
    """The sample application and a branch of it."""
    made = Repository.of_sample(folder)
    made.push(BRANCH, "the feature at first")
    return made


@pytest.fixture(scope="module")
def runner(folder: Path, repository: Repository, api: GitHub) -> Iterator[Runner]:
    """A runner whose state is kept elsewhere; what is still up at the end is taken down."""
    owner = Checkout.make(folder / "owner", repository)
    made = Checkout.make(folder / "runner", repository, backend_of=owner)
    yield Runner(made, api, folder / "job")
    made.itqan("branch", "down", BRANCH)


@pytest.fixture(scope="module")
def next_runner(folder: Path, repository: Repository, api: GitHub, runner: Runner) -> Runner:
    """Another one: the same files, state and passphrase, and nothing that the first one made for itself."""
    made = Checkout.make(folder / "next", repository, backend_of=runner.checkout)
    return Runner(replace(made, variables=runner.checkout.variables), api, folder / "next-job")


@pytest.fixture(scope="module")
def number(api: GitHub) -> int:
    """The pull request."""
    return api.open_pull_request()


def comment(api: GitHub, number: int, mark: str) -> str:
    """The only comment of the pull request with a mark."""
    [found] = [text for text in api.texts(number) if text.startswith(f"<!-- itqan:{mark} -->\n")]
    return found


def test_opened_a_copy_comes_up_and_one_comment_says_where(
    runner: Runner, repository: Repository, api: GitHub, number: int, folder: Path
) -> None:
    commit = repository.git("rev-parse", f"origin/{BRANCH}")
    summary = runner.ci("staging", event=pull_request("opened", number, BRANCH, commit))
    outputs = runner.checkout.outputs(STACK)
    text = comment(api, number, "staging")
    assert f"| address | <{outputs['url']}> |" in text and f"| commit | `{commit}` |" in text
    assert "5 of 5 smoke tests passed" in text and "audit of the copy alone" in text
    assert "none not as expected" in text
    assert outputs["url"] in summary
    assert runner.output() == f"url={outputs['url']}\n"
    assert "the feature at first" in page(outputs, folder)


def test_pushed_on_another_runner_the_comment_changes_in_place(
    next_runner: Runner, repository: Repository, api: GitHub, number: int, folder: Path
) -> None:
    before = [found["id"] for found in api.comments[number]]
    for words in ("the feature, once more", "the feature, at last"):
        commit = repository.push(BRANCH, words)
        next_runner.ci("staging", event=pull_request("synchronize", number, BRANCH, commit))
        assert f"| commit | `{commit}` |" in comment(api, number, "staging")
        assert words in page(next_runner.checkout.outputs(STACK), folder)
    assert [found["id"] for found in api.comments[number]] == before


def test_a_preview_tells_the_program_from_drift_and_no_secret(
    next_runner: Runner, api: GitHub, number: int
) -> None:
    outputs = next_runner.checkout.outputs(STACK)
    inside(outputs, f"chmod 700 {APPLICATION}/.env")
    template = next_runner.checkout.folder / SITE
    kept = template.read_text()
    template.write_text(f"{kept}# a line of the pull request\n")
    event = pull_request("synchronize", number, BRANCH, "d" * 40)
    summary = next_runner.ci("preview", STACK, event=event)
    template.write_text(kept)
    text = comment(api, number, f"preview:{STACK}")
    assert re.search(r"\| ~ \| `Nginx nginx-site` \| program \| `content`", text)
    assert re.search(r"\| ~ \| `Release release-env` \| drift \| `expected file .* 755, found 700`", text)
    assert "+# a line of the pull request" in text
    assert text.endswith(summary.strip())
    whole = (next_runner.checkout.folder / f".itqan/ci/preview-{STACK}.md").read_text()
    secrets = inside(outputs, rf"sed -nE 's/^[A-Z_]+_(PASSWORD|SECRET)=//p' {APPLICATION}/.env").split()
    assert len(secrets) >= 2 and not any(secret.strip('"') in whole for secret in secrets)


def test_nights_of_drift_are_one_issue(next_runner: Runner, api: GitHub) -> None:
    def issues() -> list[tuple[str, str]]:
        found = [issue for issue in api.issues if "pull_request" not in issue]
        return [(issue["state"], issue["body"]) for issue in found]

    outputs = next_runner.checkout.outputs(STACK)
    next_runner.ci("drift", STACK)
    [(state, body)] = issues()
    assert state == "open" and "`release/env`" in body and "somebody" not in body
    inside(outputs, "useradd --create-home somebody")
    next_runner.ci("drift", STACK)
    [(state, body)] = issues()
    assert state == "open" and "login somebody" in body and "itqan:accepted.logins" in body
    inside(outputs, f"userdel --remove somebody; chmod 755 {APPLICATION}/.env")
    next_runner.ci("drift", STACK)
    [(state, body)] = issues()
    assert state == "closed", body


def test_main_goes_up_and_is_looked_at(next_runner: Runner) -> None:
    inside(next_runner.checkout.outputs(STACK), f"chmod 700 {APPLICATION}/.env")
    summary = next_runner.ci("production", STACK)
    assert f"### `{STACK}` is up and well" in summary
    assert [line for line in summary.splitlines() if line.startswith("####")] == [
        "#### ✓ up",
        "#### ✓ audit",
        "#### ✓ smoke tests",
    ]
    assert "`Release release-env`" in summary and "none not as expected" in summary


def test_a_main_that_does_not_come_up_fails_and_says_whether_visitors_notice(next_runner: Runner) -> None:
    template = next_runner.checkout.folder / SITE
    kept = template.read_text()
    template.write_text(f"{kept}no_such_directive;\n")
    summary = next_runner.ci("production", STACK, status=1)
    template.write_text(kept)
    assert f"### `{STACK}` is not well" in summary
    assert "#### ✗ up" in summary and "no_such_directive" in summary
    assert "#### ✗ audit" in summary and "#### ✓ smoke tests" in summary


def test_a_fork_sees_units_and_nothing_else(next_runner: Runner, api: GitHub, number: int) -> None:
    folder = next_runner.checkout.folder

    def git(*words: str) -> str:
        command = ["git", "-c", "user.name=Tests", "-c", "user.email=tests@localhost", *words]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()

    git("init", "-q", "-b", "main")
    git("add", "--all")
    git("commit", "-q", "-m", "base")
    git("checkout", "-q", "-b", "head")
    template = folder / SITE
    template.write_text(f"{template.read_text()}# a line of the fork\n")
    git("commit", "-q", "-a", "-m", "head")
    git("checkout", "-q", "main")
    git("merge", "-q", "--no-ff", "-m", "merge", "head")
    asked = len(api.requests)
    summary = next_runner.ci(
        "preview", "prod", event=pull_request("opened", number, "main", "e" * 40, fork=True)
    )
    assert "**Not observed.**" in summary and re.search(r"\*\*1\*\* of \d+ units differ", summary)
    assert "`nginx/site`" in summary and "+# a line of the fork" in summary
    assert "No copy" in next_runner.ci(
        "staging", event=pull_request("opened", number, BRANCH, "e" * 40, fork=True)
    )
    assert len(api.requests) == asked, "a fork's token cannot comment"
    assert git("worktree", "list").count("\n") == 0 and git("status", "--short") == ""


def test_closed_nothing_is_left(
    next_runner: Runner, repository: Repository, api: GitHub, number: int
) -> None:
    assert docker_names(f"itqan.stack={STACK}")
    commit = repository.git("rev-parse", f"origin/{BRANCH}")
    next_runner.ci("staging", event=pull_request("closed", number, BRANCH, commit))
    assert docker_names(f"itqan.stack={STACK}") == []
    assert "nothing of the copy is left" in comment(api, number, "staging")
    assert len(api.texts(number)) == 2, "one comment for the copy, one for the preview"
    assert next_runner.checkout.copies() == {}
    assert "nothing to sweep" in next_runner.ci("sweep")

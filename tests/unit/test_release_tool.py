"""itqan-release: it refuses before it touches anything, and a failing step is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.sample import sample_repository
from tests.fakes.release_host import Tool, needs_root

pytestmark = needs_root


@pytest.fixture
def cloned(tool: Tool, tmp_path: Path) -> Path:
    """The application's folder as a checkout of an imported repository, its .env in place."""
    sample = sample_repository()
    assert tool("import", f"{tmp_path}/origin.git", "main", stdin=sample.stream).returncode == 0
    assert tool("clone").returncode == 0
    (tmp_path / "app/.env").write_text("APP_DEBUG=false\n")
    return tmp_path / "app"


def test_clone_twice_is_once(tool: Tool, cloned: Path) -> None:
    assert tool("clone").returncode == 0
    config = (cloned / ".git/config").read_text()
    assert "filemode = false" in config.lower()
    assert "origin.git" in config


def test_clone_refuses_a_folder_that_is_something_else(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "app/index.html").touch()
    done = tool("clone")
    assert done.returncode == 1
    assert "is neither empty nor a git checkout" in done.stderr
    assert (tmp_path / "app/index.html").exists()


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        (None, ".env is missing"),
        ("", ".env is missing"),
        ("APP_DEBUG=true\n", "APP_DEBUG is on"),
        ('APP_DEBUG="1"\n', "APP_DEBUG is on"),
    ],
)
def test_deploy_checks_first(tool: Tool, cloned: Path, env: str | None, reason: str) -> None:
    (cloned / ".env").unlink()
    if env is not None:
        (cloned / ".env").write_text(env)
    done = tool("deploy", "main", sample_repository().commit)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "failed in step 1, pre-deployment checks" in done.stderr


def test_code_that_does_not_start_can_still_be_replaced(tool: Tool, cloned: Path, tmp_path: Path) -> None:
    (cloned / "vendor").mkdir(exist_ok=True)
    (cloned / "vendor/autoload.php").touch()
    (tmp_path / "broken").write_text("php down\ncomposer install\n")
    done = tool("deploy", "main", sample_repository().commit)
    assert "the installed code does not start: going on without maintenance mode" in done.stderr
    assert done.returncode != 0
    assert "failed in step 4 and 5" in done.stderr


def test_a_repository_that_does_not_answer_costs_no_maintenance(
    tool: Tool, cloned: Path, tmp_path: Path
) -> None:
    (cloned / "vendor").mkdir(exist_ok=True)
    (cloned / "vendor/autoload.php").touch()
    done = tool("deploy", "main", "f" * 40)
    assert done.returncode != 0
    assert "failed in step 3, fetch main" in done.stderr
    assert f"commit {'f' * 40} is no longer in the repository: main was pushed anew" in done.stderr
    assert (tmp_path / "calls").read_text() == ""


@pytest.mark.usefixtures("cloned")
def test_success_says_nothing_of_failure(tool: Tool) -> None:
    assert "failed" not in tool("cache").stderr


def test_a_wrong_word_is_answered_with_the_right_ones(tool: Tool) -> None:
    done = tool("destroy")
    assert done.returncode == 1
    assert (
        "usage: itqan-release import|key|clone|deploy|pull|seed|variables|cache|permissions|layout|workers"
        in done.stderr
    )

"""Questions on a real terminal: asked again, secrets without echo, the ways to leave."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.typist import CTRL_C, CTRL_D, Typist

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from operations import cli, terminal

def test(arguments):
    port = terminal.ask("port", lambda said: None if said.isdigit() else f"{said!r}: allowed: a port")
    secret = terminal.ask_secret("password")
    word = terminal.ask_word("Is it so?", "yes", "no")
    print("heard", port, len(secret), word)
    return 0

cli.test = test
sys.argv[1:] = ["test"]
sys.exit(cli.main())
"""


@pytest.fixture
def asked(tmp_path: Path) -> Typist:
    """A program of three questions, run as every command is."""
    file = tmp_path / "asks.py"
    file.write_text(PROGRAM)
    return Typist([sys.executable, str(file), str(ROOT)], tmp_path)


def test_wrong_answers_are_told_and_asked_again(asked: Typist) -> None:
    with asked:
        asked.sees("port: ")
        asked.types("ssh")
        asked.sees("'ssh': allowed: a port")
        asked.sees("port: ")
        asked.types(" 22 ")
        asked.sees("password: ")
        asked.types("sentinel-password")
        asked.sees("Is it so? Type yes or no: ")
        asked.types("y")
        asked.sees("allowed: yes or no")
        asked.sees("Is it so?")
        asked.types("yes")
        asked.sees("heard 22 17 yes")
        assert asked.status() == 0
    assert "sentinel-password" not in asked.shown


@pytest.mark.parametrize(
    ("key", "status", "said"),
    [(CTRL_C, 130, "itqan: interrupted"), (CTRL_D, 1, "itqan: the input ended before the question was")],
)
@pytest.mark.parametrize("at", ["port: ", "password: "])
def test_the_ways_to_leave(asked: Typist, key: str, status: int, said: str, at: str) -> None:
    with asked:
        asked.sees("port: ")
        if at != "port: ":
            asked.types("22")
            asked.sees(at)
        asked.insists(key, said)
        assert asked.status() == status
    assert "Traceback" not in asked.shown

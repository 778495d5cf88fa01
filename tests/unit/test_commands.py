"""The command line tells of itself: examples that work, a current reference, completion in real shells."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from operations import cli, host_cli
from operations.completion import completion
from operations.examples import EXAMPLES, parsers
from operations.reference import reference

needs_zsh = pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not here")
COMMANDS = dict(parsers(cli.command_line()))


@pytest.fixture(autouse=True)
def _no_stack_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULUMI_STACK", raising=False)


def test_every_command_has_an_example_and_every_example_a_command() -> None:
    assert sorted(COMMANDS) == sorted(EXAMPLES)


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_help_shows_the_examples(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.command_line().parse_args([*words.split(), "--help"])
    shown = capsys.readouterr().out
    assert "examples:\n" in shown
    for line, meaning in EXAMPLES[words]:
        assert line in shown
        assert meaning in shown


@pytest.mark.parametrize("line", [line for examples in EXAMPLES.values() for line, _ in examples])
def test_examples_are_command_lines(line: str) -> None:
    typed = line.removeprefix('eval "$(').removesuffix(')"').partition(" >")[0].partition(" <")[0]
    program, *words = shlex.split(typed)
    assert program == "./itqan"
    assert callable(cli.command_line().parse_args(words).run)


def test_the_reference_is_current(root: Path) -> None:
    made = reference(cli.command_line()) + "\n"
    assert (root / "docs" / "commands.md").read_text() == made, "type: ./itqan reference >docs/commands.md"


def test_the_reference_tells_every_argument() -> None:
    text = reference(cli.command_line())
    for words, command in COMMANDS.items():
        section = text.partition(f"\n## itqan {words}\n")[2].partition("\n## ")[0]
        assert f"{command.description}." in section
        for action in command._actions:
            for option in action.option_strings:
                assert option in ("-h", "--help") or f"`{option}" in section


# -- completion


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A folder with the scripts of both shells."""
    for shell, name in (("bash", "itqan.bash"), ("zsh", "_itqan")):
        (tmp_path / name).write_text(completion(cli.command_line(), shell, host_cli.SOURCES))
    return tmp_path


CASES = [
    ("./itqan lo", {"logs"}),
    ("itqan branch ", {"up", "down", "list", "open", "sweep"}),
    ("./itqan logs pr", {"prod"}),
    ("./itqan logs prod ", {*host_cli.SOURCES}),
    ("./itqan logs prod app w", {"worker"}),
    ("./itqan logs prod app --f", {"--follow"}),
    ("./itqan up --stack pr", {"prod"}),
    ("./itqan parity prod stagi", {"staging"}),
    ("./itqan rotate prod ", {"db", "app-key", "redis", "ssh"}),
]


@pytest.mark.parametrize(("typed", "offered"), CASES)
def test_bash_completes(scripts: Path, typed: str, offered: set[str]) -> None:
    words = typed.split(" ")
    script = (
        f"source {scripts}/itqan.bash; complete -p itqan >/dev/null || exit\n"
        f"COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}\n"
        '_shtab_itqan; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd="/", capture_output=True, text=True, check=True
    )
    assert (done.stderr, offered <= set(done.stdout.split())) == ("", True), done.stdout
    assert all(word.startswith(words[-1]) for word in done.stdout.split())


ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1="READY> "; fpath=(%s $fpath); autoload -U compinit; compinit -u -D'
zpty -w shell 'LISTMAX=9999 COLUMNS=400; bindkey "^I" list-choices; echo CHANGED'
zpty -r -m shell said '*CHANGED*READY> *'
zpty -w -n shell %s$'\t'
zpty -w -n shell $'\C-u'$'echo DO''NE\n'
zpty -r -m shell said '*DONE*'
print -r -- $said
"""


@needs_zsh
@pytest.mark.parametrize(("typed", "offered"), [case for case in CASES if len(case[1]) > 1])
def test_zsh_completes(scripts: Path, typed: str, offered: set[str]) -> None:
    script = ZSH % (shlex.quote(str(scripts)), shlex.quote(typed))
    done = subprocess.run(
        ["zsh", "-f", "-c", script], cwd="/", capture_output=True, text=True, check=True, timeout=60
    )
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", " ", done.stdout).split()
    assert offered <= set(shown), done.stdout


def test_stacks_are_named_without_python_or_the_engine(scripts: Path) -> None:
    script = f"source {scripts}/itqan.bash; PATH=/usr/bin:/bin _itqan_stacks"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert {"prod", "staging"} <= set(done.stdout.split())
    assert "python" not in (scripts / "itqan.bash").read_text()

"""Completion for bash and zsh, made from the parser by shtab; the stacks' names are those of their files."""

from __future__ import annotations

import argparse
import shlex

import shtab

from .examples import parsers
from .paths import BRANCHES, ROOT

# Without Python, without the engine: what is asked at each press of a key has to be there at once.
NAMES = """
_itqan_stacks() {{
    command ls {root} {branches} 2>/dev/null | command sed -n 's/^Pulumi\\.\\(.*\\)\\.yaml$/\\1/p'
}}
"""
# How each shell offers them: bash is given what begins as the word does, zsh sees to that by itself.
OFFER = {
    "bash": """
_itqan_complete_stacks() {{ compgen -W "$(_itqan_stacks)" -- "$1"; }}
_itqan_complete_sources() {{ compgen -W "{sources}" -- "$1"; }}
""",
    "zsh": """
_itqan_complete_stacks() {{ compadd -- ${{(f)"$(_itqan_stacks)"}} }}
_itqan_complete_sources() {{ compadd -- {sources} }}
""",
}
OF_STACKS = ("stack", "first", "second", "extends", "beside")


def completion(parser: argparse.ArgumentParser, shell: str, sources: tuple[str, ...]) -> str:
    """The script for a shell, bash or zsh.

    Arguments: `sources`, the words of `logs`.
    """
    for _, command in parsers(parser):
        for action in command._actions:
            if complete := _way(action):
                action.complete = complete  # type: ignore[attr-defined]
    names = NAMES.format(root=shlex.quote(str(ROOT)), branches=shlex.quote(str(BRANCHES)))
    offer = OFFER[shell].format(sources=" ".join(sources))
    return shtab.complete(parser, shell, preamble={shell: names + offer})  # type: ignore[arg-type]


def _way(action: argparse.Action) -> object:
    """How the values of an argument are found, as shtab takes it; None: it knows, or nobody does."""
    if action.dest in OF_STACKS:
        return dict.fromkeys(OFFER, "_itqan_complete_stacks")
    if action.dest == "sources":
        return dict.fromkeys(OFFER, "_itqan_complete_sources")
    return shtab.FILE if action.metavar == "FILE" else None

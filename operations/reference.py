"""The reference of all commands, docs/commands.md, made from the parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from .examples import EXAMPLES, lines, parsers

HEAD = """# All commands

Made by `./itqan reference >docs/commands.md` from the commands themselves; a test compares the two.

`./itqan COMMAND --help` says the same in a terminal. Exit status: 0 as expected, 1 failed, 2 something is
different or missing, 130 interrupted. `shell`, `artisan`, `mysql` and `redis` have that of their program.
Without `--stack`, the stack is the one that `PULUMI_STACK` names, else `staging`.
"""


def reference(parser: argparse.ArgumentParser) -> str:
    """The reference as Markdown."""
    found = list(parsers(parser))
    listed = [
        f"| [`{words}`](#{_anchor(words)}) | {_cell(command.description)} |" for words, command in found
    ]
    index = "\n".join(["| command | |", "|---|---|", *listed])
    return "\n".join([HEAD, index, *(_section(words, command) for words, command in found)])


def _anchor(words: str) -> str:
    return f"itqan-{words}".replace(" ", "-")


def _section(words: str, command: argparse.ArgumentParser) -> str:
    parts = [f"\n## itqan {words}\n", f"{command.description}.\n"]
    if usage := " ".join(_usage(command)):
        parts.append(f"```\n./itqan {words} {usage}\n```\n")
    rows = [f"| {_named(action)} | {_cell(_help(command, action))} |" for action in _shown(command)]
    if rows:
        parts.append("\n".join(["| | |", "|---|---|", *rows, ""]))
    if examples := EXAMPLES.get(words):
        parts.append("\n".join(["```sh", *lines(examples), "```"]))
    return "\n".join(parts)


def _shown(command: argparse.ArgumentParser) -> list[argparse.Action]:
    hidden = (argparse._HelpAction, argparse._SubParsersAction)
    found = [action for action in command._actions if not isinstance(action, hidden)]
    return sorted(found, key=lambda action: bool(action.option_strings))


def _usage(command: argparse.ArgumentParser) -> Iterator[str]:
    """The words of a command line; options first, as nothing can be taken for an argument's value then."""
    for action in sorted(_shown(command), key=lambda action: not action.option_strings):
        if action.option_strings:
            yield f"[{action.option_strings[-1]}{_value(action)}]"
        elif action.nargs == argparse.REMAINDER:
            yield _name(action)
        else:
            forms = {"?": "[{}]", "*": "[{} …]"}
            yield forms.get(str(action.nargs), "{}").format(_name(action))


def _name(action: argparse.Action) -> str:
    if action.choices:
        return "|".join(map(str, action.choices))
    return str(action.metavar or action.dest.upper())


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    return f" [{_name(action)}]" if action.nargs == "?" else f" {_name(action)}"


def _named(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{_name(action)}`".replace("|", "\\|")
    *short, long = action.option_strings
    return ", ".join([*(f"`{word}`" for word in short), f"`{long}{_value(action)}`"])


def _help(command: argparse.ArgumentParser, action: argparse.Action) -> str:
    return (action.help or "") % {**vars(action), "prog": command.prog}


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|")

"""What is typed: examples for every command, shown by --help and in docs/commands.md."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

# By the words of the command: what is typed, and what that does. The tests try each against the parser.
EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "up": (
        ("./itqan up", "the copy `staging`"),
        ("./itqan up --stack prod", "production; shows nothing beforehand, see preview"),
    ),
    "preview": (("./itqan preview --stack prod --diff", "what `up` would change, line by line"),),
    "audit": (
        ("./itqan audit prod", "what on the host is not as written"),
        ("./itqan audit prod --html audit.html", "and as a page"),
    ),
    "health": (
        ("./itqan health prod", "every check, with the command that helps"),
        ("./itqan health prod --line", "one line for a monitoring system"),
        ("./itqan health prod --watch 10", "again every ten seconds"),
    ),
    "fix": (
        ("./itqan fix prod errors-500", "the document's steps, until it is cured"),
        ("./itqan fix prod disk --dry-run", "what is wrong, and what would be done"),
        ("./itqan fix prod queue --retry-failed", "failed jobs once more"),
    ),
    "parity": (("./itqan parity prod staging", "how two hosts differ, and why"),),
    "init": (
        ("./itqan init prod", "asks"),
        (
            "./itqan init prod --host 72.62.92.156 --user root --key ~/.ssh/id_ed25519 --host-key SHA256:…",
            "without a terminal",
        ),
    ),
    "adopt": (
        ("./itqan adopt prod", "stores the secrets of a server that already runs"),
        ("./itqan adopt prod --take", "and its plain values"),
    ),
    "rotate": (("./itqan rotate prod db", "a new password of the database, without an interruption"),),
    "deploy": (
        ("./itqan deploy prod v1.4.2", "a branch, a tag or a commit"),
        ("./itqan deploy prod", "the newest commit of what is configured"),
    ),
    "rollback": (
        ("./itqan rollback prod", "the last good release before the one that runs"),
        ("./itqan rollback prod 8b076e37", "that one"),
    ),
    "releases": (("./itqan releases prod", "what was released, and who was on the server"),),
    "deployment": (
        ("./itqan deployment prod ~/itqan-platform", "into a checkout of the application, to be committed"),
        ("./itqan deployment prod . --check", "for the application's pipeline"),
    ),
    "logs": (
        ("./itqan logs prod app worker -f", "both, merged by time, and what comes"),
        ("./itqan logs prod --since 10m", "everything of the last ten minutes"),
        ("./itqan logs prod app nginx --since 2h --grep 'SQLSTATE|upstream'", "whole entries that match"),
    ),
    "graph": (("./itqan graph prod --svg prod.svg", "a picture that a browser opens"),),
    "report": (("./itqan report prod --html prod.html", "one file, to be sent or kept"),),
    "caught": (
        ("./itqan caught staging", "mail and requests that a copy sent out"),
        ("./itqan caught staging 3", "the third of them, whole"),
    ),
    "shell": (
        ("./itqan shell prod", "as the deploy user, in the application's folder"),
        ("./itqan shell staging -- git log -1", "one command"),
    ),
    "artisan": (
        ("./itqan artisan staging migrate:status", "as the web user"),
        ("./itqan artisan prod queue:retry all", "noted in the log of releases"),
    ),
    "mysql": (
        ("./itqan mysql prod", "the application's database, with its account"),
        ("./itqan mysql staging <file.sql", "statements from a file"),
        ("./itqan mysql prod -e 'SELECT COUNT(*) FROM users'", "one statement"),
    ),
    "redis": (("./itqan redis prod info memory", "one command; without any, a prompt"),),
    "backup": (
        ("./itqan backup prod", "now, beside those of the nights"),
        ("./itqan backup list prod", "what there is, here and at the second place"),
        (
            "./itqan backup verify prod --identity backup.key",
            "the newest one, restored into a copy and compared",
        ),
        ("./itqan backup key prod backup.key", "the key that backups are encrypted to"),
    ),
    "restore": (
        ("./itqan restore prod --identity backup.key", "the newest backup; asks for the database's name"),
        ("./itqan restore prod --into staging", "into a copy; the server is left alone"),
        ("./itqan restore prod --until 2026-11-29T12:30:00Z", "and on, by the binary log"),
    ),
    "down": (("./itqan down --stack staging-mine", "the copy, its network, its state"),),
    "outputs": (("./itqan outputs --json", "for a script"),),
    "env": (('eval "$(./itqan env)"', "then plain `pulumi` works"),),
    "completion": (
        (
            "./itqan completion bash >~/.local/share/bash-completion/completions/itqan",
            "for the next shells",
        ),
        ("./itqan completion zsh >~/.zsh/functions/_itqan", "a folder of $fpath, named before compinit"),
    ),
    "reference": (("./itqan reference >docs/commands.md", "after a command has changed"),),
    "branch": (("./itqan branch list", "the copies that there are"),),
    "branch up": (
        ("./itqan branch up feature/search", "its copy, at the branch's newest commit"),
        ("./itqan branch up feature/search --data prod", "with production's data, anonymous"),
    ),
    "branch down": (("./itqan branch down feature/search", "the copy, with its database"),),
    "branch list": (("./itqan branch list --json", "for a script"),),
    "branch open": (("./itqan branch open feature/search", "the address, and how to trust it"),),
    "branch sweep": (("./itqan branch sweep --dry-run", "only says what would be removed"),),
    "ci": (("./itqan ci smoke prod", "as a pipeline tries a site"),),
    "ci preview": (("./itqan ci preview prod", "as a comment on the pull request"),),
    "ci staging": (("./itqan ci staging --branch feature/search", "without a pull request"),),
    "ci production": (
        ("./itqan ci production prod --tenant school", "up, audit, the site, a tenant's page"),
    ),
    "ci drift": (("./itqan ci drift prod --observer-key key", "with the observer's key alone"),),
    "ci sweep": (("./itqan ci sweep", "as a schedule does"),),
    "ci smoke": (("./itqan ci smoke prod --json", "for a program"),),
    "ci units": (("./itqan ci units prod", "what a pull request is compared by"),),
    "test": (
        ("./itqan test", "everything but soak and parity"),
        ("./itqan test unit -k logs", "a tier, and arguments of pytest"),
    ),
}


def parsers(
    parser: argparse.ArgumentParser, words: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command with its words, in their order, groups before their own commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                path = f"{words} {name}".strip()
                yield path, command
                yield from parsers(command, path)


def illustrate(parser: argparse.ArgumentParser) -> None:
    """Adds its examples to the help of every command."""
    for words, command in parsers(parser):
        if examples := EXAMPLES.get(words):
            command.epilog = "\n".join(["examples:", *lines(examples, "  ")])
            command.formatter_class = argparse.RawDescriptionHelpFormatter


def lines(examples: tuple[tuple[str, str], ...], indent: str = "") -> list[str]:
    """Examples as lines of a shell, with what they do behind them."""
    width = max((len(line) for line, _ in examples if len(line) < 60), default=0)
    return [f"{indent}{line:<{width}}  # {meaning}" for line, meaning in examples]

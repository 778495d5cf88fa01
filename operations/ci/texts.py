"""What all texts of the pipelines have in common: marks, closing lines, and no secret in them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OperationError
from ..paths import HOME
from .context import Context
from .markdown import BODY_LIMIT, SUMMARY_LIMIT, code, fitted, masked

if TYPE_CHECKING:
    from ..engine import Engine

# Whole texts, beyond what a comment may hold; workflows keep the folder as an artifact.
FOLDER = HOME / "ci"


def marker(*words: str) -> str:
    """The hidden first line by which a text of ours is found again."""
    return f"<!-- itqan:{':'.join(words)} -->"


def secrets_of(stack: str, engine: Engine) -> list[str]:
    """Every secret of a stack's configuration; none where it cannot be read, as none is known then."""
    from ..stack import own_configuration

    try:
        return secret_values(stack, own_configuration(stack, engine))
    except OperationError:
        return []


def secret_values(stack: str, config: Mapping[str, object]) -> list[str]:
    """The secrets in a stack's configuration, and those that the copy of a branch derives."""
    from settings import BRANCH_SEED, ROTATION, SECRETS, VARIABLES
    from settings.branches import with_branch

    from ..stack import merged_configuration

    merged = merged_configuration(config)
    if merged.get("branch") and merged.get(BRANCH_SEED):
        merged = {**merged, **with_branch(merged, stack)}
    return [text for name in (*SECRETS, VARIABLES, ROTATION) for text in _words(merged.get(name))]


def _words(value: object) -> list[str]:
    """Every text in a value."""
    if isinstance(value, Mapping):
        return [word for entry in value.values() for word in _words(entry)]
    return [str(value)] if value else []


def publish(
    context: Context, name: str, mark: str, parts: list[str], secrets: list[str], *, comment: bool = True
) -> None:
    """Writes a text as the run's summary, as the pull request's comment and, whole, as a file."""
    shown = [masked(part, secrets) for part in parts if part]
    file = keep(name, "\n\n".join(shown))
    more = f"… and {{}} more parts: file {code(file.name)} among [the run's artifacts]({context.run or '#'})."
    context.summarise(fitted(shown, more, SUMMARY_LIMIT))
    if comment:
        context.comment(mark, "\n".join([mark, fitted(shown, more, BODY_LIMIT - len(mark) - 1)]))


def keep(name: str, text: str) -> Path:
    """Writes a whole text into the folder of artifacts."""
    FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = FOLDER / name
    path.write_text(f"{text}\n", encoding="utf-8")
    return path


def closing(context: Context, *words: str) -> str:
    """The last line: commit, run, time."""
    commit = context.pull_request.commit if context.pull_request else context.commit
    made = [*words, *([f"commit {code(commit[:12])}"] if commit else [])]
    if context.run:
        made.append(f"[the run]({context.run})")
    made.append(time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()))
    return f"<sub>{' · '.join(made)}</sub>"

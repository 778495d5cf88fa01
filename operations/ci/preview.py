"""`./itqan ci preview`: what a pull request would change, as one comment that is changed in place."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..errors import OperationError
from ..machine import ready_engine
from ..paths import LOGS
from ..run import run_preview
from ..stack import Stack, ready_stack
from ..steps import Steps
from .context import Context
from .markdown import block, code, details, table
from .plan import BOTH, DRIFT, PROGRAM, Plan, Planned
from .texts import closing, marker, publish, secrets_of

SIGNS = {"create": "+", "update": "~", "delete": "−", "replace": "±"}
# The engine announces a replacement, and then its two steps.
STEPS_OF_REPLACEMENT = frozenset({"create-replacement", "delete-replaced"})


def preview_pull_request(stack: str, context: Context, steps: Steps) -> None:
    """Previews a stack and tells what was found; differences are no failure.

    A fork's pull request has no secrets: it is compared with its base by the units that both describe.
    Raises OperationError when the preview fails, after that was told too.
    """
    if not may_preview(context):
        from .units import compare_with_base

        compare_with_base(stack, context)
        return
    context.require_backend()
    engine, plan, failed = ready_engine(steps), Plan(), None
    try:
        ready = ready_stack(stack, steps)
        plan, failed = _previewed(ready)
    except OperationError as error:
        plan.record.errors.append(("", str(error)))
        failed = error
    parts = preview_parts(stack, plan, context, failed=failed is not None)
    secrets = secrets_of(stack, engine)
    publish(context, f"preview-{stack}.md", marker("preview", stack), parts, secrets)
    if failed:
        raise failed


def _previewed(stack: Stack) -> tuple[Plan, OperationError | None]:
    """The plan as far as the engine came, and why it came no further."""
    failed = None
    try:
        run_preview(stack, ["--diff"])
    except OperationError as error:
        failed = error
    return Plan.read(LOGS / f"preview-{stack.name}.events"), failed


def may_preview(context: Context) -> bool:
    """Whether this run may have what the encrypted configuration is read with."""
    if context.pull_request is None:
        return True
    given = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")
    return not context.pull_request.is_fork and any(os.environ.get(name) for name in given)


def preview_parts(stack: str, plan: Plan, context: Context, *, failed: bool) -> list[str]:
    """The text: counts, a table, what the run said, then a part for each change of the program."""
    changes = [change for change in plan.planned if change.operation not in STEPS_OF_REPLACEMENT]
    if failed:
        said = [f"{where}: {words}" if where else words for where, words in plan.record.errors]
        head = f"**The preview failed; nothing was touched.**\n\n{block(chr(10).join(said))}"
    else:
        head = _counts(changes, plan.record.unchanged)
    return [
        f"### {code(stack)}: what `up` would change\n\n{head}",
        table(("", "unit", "cause", "what"), [_row(change) for change in changes]),
        _notes(plan.record.notes),
        closing(context),
        *(_part(change) for change in changes if change.cause != DRIFT),
    ]


def _counts(changes: Sequence[Planned], unchanged: int) -> str:
    counts = {cause: sum(change.cause == cause for change in changes) for cause in (PROGRAM, DRIFT, BOTH)}
    words = [
        (counts[PROGRAM], "by the program or its settings"),
        (counts[DRIFT], "because the host is not as it was left (drift, which `up` heals)"),
        (counts[BOTH], "for both reasons"),
    ]
    said = [f"**{count}** {text}" for count, text in words if count]
    if not said:
        return f"**Nothing.** {unchanged} as they are."
    return f"{', '.join(said)}; {unchanged} as they are."


def _row(change: Planned) -> tuple[str, str, str, str]:
    resource = change.resource
    what = [code(name) for name in change.changed]
    if change.operation not in ("update",):
        what = [change.operation]
    if change.note:
        what.append(code(change.note))
    return (
        SIGNS.get(change.operation, "·"),
        code(f"{resource.part} {resource.name}".strip()),
        change.cause,
        ", ".join(what),
    )


def _notes(notes: Sequence[str]) -> str:
    lines = [line for note in notes for line in note.splitlines()]
    return block("\n".join(lines)) if lines else ""


def _part(change: Planned) -> str:
    blocks = [f"{code(name)}\n\n{block(text, 'diff')}" for name, text in change.diffs.items()]
    if not blocks:
        return ""
    return details(f"{change.resource.part} {change.resource.name}".strip(), "\n\n".join(blocks))

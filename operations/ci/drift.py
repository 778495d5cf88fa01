"""`./itqan ci drift`: an audit whose result is one issue: opened, kept up to date, closed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..audit import audit_stack
from ..errors import OperationError
from ..machine import ready_engine
from ..observed import audit_with_key
from ..report import UNOBSERVED, Report
from ..steps import Steps
from .context import Context
from .markdown import BODY_LIMIT, code, fitted, masked
from .reports import audit_parts, failure
from .texts import closing, keep, marker, secrets_of

LABEL = "itqan-drift"
FILE = "drift.md"
# States of a row that are no drift.
IN_ORDER = frozenset({"as expected", UNOBSERVED})


def watch(stack: str, context: Context, steps: Steps, key: Path | None = None) -> bool:
    """Audits a stack and keeps its issue; returns whether the host is as its settings say.

    An open issue is brought up to date, with a comment only when something else differs than before. One
    that was closed is a spell that is over, and stays so: drift that comes later is an issue of its own.
    Arguments: `key`, the observer's: with it alone, and no other secret, the host is compared with what the
    last `up` left there; None: with the settings, as the whole configuration says.
    Raises OperationError when the host cannot be looked at, after the issue says so.
    """
    if key is None:
        context.require_backend()
    try:
        report = audit_with_key(stack, key) if key else audit_stack(stack, steps)
    except OperationError as error:
        parts, digest = ["**The host could not be looked at.**", failure(error)], "unseen"
        _tell(stack, parts, digest, context, steps, has_key=key is not None)
        raise
    if report.failed:
        _tell(stack, audit_parts(report), _digest(report), context, steps, has_key=key is not None)
        return False
    context.summarise(f"{code(report.closing_line())}\n\n{closing(context)}")
    _close(stack, report, context)
    return True


def _digest(report: Report) -> str:
    """What differs, as one word, by which a change of it is noticed."""
    told = [(name, cells) for name, cells in report.rows() if cells[1] not in IN_ORDER]
    return hashlib.sha256(repr((told, report.obstacles)).encode()).hexdigest()[:16]


def _tell(
    stack: str, parts: list[str], digest: str, context: Context, steps: Steps, *, has_key: bool
) -> None:
    # Whoever has the observer's key alone knows no secret that could be masked.
    secrets = [] if has_key else secrets_of(stack, ready_engine(steps))
    shown = [masked(part, secrets) for part in (*parts, closing(context)) if part]
    keep(FILE, "\n\n".join(shown))
    context.summarise("\n\n".join(shown))
    if context.github is None:
        return
    mark, state = marker("drift", stack), f"<!-- {digest} -->"
    more = f"… and {{}} more parts, in [the run's artifacts]({context.run})."
    body = "\n".join([mark, state, fitted(shown, more, BODY_LIMIT - len(mark) - len(state) - 2)])
    found = context.github.find_issue(LABEL, mark)
    if found is None:
        title = f"{stack} is not as its settings say"
        steps.say(f"  opened {context.github.open_issue(LABEL, mark, title, body)}")
        return
    context.github.change_issue(found.number, body=body)
    if state not in found.body:
        said = "Something else differs now than before; the text above is today's."
        context.github.comment(found.number, f"{said} {_run(context)}".strip())
    steps.say(f"  brought {found.url} up to date")


def _close(stack: str, report: Report, context: Context) -> None:
    if context.github is None:
        return
    found = context.github.find_issue(LABEL, marker("drift", stack))
    if found:
        context.github.comment(
            found.number, f"All {len(report.states)} units are as expected again. {_run(context)}".strip()
        )
        context.github.close_issue(found.number)


def _run(context: Context) -> str:
    return f"([run]({context.run}))" if context.run else ""

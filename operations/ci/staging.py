"""`./itqan ci staging`: a copy for a pull request's branch while it is open, and its comment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..audit import audit_stack
from ..errors import OperationError
from ..machine import ready_engine
from ..parity import Comparison, compare_stacks
from ..stack import PRODUCTION
from ..steps import Steps
from .context import Context
from .markdown import code, details, table
from .reports import AUDIT_HEAD, audit_rows, failure, smoke_rows
from .smoke import Smoke, smoke
from .texts import closing, marker, publish, secrets_of

if TYPE_CHECKING:
    from ..report import Report

FILE = "staging.md"
# What components/repository.py says where the application has a repository of its own, without this branch.
NO_BRANCH = "has no such branch"


def follow(branch: str | None, context: Context, steps: Steps, *, compared: bool = True) -> None:
    """Brings the branch's copy up, or takes it down when its pull request was closed; tells how it is.

    Arguments: `branch`, None for that of the pull request; `compared`, whether production is looked at too.
    Raises OperationError when the copy does not come up or its site does not work, after that was told too.
    """
    pull_request = context.pull_request
    if pull_request and pull_request.is_fork:
        context.summarise("No copy: a fork's pull request gets no secrets and no access to the Docker host.")
        return
    name = branch or (pull_request.branch if pull_request else "")
    if not name:
        raise OperationError("no pull request in this run; type: ./itqan ci staging --branch BRANCH")
    context.require_backend()
    if pull_request and pull_request.is_closed:
        _take_down(name, context, steps)
    else:
        _bring_up(name, context, steps, compared)


def _take_down(branch: str, context: Context, steps: Steps) -> None:
    from ..branch import take_branch_down

    try:
        take_branch_down(branch, steps)
    except OperationError as error:
        said = [f"**The copy could not be removed.** `./itqan ci sweep` tries again.\n\n{failure(error)}"]
        _tell(branch, said, [], context)
        raise
    _tell(branch, ["The pull request is closed; **nothing of the copy is left**."], [], context)


def _bring_up(branch: str, context: Context, steps: Steps, compared: bool) -> None:
    from ..branch import branch_stack, bring_up
    from ..summary import lead_browsers_to

    stack = branch_stack(branch)
    try:
        _, record = bring_up(branch, steps)
        lead_browsers_to(stack, record.outputs, steps)
        tried = smoke(stack, steps)
        seen = _compared(stack, steps) if compared else audit_stack(stack, steps)
    except OperationError as error:
        if NO_BRANCH in str(error):
            said = "No copy: the application's repository has no branch of that name."
            _tell(branch, [said], [], context)
            return
        secrets = secrets_of(stack, ready_engine(steps))
        _tell(branch, [f"**The copy did not come up.**\n\n{failure(error)}"], secrets, context)
        raise
    secrets = secrets_of(stack, ready_engine(steps))
    context.output("url", str(record.outputs["url"]))
    places = [
        ("address", f"<{record.outputs['url']}>"),
        ("commit", code(str(record.outputs["release"]))),
        ("stack", code(stack)),
        ("site", f"{len(tried.checks) - len(tried.failed)} of {len(tried.checks)} smoke tests passed"),
        ("host", _in_words(seen)),
    ]
    _tell(branch, [table(("", ""), places), *_more(tried, seen)], secrets, context)
    if tried.failed:
        raise OperationError(f"{tried.closing_line()}: {'; '.join(c.name for c in tried.failed)}")


def _compared(stack: str, steps: Steps) -> Comparison | Report:
    """The copy beside production; by itself where production cannot be looked at from here."""
    try:
        return compare_stacks(PRODUCTION, stack, steps)
    except OperationError as error:
        steps.say(f"  {PRODUCTION} cannot be compared with: {error}")
        return audit_stack(stack, steps)


def _in_words(seen: Comparison | Report) -> str:
    if isinstance(seen, Comparison):
        counts = ", ".join(f"{count} {name}" for name, count in seen.counts.items())
        return f"parity with {code(PRODUCTION)}: {counts}"
    units = f"{len(seen.states)} units, {seen.differing or 'none'} not as expected"
    return f"audit of the copy alone: {units}"


def _more(tried: Smoke, seen: Comparison | Report) -> list[str]:
    made = [details("smoke tests", table(("", "check", "found"), smoke_rows(tried)))]
    rows: Sequence[Sequence[str]]
    if isinstance(seen, Comparison):
        head: tuple[str, ...] = ("unit", "class", *map(code, seen.stacks), "why")
        rows = [
            (code(row.name), row.state, *map(code, row.cells), code(row.why))
            for row in seen.rows
            if row.state != "same"
        ]
    else:
        head, rows = AUDIT_HEAD, audit_rows(seen)
    return [*made, details("differences", table(head, rows))] if rows else made


def _tell(branch: str, parts: Sequence[str], secrets: list[str], context: Context) -> None:
    said = [f"### A copy of {code(branch)}", *parts, closing(context)]
    publish(context, FILE, marker("staging"), said, secrets)

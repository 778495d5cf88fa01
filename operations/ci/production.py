"""`./itqan ci production`: brings production up, then looks whether it is as written and whether it works."""

from __future__ import annotations

from collections.abc import Callable

from ..audit import audit_stack
from ..errors import OperationError
from ..machine import ready_engine
from ..run import run_up
from ..stack import ready_stack
from ..steps import Steps
from ..summary import write_root_certificate
from .context import Context
from .markdown import code, table
from .reports import MARKS, audit_parts, failure, smoke_rows
from .smoke import smoke
from .texts import closing, marker, publish, secrets_of

# Of a stage: its text, and in a few words why it is not well.
Outcome = tuple[str, str]


def release(stack: str, context: Context, steps: Steps, tenant: str | None = None) -> None:
    """Up, audit, smoke tests: all three whatever comes of the first, as they say whether visitors notice.

    Raises OperationError, once the summary is written, when one of them is not well.
    """
    context.require_backend()
    stages: list[tuple[str, Callable[[], Outcome]]] = [
        ("up", lambda: _up(stack, steps)),
        ("audit", lambda: _audit(stack, steps)),
        ("smoke tests", lambda: _smoke(stack, steps, tenant)),
    ]
    outcomes = [(name, *_outcome(run)) for name, run in stages]
    failures = [f"{name}: {reason}" for name, _, reason in outcomes if reason]
    parts = [
        f"### {code(stack)} {'is not well' if failures else 'is up and well'}",
        *(f"#### {MARKS[not reason]} {name}\n\n{text}" for name, text, reason in outcomes),
        closing(context),
    ]
    secrets = secrets_of(stack, ready_engine(steps))
    publish(context, f"{stack}.md", marker(stack), parts, secrets, comment=False)
    if failures:
        raise OperationError("\n  ".join([f"stack {stack} is not well:", *failures]))


def _outcome(run: Callable[[], Outcome]) -> Outcome:
    try:
        return run()
    except OperationError as error:
        return failure(error), str(error).partition("\n")[0]


def _up(stack: str, steps: Steps) -> Outcome:
    record = run_up(ready_stack(stack, steps))
    write_root_certificate(stack, record.outputs)
    rows = [
        (change.operation, code(f"{change.resource.part} {change.resource.name}"), f"{change.seconds:.1f} s")
        for change in record.changes
    ]
    head = f"{record.changed or 'nothing'} changed, {record.unchanged} as they were: {record.outputs['url']}"
    return "\n\n".join([head, table(("", "unit", "time"), rows)]).strip(), ""


def _audit(stack: str, steps: Steps) -> Outcome:
    report = audit_stack(stack, steps)
    return "\n\n".join(part for part in audit_parts(report) if part), (
        report.closing_line() if report.failed else ""
    )


def _smoke(stack: str, steps: Steps, tenant: str | None) -> Outcome:
    tried = smoke(stack, steps, tenant)
    failed = "; ".join(f"{check.name}: {check.found}" for check in tried.failed)
    return table(("", "check", "found"), smoke_rows(tried)), failed

"""`./itqan ci sweep`: copies whose branch is gone or whose time is over, and what interrupted runs left."""

from __future__ import annotations

from ..errors import OperationError
from ..steps import Steps
from .context import Context
from .markdown import block, code, table


def sweep(context: Context, steps: Steps) -> None:
    """Removes what is to go, and says so in the run's summary.

    Raises OperationError when something could not be removed, after the rest was.
    """
    from ..sweep import carry_out, look

    context.require_backend()
    found = look(steps)
    failed = carry_out(found, steps)
    rows = [(code(removal.what), code(removal.why)) for removal in found.removals]
    parts = [
        f"### Copies of branches: {len(rows) or 'nothing'} to sweep",
        table(("removed", "why"), rows),
        *([f"Left alone:\n\n{block(chr(10).join(found.left))}"] if found.left else []),
        *([f"**Not removed:**\n\n{block(chr(10).join(failed))}"] if failed else []),
    ]
    context.summarise("\n\n".join(part for part in parts if part))
    if failed:
        raise OperationError("\n  ".join(["not everything could be removed:", *failed]))

"""`report`: all that is known of a stack: health, units, parity, releases, backups, findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .audit import audit_stack
from .errors import OperationError
from .health import Health, look_at, stack_settings
from .parity import Comparison, compare_stacks
from .releases import Releases, Session, releases_of
from .report import Report
from .stack import PRODUCTION, STAGING
from .steps import Steps

VISITS = 20  # the newest sessions


@dataclass(frozen=True)
class Whole:
    """What was found.

    other     the stack that it was compared with
    parity    None: it could not be compared
    compared  how the two are alike, or why they could not be compared, in words
    """

    health: Health
    audit: Report
    other: str
    parity: Comparison | None
    compared: str
    releases: Releases

    @property
    def failed(self) -> bool:
        """Whether anything is not good, or not as written; parity has a command of its own."""
        return self.health.failed or self.audit.failed

    @property
    def sessions(self) -> Sequence[Session]:
        """The newest, the newest first."""
        return list(reversed(self.releases.sessions[-VISITS:]))


def whole_of(name: str, other: str | None, steps: Steps) -> Whole:
    """Looks at a stack from every side; changes nothing.

    Arguments: `other`, what it is compared with; None: production, or for that `staging`, if it can be.
    Raises ConfigurationError for a wrong configuration, OperationError for a host that cannot be looked at.
    """
    beside = other or (STAGING if name == PRODUCTION else PRODUCTION)
    audit = audit_stack(name, steps)
    health = look_at(*stack_settings(name, steps))
    parity, compared = None, ""
    try:
        parity = compare_stacks(name, beside, steps)
        compared = parity.closing_line()
    except OperationError as error:
        if other:
            raise
        compared = f"not compared: {error}"
    return Whole(health, audit, beside, parity, compared, releases_of(name, steps))

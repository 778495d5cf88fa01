"""Health: what makes a stack work, check by check; pure judgements of what the host and others printed."""

from __future__ import annotations

from .checks import checks, judged, probes
from .model import Check, Drift, Result, Seen, State, Verdict

__all__ = ["Check", "Drift", "Result", "Seen", "State", "Verdict", "checks", "judged", "probes"]

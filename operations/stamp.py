"""Notes of what was prepared, valid while nothing that it was made from has changed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from .paths import HOME

# Variables of the user's environment that decide how the machine is prepared.
VARIABLES = ("PATH", "DOCKER_HOST", "PULUMI_BACKEND_URL", "PULUMI_HOME", "PULUMI_CONFIG_PASSPHRASE_FILE")
# Only whether it is set counts: a digest of it would help someone who guesses.
SECRET_VARIABLE = "PULUMI_CONFIG_PASSPHRASE"


class Stamp:
    """A note in `.itqan/stamps` with named facts, and the digest of the files and variables behind them."""

    def __init__(self, name: str, sources: Iterable[Path]) -> None:
        self._path = HOME / "stamps" / f"{name}.json"
        self._digest = _digest(sources)

    def read(self) -> dict[str, str] | None:
        """The facts, or None when there are none or their sources have changed."""
        try:
            note = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return note["facts"] if note.get("digest") == self._digest else None

    def write(self, facts: Mapping[str, str]) -> None:
        """Notes the facts. The sources are read anew by the next run, so write last."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps({"digest": self._digest, "facts": dict(facts)}))
        partial.replace(self._path)

    def remove(self) -> None:
        """Forgets the facts."""
        self._path.unlink(missing_ok=True)


def _digest(sources: Iterable[Path]) -> str:
    digest = hashlib.sha256(str(SECRET_VARIABLE in os.environ).encode())
    for name in VARIABLES:
        digest.update(f"{name}={os.environ.get(name)}\0".encode())
    for path in sorted(sources):
        digest.update(f"{path}\0".encode())
        digest.update(path.read_bytes() if path.exists() else b"\0absent")
    return digest.hexdigest()

"""The Pulumi command line: calls of it, and their failures as errors of ours."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import EngineError, NoSuchStack
from .paths import ROOT

NO_STACK = "no stack named"
WRONG_PASSPHRASE = "incorrect passphrase"
PASSPHRASE_HINT = (
    "\n  Pulumi.<stack>.yaml was encrypted with another passphrase; put that one into .itqan/passphrase,"
    "\n  or take `encryptionsalt` and every `secure:` value out of the file to have new secrets made"
)


@dataclass(frozen=True)
class Engine:
    """A `pulumi` executable and the variables that it needs beyond this process's environment."""

    path: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of a call."""
        search = f"{self.path.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return {**os.environ, **self.variables, "PATH": search}

    def call(self, *arguments: str, stdin: str = "", directory: Path = ROOT) -> str:
        """Standard output of `pulumi ARGUMENTS`, run in a project's folder.

        Raises EngineError with its own words when it fails, NoSuchStack when it does not know the stack.
        """
        result = subprocess.run(
            [self.path, *arguments, "--non-interactive"],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=directory,
            env=self.environment,
            check=False,
        )
        if result.returncode:
            words = _words(result.stderr or result.stdout)
            hint = PASSPHRASE_HINT if WRONG_PASSPHRASE in words else ""
            kind = NoSuchStack if NO_STACK in words else EngineError
            raise kind(f"pulumi {' '.join(arguments[:2])}: {words}{hint}")
        return result.stdout


def _words(output: str) -> str:
    return "\n".join(line.removeprefix("error: ") for line in output.strip().splitlines())

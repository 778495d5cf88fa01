"""The shell library, run by a local bash."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from components.render import LIBRARY, text
from tests.fakes.release_host import Tool, make_tool

Bash = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def me() -> str:
    """owner:group of the files that this process makes."""
    return f"{pwd.getpwuid(os.geteuid()).pw_name}:{grp.getgrgid(os.getegid()).gr_name}"


@pytest.fixture
def bash(tmp_path: Path) -> Bash:
    """A function: run lines of bash after the library, in a folder of its own, what it keeps included."""
    library = "\n".join(text(part) for part in LIBRARY)
    for kept, own in (("/var/backups/itqan", "aside"), ("/etc/itqan/loading-", "loading-")):
        library = library.replace(kept, f"{tmp_path}/{own}")

    def run(program: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        script = tmp_path.with_name(f"{tmp_path.name}.sh")  # an argument may not be that long
        script.write_text(f"set -euo pipefail\n{library}\n{program}")
        return subprocess.run(
            ["bash", script],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            cwd=tmp_path,
            env={**os.environ, "LC_ALL": "C.UTF-8", **environment},
        )

    return run


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    """A function: run itqan-release with its configuration, lock and application in a folder of its own."""
    return make_tool(tmp_path)

"""A browser for the tests of the HTML report: the one of this machine, or on Debian one that is installed."""

from __future__ import annotations

import platform
import shutil
import subprocess

from ..errors import PreparationError
from ..steps import Steps
from .machine import is_root, require_program

# As distributions and Google name it, Debian's first.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Chromium only recommends fonts; without any it draws no text.
PACKAGES = ("chromium", "fonts-liberation")
PURPOSE = "the tests look at the HTML report in it"
# Seconds that a browser gets to say its version; its first start reads much from the disk.
PATIENCE = 60


def find_browser() -> str | None:
    """Path of a Chromium or Chrome that starts, or None."""
    return next((path for name in NAMES if (path := shutil.which(name)) and _starts(path)), None)


def require_browser(steps: Steps) -> str:
    """Path of a Chromium or Chrome that starts; installs Debian's when there is none and this is root.

    Raises PreparationError that says what to type when none can be had.
    """
    if path := find_browser():
        return path
    if _is_ubuntu():
        # Ubuntu's package `chromium-browser` is a pointer to the snap, and there is no other.
        line = "snap install chromium" if is_root() else "sudo snap install chromium"
        raise PreparationError(
            f"a browser is missing ({PURPOSE}), looked for {', '.join(NAMES)}; "
            f"Ubuntu has Chromium as a snap only; type: {line}"
        )
    path = require_program(steps, "chromium", PACKAGES, PURPOSE)
    if not _starts(path):
        raise PreparationError(f"{path} does not start ({PURPOSE}); type: {path} --version")
    return path


def _starts(path: str) -> bool:
    """Whether the program says its version, which a pointer to a snap that is not there does not."""
    try:
        asked = subprocess.run([path, "--version"], capture_output=True, check=False, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def _is_ubuntu() -> bool:
    try:
        return platform.freedesktop_os_release().get("ID") == "ubuntu"
    except OSError:
        return False

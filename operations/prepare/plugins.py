"""The plugins: Pulumi's own if they can be downloaded, else those of tools/plugins under the same names."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ..paths import PLUGINS, PYTHON
from ..steps import Steps
from .machine import reaches_download_site

# Seconds that the download of one plugin may take.
DOWNLOAD_LIMIT = 300
RESOURCE_PLUGINS = ("command", "docker")
# What _write_wrapper writes, and the bytes that it can have: two paths, and little else.
WRAPPER = re.compile(rb'#!/bin/sh\nexec "([^"]+)" -E -s "([^"]+)" "\$@"\n')
LONGEST_WRAPPER = 8192 + 64


def ensure_plugins(steps: Steps, engine: Path, environment: Mapping[str, str]) -> None:
    """Puts missing resource plugins into Pulumi's home, and a missing language host beside the engine."""
    cache = Path(environment["PULUMI_HOME"]) / "plugins"
    missing = [name for name in RESOURCE_PLUGINS if not _runs(_executable(cache, name))]
    reachable = bool(missing) and reaches_download_site()
    for name in missing:
        if not (reachable and _download(steps, engine, name, environment)):
            steps.say(f"▸ Using tools/plugins for {name} (Pulumi's own plugin cannot be downloaded here)")
            _write_wrapper(_executable(cache, name), PLUGINS / name / "plugin.py")
    language_host = engine.resolve().parent / "pulumi-language-python"
    if not _runs(language_host):
        steps.say("▸ Using tools/plugins for the Python language host (the engine came without one)")
        _write_wrapper(language_host, PLUGINS / "language" / "plugin.py")


def _executable(cache: Path, name: str) -> Path:
    """Where the engine looks for a resource plugin of the version that the Python package asks for."""
    return cache / f"resource-{name}-v{_version(name)}" / f"pulumi-resource-{name}"


def _version(name: str) -> str:
    return importlib.metadata.version(f"pulumi-{name}")


def _download(steps: Steps, engine: Path, name: str, environment: Mapping[str, str]) -> bool:
    command = [str(engine), "plugin", "install", "resource", name, _version(name)]
    with steps.step(f"plugin {name}", f"Installing Pulumi's plugin {name} {_version(name)}"):
        try:
            return (
                subprocess.run(
                    command, env=dict(environment), capture_output=True, check=False, timeout=DOWNLOAD_LIMIT
                ).returncode
                == 0
            )
        except subprocess.TimeoutExpired:
            return False


def _runs(path: Path) -> bool:
    """Whether an executable is there; a wrapper of a checkout that has been moved or removed is not."""
    if not path.exists():
        return False
    wrapper = WRAPPER.fullmatch(path.read_bytes()[:LONGEST_WRAPPER])
    return wrapper is None or all(Path(name.decode()).exists() for name in wrapper.groups())


def _write_wrapper(path: Path, program: Path) -> None:
    """An executable that runs a plugin of this project under the name that the engine looks for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nexec "{PYTHON}" -E -s "{program}" "$@"\n')
    path.chmod(0o755)

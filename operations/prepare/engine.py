"""The Pulumi engine: the one on PATH if it fits, else Pulumi's installer, else a build from tools/engine."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
from pathlib import Path

from ..errors import PreparationError
from ..paths import ENGINE, ROOT
from ..steps import Steps
from .machine import reaches_download_site

GO_MODULE = ROOT / "tools" / "engine"
GO_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
# From this minor version on, Go fetches the version that go.mod names.
OLDEST_GO = 21
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"


def find_engine(steps: Steps) -> Path:
    """Path of a `pulumi` that fits the Python package `pulumi` of this project; gets one if there is none.

    Raises PreparationError when none can be had.
    """
    wanted = importlib.metadata.version("pulumi")
    own = ENGINE / "bin" / "pulumi"
    for candidate in (shutil.which("pulumi"), own):
        if candidate and fits(version_of(Path(candidate)), wanted):
            steps.say(f"  engine: {candidate}, {version_of(Path(candidate))}")
            return Path(candidate)
    if reaches_download_site():
        _install(steps, wanted)
    else:
        _build(steps, own)
    return own


def version_of(engine: Path) -> str:
    """What `pulumi version` says, without the leading v; empty when it does not run."""
    try:
        answer = subprocess.run([engine, "version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return answer.stdout.strip().removeprefix("v")


def fits(found: str, wanted: str) -> bool:
    """Whether an engine `found` serves a program of version `wanted`: same major version, not older."""
    numbers = [re.match(r"(\d+)\.(\d+)\.(\d+)", version) for version in (found, wanted)]
    if not (numbers[0] and numbers[1]):
        return False
    have, need = (tuple(int(part) for part in number.groups()) for number in numbers if number)
    return have[0] == need[0] and have >= need


def _install(steps: Steps, version: str) -> None:
    """Pulumi's own installer, through the Automation API."""
    from pulumi.automation import PulumiCommand
    from semver import VersionInfo

    with steps.step("engine", f"Installing the Pulumi engine {version} into {ENGINE}"):
        try:
            PulumiCommand.install(root=str(ENGINE), version=VersionInfo.parse(version))
        except (OSError, subprocess.CalledProcessError) as error:
            raise PreparationError(
                f"Pulumi's installer failed: {error}; install pulumi {version} by hand"
            ) from error


def _build(steps: Steps, target: Path) -> None:
    """The engine from its source, as pinned by tools/engine/go.sum."""
    go = find_go()
    version = (GO_MODULE / "go.mod").read_text().partition("github.com/pulumi/pulumi/pkg/v3 ")[2].split()[0]
    linking = f"-s -w -X {VERSION_VARIABLE}={version}"
    target.parent.mkdir(parents=True, exist_ok=True)
    steps.run(
        "engine",
        f"Building the Pulumi engine {version} from tools/engine, about 5 minutes on 2 cores "
        "(Pulumi's download site does not answer)",
        [go, "build", "-v", "-trimpath", "-ldflags", linking, "-o", str(target), GO_PACKAGE],
        environment={**os.environ, "GOTOOLCHAIN": "auto", "GOFLAGS": "-mod=readonly"},
        directory=GO_MODULE,
    )


def find_go() -> str:
    """Path of a Go that can fetch the toolchain that go.mod names by itself."""
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go", "/usr/lib/go/bin/go"):
        if candidate and Path(candidate).exists() and _go_minor(candidate) >= OLDEST_GO:
            return candidate
    raise PreparationError(
        "there is no Pulumi engine on PATH, its download site does not answer, and there is no "
        f"Go >= 1.{OLDEST_GO} to build it with; install Go (https://go.dev/dl) and repeat the command"
    )


def _go_minor(go: str) -> int:
    answer = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False, cwd="/")
    number = re.match(r"go1\.(\d+)", answer.stdout)
    return int(number[1]) if number else 0

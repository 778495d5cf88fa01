"""The base image of a copy: Ubuntu 22.04 as in production, else Debian 13 from the machine's own archive."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from ..daemon import Daemon
from ..errors import PreparationError
from ..labels import PROJECT_LABEL
from ..paths import HOME
from ..steps import Steps
from .machine import has_apt, require_program

SUITE = "trixie"


@dataclass(frozen=True)
class Base:
    """A base image, the platform (files/platforms) that describes it, and the image of the registrar."""

    image: str
    platform: str
    registrar_image: str


UBUNTU = Base("ubuntu:22.04", "ubuntu-22.04", "debian:13-slim")
DEBIAN = Base("itqan-base:debian-13", "debian-13", "itqan-base:debian-13")
ANOTHER = "name an image that Docker has: pulumi config set --path itqan:staging.image IMAGE"


def ensure_image(steps: Steps, daemon: Daemon, image: str) -> None:
    """Sees to it that Docker has the configured image. Raises PreparationError if it cannot be had."""
    if daemon.has_image(image):
        return
    if image == DEBIAN.image:
        _bootstrap_debian(steps, daemon)
        return
    with steps.step("image", f"Pulling {image}"):
        if not daemon.pull(image):
            raise PreparationError(
                f"itqan:staging.image: {image}: Docker neither has it nor can pull it; {ANOTHER}"
            )


def choose_base(steps: Steps, daemon: Daemon, platform: str | None) -> Base:
    """A base image that Docker has, after pulling or making it; of `platform` if that is given.

    Raises PreparationError when none can be had.
    """
    if platform not in (None, UBUNTU.platform, DEBIAN.platform):
        raise PreparationError(f"itqan:platform: {platform}: no base image is known for it; {ANOTHER}")
    if platform != DEBIAN.platform:
        if daemon.has_image(UBUNTU.image):
            return UBUNTU
        with steps.step("image", f"Pulling {UBUNTU.image}"):
            if daemon.pull(UBUNTU.image):
                return UBUNTU
        steps.say(f"  {UBUNTU.image} cannot be pulled here")
        if platform == UBUNTU.platform:
            raise PreparationError(f"itqan:platform: {platform}: {UBUNTU.image} cannot be pulled; {ANOTHER}")
    if not daemon.has_image(DEBIAN.image):
        _bootstrap_debian(steps, daemon)
    return DEBIAN


def _bootstrap_debian(steps: Steps, daemon: Daemon) -> None:
    """Debian 13 from the archive that this machine's apt uses, as an image."""
    mmdebstrap = require_program(steps, "mmdebstrap", ("mmdebstrap",), "makes the base image")
    archive = HOME / "base.tar"
    steps.run(
        "image",
        f"Making {DEBIAN.image} from this machine's Debian archive (mmdebstrap), about 20 seconds",
        [mmdebstrap, "--variant=minbase", "--include=ca-certificates", *_proxy(), SUITE, str(archive), "-"],
        stdin=_sources(),
    )
    with steps.step("image", f"Importing {DEBIAN.image} into Docker"):
        daemon.import_image(archive, DEBIAN.image, PROJECT_LABEL)
    archive.unlink()


def _sources() -> str:
    """Lines of a sources.list for SUITE, with the archives that this machine's apt uses for its own release.

    Raises PreparationError when apt knows no Debian archive.
    """
    archives = {label: uri for label, uri in map(_label_and_uri, _apt_indexes()) if label}
    if "Debian" not in archives:
        raise PreparationError(
            f"{UBUNTU.image} cannot be pulled, and this machine's apt has no Debian archive "
            f"to make an image from; {ANOTHER}"
        )
    lines = [f"deb {archives['Debian']} {suite} main" for suite in (SUITE, f"{SUITE}-updates")]
    if security := archives.get("Debian-Security"):
        lines.append(f"deb {security} {SUITE}-security main")
    return "\n".join(lines) + "\n"


def _apt_indexes() -> list[str]:
    if not has_apt():
        return []
    command = ["apt-get", "indextargets", "--format", "$(LABEL)|$(REPO_URI)", "Created-By: Packages"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def _label_and_uri(line: str) -> tuple[str, str]:
    label, _, uri = line.partition("|")
    return label, uri


def _proxy() -> list[str]:
    """apt's proxy, if this machine needs one: the image needs it too."""
    command = ["apt-config", "shell", "PROXY", "Acquire::http::Proxy"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    proxy = answer.strip().removeprefix("PROXY=").strip("'")
    return [f'--aptopt=Acquire::http::Proxy "{proxy}"'] if proxy else []

"""Archives of packages, and bare hosts that use them."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from components import packages
from components.host import runner_script
from components.platform import Platform
from components.unit import CONVERGE, Unit
from settings import Settings

from .archive import KEYS, Archive
from .contents import DOCUMENTED, FOREIGN, UBUNTU
from .host import Host

HERE = Path(__file__).resolve().parent
BASE = os.environ.get("ITQAN_TEST_BASE", "itqan-base:debian-13")
PREFIX = f"itqan-archive-{os.getpid()}"
KEYRING = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"

Units = Callable[..., dict[str, Unit]]


def docker(*words: str, stdin: str = "") -> str:
    """Standard output of the Docker client."""
    done = subprocess.run(["docker", *words], input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    """The image of a bare host."""
    docker("build", "-q", "-t", PREFIX, "--build-arg", f"BASE={BASE}", str(HERE))
    yield PREFIX
    docker("rmi", PREFIX)


@pytest.fixture(scope="session")
def archives(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """The archives, served on this machine's address in Docker's default network."""
    folder = tmp_path_factory.mktemp("archive")
    workshop = f"{PREFIX}-workshop"
    docker("run", "-d", "--name", workshop, "-v", f"{folder}:/work", image)
    try:
        # of a container: a daemon that has just made its network does not show the gateway there
        gateway = docker("inspect", workshop, "-f", "{{.NetworkSettings.Networks.bridge.Gateway}}")
        archive = Archive(workshop, folder, gateway)
        yield archive
        archive.close()
    finally:
        docker("rm", "-f", workshop)


@pytest.fixture
def archive(archives: Archive) -> Iterator[Archive]:
    """The archives with what the document names, and foreign versions beside it; healthy afterwards."""
    archives.publish(DOCUMENTED, FOREIGN)
    yield archives
    archives.broken.clear()
    archives.replaced.clear()


@pytest.fixture
def host(archive: Archive, image: str, numbers: Iterator[int]) -> Iterator[Host]:
    """A bare host, as a provider hands it over: Ubuntu's own archive, nothing of ours but the runner."""
    with started(image, numbers) as host:
        furnish(host, archive)
        yield host


@pytest.fixture
def ready(archive: Archive, ready_image: str, numbers: Iterator[int]) -> Iterator[Host]:
    """A host that the stack has brought to the document's software."""
    with started(ready_image, numbers) as host:
        assert archive.base in host.bash("cat /etc/apt/sources.list")
        yield host


@pytest.fixture(scope="session")
def ready_image(archives: Archive, units: Units, image: str, numbers: Iterator[int]) -> Iterator[str]:
    """The image of such a host."""
    archives.publish(DOCUMENTED, FOREIGN)
    name = f"{PREFIX}-ready"
    with started(image, numbers) as host:
        furnish(host, archives)
        host.converge(*units().values())
        docker("commit", host.name, name)
    yield name
    docker("rmi", name)


@contextmanager
def started(image: str, numbers: Iterator[int]) -> Iterator[Host]:
    """A container of the image for as long as it is needed."""
    name = f"{PREFIX}-{next(numbers)}"
    docker("run", "-d", "--name", name, image)
    try:
        yield Host(name)
    finally:
        docker("rm", "-f", name)


def furnish(host: Host, archive: Archive) -> None:
    """Ubuntu's archive, trust in our server's certificate, and the runner."""
    host.bash(f"install -m 755 /dev/stdin {CONVERGE}", stdin=runner_script())
    host.bash("cat >>/etc/ssl/certs/ca-certificates.crt", stdin=archive.authority.decode())
    host.bash(f"gpg --dearmor >{KEYRING}", stdin=archive.key(KEYS[UBUNTU]).decode())
    line = f"deb [signed-by={KEYRING}] {archive.base}{UBUNTU} jammy main universe\n"
    host.bash("cat >/etc/apt/sources.list", stdin=line)


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    """Numbers for names."""
    return itertools.count(1)


@pytest.fixture(scope="session")
def units(prod: Settings, ubuntu: Platform, archives: Archive) -> Units:
    """A function: the package units by name; of production, unless other settings are given."""

    def make(settings: Settings = prod) -> dict[str, Unit]:
        return {unit.name: unit for unit in packages.units(settings, archives.stand_in(ubuntu))}

    return make

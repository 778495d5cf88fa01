"""What the suite runs against: an SSH server in a container, a Docker daemon, and the plugins' commands."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException, ImageNotFound

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BASE = os.environ.get("ITQAN_TEST_BASE", "itqan-base:debian-13")
NAME = f"itqan-conformance-sshd-{os.getpid()}"
START_DEADLINE = 20.0  # seconds until sshd answers
POLL = 0.05  # seconds between two looks


@pytest.fixture(scope="session")
def docker_client() -> Iterator[Any]:
    """A client of the Docker daemon, which has the base image."""
    try:
        client = docker.from_env()
        client.images.get(BASE)
    except ImageNotFound:
        pytest.fail(f"Docker has no image {BASE}; `./itqan up` makes it, or name another: ITQAN_TEST_BASE=…")
    except DockerException as error:
        pytest.fail(f"no Docker daemon: {error}; `./itqan up` installs and starts one")
    yield client
    client.close()


@pytest.fixture(scope="session")
def plain_image(docker_client: Any) -> Iterator[str]:
    """The files of the base image as an image without its labels, which containers would inherit."""
    name = f"itqan-conformance-plain-{os.getpid()}"
    container = docker_client.containers.create(BASE, ["true"])
    try:
        docker_client.api.import_image_from_stream(container.export(), repository=name)
    finally:
        container.remove(v=True)
    yield name
    docker_client.images.remove(name)


@pytest.fixture(scope="session")
def ssh_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new private key."""
    path = tmp_path_factory.mktemp("ssh") / "key"
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "conformance", "-f", str(path)]
    subprocess.run(words, check=True)
    return path


@pytest.fixture(scope="session")
def sshd_container(docker_client: Any, ssh_key: Path) -> Iterator[Any]:
    """A container with a running SSH server that lets the key in as user conf."""
    docker_client.images.build(path=str(HERE / "sshd"), tag=NAME, buildargs={"BASE": BASE}, rm=True)
    environment = {"PUBLIC_KEY": ssh_key.with_suffix(".pub").read_text().strip()}
    container = docker_client.containers.run(NAME, name=NAME, detach=True, environment=environment)
    try:
        container.reload()
        wait_for_ssh(container.attrs["NetworkSettings"]["IPAddress"], 22)
        yield container
    finally:
        container.remove(force=True, v=True)
        docker_client.images.remove(NAME)


@pytest.fixture(scope="session")
def sshd(sshd_container: Any) -> str:
    """The address of that SSH server."""
    return str(sshd_container.attrs["NetworkSettings"]["IPAddress"])


def wait_for_ssh(address: str, port: int) -> None:
    """Wait until an SSH server answers."""
    deadline = time.monotonic() + START_DEADLINE
    while True:
        try:
            with socket.create_connection((address, port), timeout=1) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(POLL)


@pytest.fixture(scope="session")
def free_subnet(docker_client: Any) -> str:
    """The first three numbers of a /24 that no Docker network uses."""
    used = [
        IPv4Network(config["Subnet"])
        for network in docker_client.networks.list()
        for config in network.attrs["IPAM"]["Config"] or []
        if "." in config.get("Subnet", "")
    ]
    candidates = (IPv4Network(f"172.30.{third}.0/24") for third in range(66, 256))
    free = next(found for found in candidates if not any(found.overlaps(other) for other in used))
    return str(free.network_address).removesuffix(".0")


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An executable for each plugin, as the engine would start it."""
    folder = tmp_path_factory.mktemp("plugins")
    return {
        name: _executable(folder / name, ROOT / "tools" / "plugins" / name / "plugin.py")
        for name in ("command", "docker")
    }


def _executable(path: Path, entry: Path) -> str:
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{entry}" "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)

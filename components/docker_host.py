"""The Docker host of a copy, when it is not this machine: how ssh logs in, the provider of its resources."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pulumi
import pulumi_docker as docker

from settings import DockerHost, Settings

# Relative, as ssh is started in the project's folder: the state then does not depend on where that is.
FOLDER = Path(".itqan/docker")
KEY, KNOWN_HOSTS = FOLDER / "key", FOLDER / "known_hosts"
# Only what the settings say counts: neither the person's own ssh configuration nor their keys.
SSH_OPTIONS = (
    *("-F", "/dev/null", "-i", str(KEY)),
    *("-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes"),
    *("-o", f"UserKnownHostsFile={KNOWN_HOSTS}", "-o", "GlobalKnownHostsFile=/dev/null"),
    *("-o", "StrictHostKeyChecking=yes", "-o", "UpdateHostKeys=no"),
    *("-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=15"),
)


def known_hosts(hosts: Sequence[DockerHost]) -> str:
    """The pinned keys as ssh reads them (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT")."""
    names = (host.name if host.port == 22 else f"[{host.name}]:{host.port}" for host in hosts)
    return "".join(f"{name} {host.host_key}\n" for name, host in zip(names, hosts, strict=True))


def write_login(hosts: Sequence[DockerHost], private_key: str, root: Path) -> None:
    """What ssh logs in with, as files below the project's folder `root` that only their owner may read."""
    (root / FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
    for path, text in ((KEY, private_key), (KNOWN_HOSTS, known_hosts(hosts))):
        _write(root / path, text)


def _write(path: Path, text: str) -> None:
    """In one rename, as another run may be reading it."""
    if path.exists() and path.read_text() == text:
        return
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.touch(mode=0o600)
    partial.write_text(text)
    partial.replace(path)


def provider(settings: Settings, root: Path, before: Sequence[pulumi.Resource]) -> docker.Provider | None:
    """The provider for a copy on another Docker host; None: the default one, of this machine.

    Arguments: `before`, what the provider waits for.
    """
    host = settings.docker_host
    if host is None:
        return None
    assert settings.docker_private_key is not None  # settings/rules.py
    write_login(settings.staging.docker, settings.docker_private_key.get_secret_value(), root)
    arguments = docker.ProviderArgs(host=host.address, ssh_opts=[*SSH_OPTIONS])
    return docker.Provider("docker-host", arguments, pulumi.ResourceOptions(depends_on=[*before]))

"""A session on the host, as it goes over SSH: what the host is told to run, and what ssh is told."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from settings import Settings

from .observation import Endpoint
from .release import SESSION

# Only what the settings say counts: neither the person's own ssh configuration nor their keys.
SSH_OPTIONS = (
    *("-F", "/dev/null", "-o", "IdentityFile=none"),
    *("-o", "GlobalKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes", "-o", "UpdateHostKeys=no"),
    *("-o", "PasswordAuthentication=no", "-o", "KbdInteractiveAuthentication=no", "-o", "LogLevel=ERROR"),
    *("-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=15"),
)


@dataclass(frozen=True)
class Session:
    """What is to be opened.

    kind    shell, artisan, mysql or redis
    words   its arguments, passed on exactly
    colour  of the prompt (SGR, ECMA-48), or nothing
    noted   what the log of releases is told; nothing: it is told nothing
    who     the person at this end
    """

    kind: str
    words: tuple[str, ...]
    colour: str
    noted: str
    who: str


def command(settings: Settings, endpoint: Endpoint, session: Session) -> str:
    """What the host's sshd is told to run."""
    redis = (str(settings.redis.host), str(settings.redis.port)) if session.kind == "redis" else ()
    arguments = (settings.owner, settings.stack, session.colour, session.noted, session.who, session.kind)
    words = [*(["sudo", "-n"] if endpoint.sudo else []), SESSION, *arguments, *redis, *session.words]
    missing = f"itqan: {SESSION} is not on the host yet; first: ./itqan up --stack {settings.stack}"
    return (
        f"if ! [ -x {SESSION} ]; then echo {shlex.quote(missing)} >&2; exit 1; fi; exec {shlex.join(words)}"
    )


def known_hosts(endpoint: Endpoint) -> str:
    """The pinned key as ssh reads it (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT")."""
    name = endpoint.host if endpoint.port == 22 else f"[{endpoint.host}]:{endpoint.port}"
    return f"{name} {endpoint.host_key}\n"


def ssh(endpoint: Endpoint, known: str, proxy: Sequence[str], *, terminal: bool) -> list[str]:
    """The words that start ssh, but for the command.

    Arguments: `known`, the file of the pinned key; `proxy`, what starts ssh to the Docker host that the host
    is reached through; `terminal`, whether the session gets one.
    """
    through = ["-o", f"ProxyCommand={shlex.join(proxy)}"] if proxy else []
    return [
        *("ssh", *SSH_OPTIONS, "-o", f"UserKnownHostsFile={shlex.quote(known)}", *through),
        *("-tt" if terminal else "-T", "-l", endpoint.user, "-p", str(endpoint.port), "--", endpoint.host),
    ]

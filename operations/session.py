"""`shell`, `artisan`, `mysql`, `redis`: a session on a stack's host, in OpenSSH's own client.

This process becomes ssh, so that terminal, signals, standard input and the exit status are ssh's. The private
key is never a file: an agent has it, which lives as long as ssh does.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from .audit import read_settings
from .errors import ConfigurationError, OperationError
from .harmless import has_colours
from .machine import ready_engine
from .paths import HOME, ROOT
from .production import destroying, is_production, require_meant
from .steps import Steps

if TYPE_CHECKING:
    from components.observation import Endpoint
    from components.session import Session
    from settings import Settings

MODULES = ("components.observation", "components.session")
DANGER, CALM = "1;37;41", "32"  # white on red, green
LONGEST = 500  # characters of what is noted
SECRET = re.compile(r"(?i)^(--?[\w-]*(pass|secret|token|key)[\w-]*=|-p(?=.)|-a(?=.))(.+)", re.DOTALL)
KEY = 3  # the file descriptor that the agent is told the key through
# Runs below ssh-agent, which ends with it. 255 is ssh's own status.
START = f"""
trap 'kill "$SSH_AGENT_PID" 2>/dev/null' EXIT
ssh-add -q - <&{KEY} || exit 1
exec {KEY}<&-
ssh "$@"
status=$?
if [ "$status" = 255 ]; then
    echo "itqan: the connection to $ITQAN_HOST failed or ended; is it well? ./itqan health $ITQAN_STACK" >&2
fi
exit "$status"
"""


def open_session(name: str, kind: str, words: Sequence[str]) -> NoReturn:
    """Becomes a session on a stack's host.

    Arguments: `kind`, shell, artisan, mysql or redis; `words`, its arguments, passed on exactly.
    Raises ConfigurationError, OperationError when there is no ssh here, or what destroys data was not meant.
    """
    from components.session import Session

    words = words[1:] if words[:1] == ["--"] else words
    require_ssh()
    [settings] = read_settings([name], ready_engine(Steps()), MODULES)
    production = is_production(settings)
    if kind == "artisan" and production and (command := destroying(words)):
        require_meant(settings, command)
    colour = (DANGER if production else CALM) if has_colours(sys.stdout) else ""
    noted = noted_words(kind, words) if production else ""
    _become(settings, Session(kind, tuple(words), colour, noted, person()))


def require_ssh() -> None:
    """Raises OperationError when this machine has no OpenSSH."""
    if missing := [program for program in ("ssh", "ssh-agent", "ssh-add") if shutil.which(program) is None]:
        raise OperationError(
            f"no program {', '.join(missing)} here; type: sudo apt-get install openssh-client"
        )


def noted_words(kind: str, words: Sequence[str]) -> str:
    """What a log may keep of a command: values of options that are called like secrets are left out."""
    shown = [SECRET.sub(r"\1…", word) for word in words]
    return " ".join([kind, *shown])[:LONGEST]


def person() -> str:
    """Who sits at this machine, as far as it knows."""
    try:
        return f"{getpass.getuser()} at {socket.gethostname()}"
    except (KeyError, OSError):
        return f"user {os.getuid()} at {socket.gethostname()}"


def _become(settings: Settings, session: Session) -> NoReturn:
    from components.keys import UnreadableKey
    from components.observation import Endpoint
    from components.session import command, ssh

    try:
        endpoint = Endpoint.of(settings)
    except UnreadableKey as error:
        raise ConfigurationError(str(error)) from None
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    words = ssh(endpoint, _known(settings, endpoint), _proxy(settings), terminal=terminal)
    _give_key(endpoint.private_key)
    os.environ["ITQAN_HOST"], os.environ["ITQAN_STACK"] = endpoint.words, settings.stack
    os.chdir(ROOT)  # what logs in to a Docker host has paths from there
    sys.stdout.flush()
    told = command(settings, endpoint, session)
    os.execvp("ssh-agent", ["ssh-agent", "sh", "-c", START, "itqan", *words[1:], told])


def _known(settings: Settings, endpoint: Endpoint) -> str:
    """The file of the pinned key; in one rename, as another session may be reading it."""
    from components.session import known_hosts

    folder = HOME / "hosts"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / settings.stack
    partial = Path(f"{path}.{os.getpid()}")
    partial.write_text(known_hosts(endpoint))
    partial.replace(path)
    return str(path)


def _proxy(settings: Settings) -> list[str]:
    """What starts ssh to the Docker host of a copy; nothing where it is this machine."""
    host = settings.docker_host
    if host is None:
        return []
    from components.docker_host import SSH_OPTIONS, write_login

    assert settings.docker_private_key is not None  # settings/rules.py
    write_login(settings.staging.docker, settings.docker_private_key.get_secret_value(), ROOT)
    return ["ssh", *SSH_OPTIONS, "-l", host.user, "-p", str(host.port), "-W", "%h:%p", "--", host.name]


def _give_key(key: str) -> None:
    """Leaves the private key in a pipe whose other end is KEY of the program that this process becomes."""
    there, here = os.pipe()
    os.write(here, key.encode())  # a pipe holds 64 KiB, a key is smaller
    os.close(here)
    if there == KEY:
        os.set_inheritable(KEY, True)
    else:
        os.dup2(there, KEY)
        os.close(there)

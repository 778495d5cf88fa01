"""`restore`: a backup into the server that it is of, or into a copy.

The private key stays on this machine. What goes to the host is a key that was made for this run, with the
heads of this one backup written anew for it (rewrap.py): on standard input, and there in memory only.
"""

from __future__ import annotations

import asyncio
import base64
import getpass
import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .backups import TOOL, Backup, ask, configured, heard, listed
from .errors import OperationError
from .production import ask_for_database
from .rewrap import WrongKey, rewrapped
from .steps import Steps

if TYPE_CHECKING:
    from components.observation import Endpoint
    from settings import Settings

SECOND = "second"
# The status by which itqan-backup says that a backup is not whole.
DAMAGED = 3


@dataclass(frozen=True)
class Opened:
    """A backup that can be restored.

    manifest   as the place that it was read from has it
    keys       what itqan-backup reads to open it
    """

    manifest: Mapping[str, Any]
    keys: bytes


class Damaged(OperationError):
    """A backup is not whole, or not what its manifest says."""


def restore(
    name: str, backup: str | None, into: str | None, key: Path | None, until: str, steps: Steps
) -> str:
    """Restores a backup. Returns what was done, in words.

    Arguments: `backup`, None: the newest; `into`, a copy that takes it (None: the stack that it is of);
    `key`, the file with the private key (`-`: standard input; None: it is asked for); `until`, a time after
    the backup that the binary log is applied to, empty for none.
    Raises ConfigurationError, or OperationError; nothing was changed then, unless the message says so.
    """
    if into == name:
        raise OperationError(f"--into {into}: is the stack that the backup is of; leave --into out")
    settings, source = configured(name, steps)
    if backup is None and into is None and _is_restoring(source):
        return _continue(name, source)
    target_settings, target = configured(into, steps) if into else (settings, source)
    chosen = listed(source, name).named(backup)
    _require_fitting(chosen, settings, target_settings)
    if into and until:
        raise OperationError("--until needs the binary log, which only the server itself has")
    private = private_key(key)
    opened = open_backup(source, chosen.name, private)
    _ask_for_name(target_settings, chosen)
    if into:
        hand_over(source, chosen.name, target, target_settings)
    words = shlex.join([chosen.name, *([until] if until else [])])
    if ask(target, f"restore {words}", opened.keys).status:
        raise OperationError(
            f"{target_settings.stack}: {chosen.name} was not restored to its end, the reason stands above"
        )
    advice = f"; the copy has its own APP_KEY: what {name} encrypted cannot be read there" if into else ""
    moment = f" until {until}" if until else ""
    return f"itqan {target_settings.stack}: {chosen.name} is restored{moment}{advice}"


def _is_restoring(source: Endpoint) -> bool:
    return ask(source, "waiting", quiet=True).status == 0


def _continue(name: str, source: Endpoint) -> str:
    if ask(source, "continue").status:
        raise OperationError(f"{name}: the restore did not get to its end, the reason stands above")
    return f"itqan {name}: the restore that had stopped is at its end"


def _require_fitting(chosen: Backup, settings: Settings, target: Settings) -> None:
    """A server takes its own backups only. Raises OperationError."""
    if chosen.owner != settings.owner:
        raise OperationError(
            f"{chosen.name} is of {chosen.owner}, and this stack is {settings.owner}: not restored"
        )
    if target.stack == settings.stack:
        return
    if target.target != "docker" or target.environment.get("APP_ENV") == "production":
        raise OperationError(
            f"--into {target.stack}: is a server; only a copy on Docker takes the backup of another stack"
        )


def private_key(file: Path | None) -> bytes:
    """The private key of age in a file (`-`: standard input), or typed. Raises OperationError."""
    from settings.age import NoAgeKey, identity

    try:
        return identity(_key_text(file))
    except NoAgeKey as error:
        where = f"--identity {file}" if file else "the private key"
        raise OperationError(f"{where}: {error}") from None


def _key_text(file: Path | None) -> str:
    if file is None:
        if not sys.stdin.isatty():
            raise OperationError("the private key is wanted: --identity FILE, or - for standard input")
        return getpass.getpass("Private key (AGE-SECRET-KEY-1…, not shown): ")
    if str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise OperationError(f"--identity {file}: cannot be read: {error}") from None


def open_backup(source: Endpoint, name: str, private: bytes, place: str = "") -> Opened:
    """Has a host look at every byte of a backup, and makes the keys to it.

    Arguments: `place`, SECOND for what the second place has.
    Raises Damaged, or OperationError for a wrong key.
    """
    from settings.age import new_key, private_text

    done = ask(source, f"headers {name} {place}")
    if done.status:
        failure = Damaged if done.status == DAMAGED else OperationError
        raise failure(f"{name}: {done.words.removeprefix('itqan: backup: ')}")
    passing, manifest, lines = new_key(), {}, []
    for line in done.output.decode().splitlines():
        word, *rest = line.split()
        if word == "manifest":
            manifest = json.loads(base64.b64decode(rest[0]))
        else:
            try:
                skip, head = rewrapped(base64.b64decode(rest[1]), private, passing)
            except WrongKey as error:
                raise OperationError(f"{name}: {error}; nothing was changed") from None
            lines.append(f"header {rest[0]} {skip} {base64.b64encode(head).decode()}\n")
    keys = f"key {private_text(passing)}\n{''.join(lines)}"
    return Opened(manifest, keys.encode())


def hand_over(source: Endpoint, name: str, target: Endpoint, settings: Settings, place: str = "") -> None:
    """Brings a backup, encrypted as it is, and what restores it to another host.

    Arguments: `settings`, those of the target; `place`, as of `open_backup`. Raises OperationError.
    """
    from components.backups import packages, tools
    from components.observation import Unreachable
    from components.streams import bring, relay

    try:
        for unit in (packages("age"), *tools()):
            if not asyncio.run(bring(target, unit, settings.owner, heard)):
                raise OperationError(f"{settings.stack}: {unit.name} could not be brought, see above")
        if not asyncio.run(relay(source, f"{TOOL} send {name} {place}", target, f"{TOOL} receive", heard)):
            raise OperationError(f"{settings.stack}: {name} did not arrive, the reason stands above")
    except Unreachable as error:
        raise OperationError(str(error)) from None


def _ask_for_name(settings: Settings, chosen: Backup) -> None:
    """Raises OperationError unless the database's name is typed."""
    unasked = (
        f"restore replaces the database {settings.database.name} and the files of {settings.stack}; "
        "it asks for that name on a terminal"
    )
    what = f"The database and the files of {settings.stack} become those of {chosen.name}"
    ask_for_database(settings, what, unasked, "nothing was changed")

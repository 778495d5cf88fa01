"""`backup`: made now, listed; the key that they are encrypted to."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .engine import Engine
from .errors import ConfigurationError, OperationError
from .machine import ready_engine
from .paths import stack_file
from .steps import Steps
from .table import grouped

if TYPE_CHECKING:
    from components.observation import Done, Endpoint
    from settings import Settings

HEAD = ("backup", "reason", "rows", "files", "size", "here", "second place")
TOOL = "/usr/local/sbin/itqan-backup"
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Backup:
    """A backup by its manifest.

    here, second   whether the host has it, and the second place
    """

    manifest: Mapping[str, Any]
    here: bool
    second: bool

    @property
    def name(self) -> str:
        """Its moment in UTC, and the commit that its data belongs to."""
        return str(self.manifest["name"])

    @property
    def owner(self) -> str:
        """The stack that it is of, by its name and identity."""
        return str(self.manifest["owner"])

    @property
    def size(self) -> int:
        """Bytes of its encrypted files."""
        parts = (self.manifest.get(kind) for kind in ("database", "files"))
        return sum(part["sealed"]["bytes"] for part in parts if part)


@dataclass(frozen=True)
class Backups:
    """The backups of a stack, the newest first.

    results    of the last run of each kind: when (seconds since 1970), state, words
    unreached  why the second place could not be asked; empty where it could, or there is none
    """

    stack: str
    host: str
    entries: Sequence[Backup]
    results: Mapping[str, tuple[float, str, str]]
    unreached: str

    def named(self, name: str | None) -> Backup:
        """One of them; None: the newest. Raises OperationError."""
        found = [entry for entry in self.entries if name in (None, entry.name)]
        if not found:
            missing = "no backup" if name is None else f"no backup {name}"
            reason = f"; the second place was not asked: {self.unreached}" if self.unreached else ""
            command = "backup list" if self.entries else "backup"
            raise OperationError(
                f"{self.stack}, {self.host}: {missing}{reason}; type: ./itqan {command} {self.stack}"
            )
        return found[0]

    def table(self) -> str:
        """All of them as text, and what became of the last runs."""
        rows = [(entry.manifest["made"].partition("T")[0], _cells(entry)) for entry in self.entries]
        lines = list(grouped(HEAD, rows)) if rows else []
        closing = f"itqan {self.stack}, {self.host}: {_counted(len(rows))}{self._last()}"
        reach = [f"the second place was not asked: {self.unreached}"] if self.unreached else []
        return "\n".join([*lines, *([""] if lines else []), closing, *reach])

    def _last(self) -> str:
        words = {"make": "last run", "copy": "last copy", "restore": "last restore", "verify": "last test"}
        return "".join(
            f"; {words[kind]} {state}{'' if state == 'ok' else f': {said}'}"
            for kind, (_, state, said) in self.results.items()
            if kind in words
        )

    def to_json(self) -> str:
        """All of them as one JSON object, with their manifests."""
        entries = [{**entry.manifest, "here": entry.here, "second": entry.second} for entry in self.entries]
        results = {
            kind: {"when": when, "state": state, "words": words}
            for kind, (when, state, words) in self.results.items()
        }
        shown = {"stack": self.stack, "host": self.host, "backups": entries, "results": results}
        return json.dumps({**shown, "unreached": self.unreached}, indent=2, ensure_ascii=False)


def _cells(entry: Backup) -> tuple[str, ...]:
    database, files = entry.manifest.get("database", {}), entry.manifest.get("files", {})
    return (
        entry.name,
        entry.manifest.get("reason", ""),
        str(database.get("rows", "-")),
        str(files.get("count", "-")),
        f"{entry.size / MEGABYTE:.1f} MB",
        _mark(entry.here),
        _mark(entry.second),
    )


def _counted(number: int) -> str:
    return f"{number or 'no'} backup{'' if number == 1 else 's'}"


def _mark(there: bool) -> str:
    return "yes" if there else "-"


def parsed(text: str, stack: str, host: str) -> Backups:
    """What itqan-backup lists. Raises OperationError when it cannot be read."""
    manifests: dict[str, dict[str, Any]] = {}
    places: dict[str, set[str]] = {"here": set(), "second": set()}
    results, unreached = {}, ""
    try:
        for line in text.splitlines():
            word, _, rest = line.partition(" ")
            if word in places:
                manifest = json.loads(rest)
                manifests[manifest["name"]] = manifest
                places[word].add(manifest["name"])
            elif word == "result":
                kind, when, state, *words = rest.split(" ")
                results[kind] = (float(when), state, " ".join(words))
            elif word == "unreached":
                unreached = rest
    except (ValueError, KeyError, TypeError):
        raise OperationError(f"{host}: the list of backups cannot be read: {line[:80]}") from None
    entries = [
        Backup(manifests[name], name in places["here"], name in places["second"])
        for name in sorted(manifests, reverse=True)
    ]
    return Backups(stack, host, entries, results, unreached)


def configured(name: str, steps: Steps) -> tuple[Settings, Endpoint]:
    """A stack's settings and the way to its host. Raises ConfigurationError."""
    from components.keys import UnreadableKey
    from components.observation import Endpoint

    from .audit import read_settings

    [settings] = read_settings([name], ready_engine(steps))
    try:
        return settings, Endpoint.of(settings)
    except UnreadableKey as error:
        raise ConfigurationError(str(error)) from None


def require_backups(settings: Settings) -> None:
    """Raises ConfigurationError for a stack that nothing is to be encrypted to."""
    if settings.backup is None:
        raise ConfigurationError(
            f"itqan:backup: stack {settings.stack} has no backups: there is no public key to encrypt to; "
            f"type: ./itqan backup key {settings.stack} FILE"
        )


def heard(line: str) -> None:
    """Passes on what a host says."""
    if line.strip():
        print(f"  {line.strip()}", file=sys.stderr)


def ask(endpoint: Endpoint, words: str, given: bytes = b"", *, quiet: bool = False) -> Done:
    """Runs itqan-backup on a host. Raises OperationError for a host out of reach, or one without it."""
    from components.observation import Unreachable
    from components.streams import converse

    def silent(_: str) -> None:
        """The last line is in the answer."""

    try:
        done = asyncio.run(converse(endpoint, f"{TOOL} {words}", given, silent if quiet else heard))
    except Unreachable as error:
        raise OperationError(str(error)) from None
    if done.status == 127 or "command not found" in done.words:
        raise OperationError(
            f"{endpoint.words} has no itqan-backup: with itqan:backup, the next `up` brings it"
        )
    return done


def list_backups(name: str, steps: Steps) -> Backups:
    """The backups of a stack, here and at the second place; changes nothing.

    Raises ConfigurationError, OperationError.
    """
    settings, endpoint = configured(name, steps)
    require_backups(settings)
    return listed(endpoint, name)


def listed(endpoint: Endpoint, stack: str) -> Backups:
    """What a host lists. Raises OperationError."""
    done = ask(endpoint, "list", quiet=True)
    if done.status:
        raise OperationError(f"{endpoint.words}: the backups cannot be listed: {done.words}")
    return parsed(done.output.decode(errors="replace"), stack, endpoint.words)


def make_backup(name: str, steps: Steps) -> str:
    """Makes a backup of a stack now. Returns what was done, in words.

    Raises ConfigurationError, or OperationError when it was not made, or not copied to the second place.
    """
    settings, endpoint = configured(name, steps)
    require_backups(settings)
    done = ask(endpoint, "make 'by hand'")
    if done.status:
        raise OperationError(f"{name}: the backup is not as it should be, the reason stands above")
    return f"itqan {name}: {done.output.decode().strip()}"


def make_key(name: str, file: Path, steps: Steps) -> str:
    """Makes a key: the private half into a new file, the public one into a stack's configuration.

    Returns what to do next, in words. Raises OperationError for a file that is there or cannot be written.
    """
    from settings import BACKUP_MAC
    from settings.age import new_key, private_text, public_text

    from .audit import require_file

    require_file(name)
    key = new_key()
    engine = ready_engine(steps)
    configured = _configured(name, engine)
    keys = [*((configured.get("backup") or {}).get("keys") or []), public_text(key)]
    text = f"# private key of the backups of {name}; public key: {keys[-1]}\n{private_text(key)}\n"
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise OperationError(f"{file}: cannot be made: {error.strerror}; nothing was changed") from None
    with os.fdopen(handle, "w", encoding="ascii") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    _store_keys(name, engine, keys)
    if not configured.get(BACKUP_MAC):
        _store_mac_key(name, engine)
    return (
        f"{file} has the private key: without it no backup can be read, so keep it in two places that are no "
        f"part of this server, such as a password manager and paper.\n{stack_file(name).name} has the public "
        f"one, {keys[-1]}; next: ./itqan up --stack {name}"
    )


def _configured(name: str, engine: Engine) -> dict[str, Any]:
    from .stack import merged_configuration, own_configuration

    return merged_configuration(own_configuration(name, engine))


def _store_keys(name: str, engine: Engine, keys: Sequence[str]) -> None:
    from .stack import set_strings

    set_strings(name, engine, {f"backup.keys[{at}]": key for at, key in enumerate(keys)})


def _store_mac_key(name: str, engine: Engine) -> None:
    """What the backups at a second place are known by."""
    from settings import BACKUP_MAC, SECRETS

    from .stack import store_secrets

    make = SECRETS[BACKUP_MAC].generate
    assert make is not None
    store_secrets(name, engine, {BACKUP_MAC: make()})

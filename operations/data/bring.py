"""A backup's way into a copy: fetched encrypted, opened and made anonymous here in memory, loaded there.

Nothing of it is written to a disk before it is anonymous, neither here nor on the copy's Docker host.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import shlex
import tarfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ..backups import TOOL as BACKUP_TOOL
from ..backups import Backup, configured, listed
from ..errors import OperationError
from ..paths import ROOT
from ..restore import private_key
from ..steps import Steps
from .age import Decrypted
from .anonymise import Anonymiser, Refused
from .dump import Unreadable
from .files import anonymous_files
from .rules import Rules, read_rules

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection

    from components.observation import Endpoint
    from components.unit import Unit
    from settings import Settings

TOOL = "/usr/local/sbin/itqan-data"
# What gzip raises of what is no whole file.
BROKEN = (EOFError, gzip.BadGzipFile, zlib.error)
SAMPLE_RULES = ROOT / "files" / "data" / "anonymise.sample.yaml"


@dataclass(frozen=True)
class Source:
    """Where data come from: a stack's newest backup, the key that opens it, the rules for what it has."""

    stack: str
    endpoint: Endpoint
    backup: Backup
    private: bytes = field(repr=False)
    rules: Rules
    rules_name: str

    @property
    def folders(self) -> list[str]:
        """Those of the application whose files it has."""
        paths = self.backup.manifest.get("paths") or []
        return paths.split() if isinstance(paths, str) else list(paths)


def rules_file(settings: Settings) -> Path:
    """The rules for a stack's data: a file beside its settings; the sample application has its own."""
    own = ROOT / f"anonymise.{settings.stack}.yaml"
    is_sample = settings.release.repository == "sample"
    return SAMPLE_RULES if is_sample and not own.exists() else own


def find_source(name: str, key: Path | None, steps: Steps) -> Source:
    """A stack's newest backup, all that it takes to use it at hand; nothing is changed anywhere.

    Arguments: `key`, the file with the private key (`-`: standard input; None: it is asked for).
    Raises ConfigurationError, OperationError.
    """
    settings, endpoint = configured(name, steps)
    file = rules_file(settings)
    rules = read_rules(file)
    backup = listed(endpoint, name).named(None)
    if backup.owner != settings.owner:
        raise OperationError(f"{backup.name} is of {backup.owner}, and {name} is {settings.owner}: not used")
    return Source(name, endpoint, backup, private_key(key), rules, file.name)


def tool() -> Unit:
    """The program that takes data in, on the copy."""
    from components.render import host_script
    from components.unit import file_unit

    return file_unit("data/tool", TOOL, host_script("data/data.sh"), mode="755")


def is_ready(settings: Settings, target: Endpoint) -> bool:
    """Whether a copy is up, with a release that data can come to; brings it the tool."""
    from components.observation import Unreachable
    from components.streams import bring, converse

    try:
        if not asyncio.run(bring(target, tool(), settings.owner, lambda _: None)):
            return False
        return asyncio.run(converse(target, f"{TOOL} ready", b"", lambda _: None)).status == 0
    except Unreachable:
        return False


def bring_data(source: Source, settings: Settings, target: Endpoint, steps: Steps) -> None:
    """Brings a backup's data into a copy that `is_ready`; until the next release they are not to be seen.

    Arguments: `settings`, those of the copy. Raises OperationError; the copy's application is stopped then.
    """
    from components.observation import Unreachable

    text = f"Bringing {source.backup.name} of {source.stack} into {settings.stack}, anonymous"
    stopped = f"{settings.stack} has no data; its application is stopped until `branch up --data` succeeds"
    with steps.step("data", text):
        started = time.monotonic()
        _empty(source, target)
        try:
            said = asyncio.run(_stream(source, target))
        except (Refused, Unreadable, Unreachable, OperationError, tarfile.TarError, *BROKEN) as error:
            raise OperationError(f"{error}\n{stopped}") from None
        for line in said:
            steps.say(f"  {line}")
        steps.say(f"  {time.monotonic() - started:.1f} s")


def _empty(source: Source, target: Endpoint) -> None:
    """The copy's application stops, and the copy has no data. Raises OperationError."""
    from components.observation import Unreachable
    from components.streams import converse

    try:
        done = asyncio.run(converse(target, _begin(source), b"", lambda _: None))
    except Unreachable as error:
        raise OperationError(str(error)) from None
    if done.status:
        raise OperationError(f"the copy cannot be emptied: {done.words.removeprefix('itqan: ')}")


def _begin(source: Source) -> str:
    return shlex.join([TOOL, "begin", *source.folders])


async def _stream(source: Source, target: Endpoint) -> list[str]:
    from components.streams import connected, piped, rooted

    loop = asyncio.get_running_loop()
    send = rooted(source.endpoint, shlex.join([BACKUP_TOOL, "send", source.backup.name]))
    async with connected(source.endpoint, target) as (first, second):
        copy = _Copy(second, loop)
        sealed, taken = _pipe()
        sending = asyncio.ensure_future(piped(first, send, taken=taken))
        try:
            said = await loop.run_in_executor(None, _taken, source, sealed, copy)
            sent = await sending
            if sent.status:
                raise OperationError(f"{source.stack}: {source.backup.name} was not sent: {sent.words}")
        except BaseException:
            sending.cancel()
            # what has come is anonymous, and half of what was asked for
            await piped(second, _begin(source))
            raise
        done = await piped(second, shlex.join([TOOL, "end", f"{source.backup.name} of {source.stack}"]))
        if done.status:
            raise OperationError(f"the copy did not take the end: {done.words}")
    return said


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    """What is written into the second comes out of the first."""
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb"), os.fdopen(writing, "wb", buffering=1 << 18)


def _taken(source: Source, sealed: IO[bytes], copy: _Copy) -> list[str]:
    """Gives the copy each part of the archive of a backup, opened and anonymous. Returns what to tell.

    Raises Refused, Unreadable, OperationError.
    """
    said: list[str] = []
    database = False
    with sealed, tarfile.open(fileobj=sealed, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is None:
                continue
            if member.name.endswith(".database.sql.gz.age"):
                database = True
                with copy.taking("database") as stream:
                    said += _database(source, _plain(content, source, member.name), stream)
            elif member.name.endswith(".files.tar.gz.age"):
                with copy.taking("files") as stream:
                    plain = _plain(content, source, member.name)
                    said.append(f"files: {anonymous_files(plain, source.rules, stream).words}")
        while sealed.read(1 << 16):
            pass  # what tar fills its last block with
    if not database:
        raise OperationError(f"{source.backup.name} has no database")
    return said


def _plain(content: IO[bytes], source: Source, name: str) -> IO[bytes]:
    opened = Decrypted(content, source.private, name)
    return gzip.GzipFile(fileobj=io.BufferedReader(opened, 1 << 18))  # type: ignore[return-value]


def _database(source: Source, plain: IO[bytes], stream: IO[bytes]) -> list[str]:
    anonymiser = Anonymiser(source.rules, source.rules_name)
    # bytes that are no UTF-8 come out as they came in
    lines = io.TextIOWrapper(plain, "utf-8", "surrogateescape", newline="\n")
    for line in anonymiser.lines(lines):
        stream.write(line.encode("utf-8", "surrogateescape"))
    return [f"database: {anonymiser.rows} rows", *anonymiser.notes]


class _Copy:
    """A connection to a copy, used from a thread beside the one that serves it."""

    def __init__(self, connection: SSHClientConnection, loop: asyncio.AbstractEventLoop) -> None:
        self._connection, self._loop = connection, loop

    @contextmanager
    def taking(self, words: str) -> Iterator[IO[bytes]]:
        """Runs a command of the tool, whose standard input is what is written.

        Raises OperationError with what it said.
        """
        from components.streams import piped

        given, stream = _pipe()
        running = piped(self._connection, f"{TOOL} {words}", given=given)
        future = asyncio.run_coroutine_threadsafe(running, self._loop)
        broken = None
        try:
            with stream:
                yield stream
        except BrokenPipeError as error:
            broken = error  # it has ended, and says itself why
        except BaseException:
            future.result()  # what follows must not meet it
            raise
        done = future.result()
        if done.status or broken:
            raise OperationError(f"the copy did not take it in ({words.partition(' ')[0]}): {done.words}")

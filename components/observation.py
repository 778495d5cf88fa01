"""What the host really looks like: every probe in one script, over one connection, in one round trip."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from settings import Settings

from . import facts
from .keys import public_key
from .render import probe_library, text
from .unit import Unit, call, create_text, lines

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection

PREFLIGHT = "host/preflight-look"  # needs no root
OBSERVER = "itqan-observer"  # the account that may look and do nothing else
TIMEOUT = 60  # seconds for all probes together
# By itself bash reads a program from a pipe byte by byte, so that its commands could read what follows.
READ_AND_RUN = """bash -c 'eval "$(cat)"'"""
SEPARATOR = b"\x1f"  # a newline inside a line of the program's output
Found = TypeVar("Found")


@dataclass(frozen=True)
class Endpoint:
    """How a host is reached: its key is pinned, there is no other mode."""

    host: str
    port: int
    user: str
    private_key: str
    host_key: str
    key_name: str = "sshPrivateKey"
    proxy: Endpoint | None = None

    @classmethod
    def of(cls, settings: Settings) -> Endpoint:
        """How a stack's host is reached; a copy on another Docker host through that. Raises UnreadableKey."""
        private_key = settings.ssh_private_key.get_secret_value()
        if settings.target == "docker":
            assert settings.ssh_host_private_key is not None
            host_key = public_key(settings.ssh_host_private_key.get_secret_value())
            address, proxy = str(settings.server_address), cls.of_docker_host(settings)
            return cls(address, 22, "root", private_key, host_key, proxy=proxy)
        connection = settings.connection
        assert connection is not None
        return cls(connection.host, connection.port, connection.user, private_key, connection.host_key)

    @classmethod
    def of_docker_host(cls, settings: Settings) -> Endpoint | None:
        """How the Docker host of a copy is reached; None: it is this machine."""
        host = settings.docker_host
        if host is None:
            return None
        assert settings.docker_private_key is not None  # settings/rules.py
        key = settings.docker_private_key.get_secret_value()
        return cls(host.name, host.port, host.user, key, host.host_key, key_name="dockerPrivateKey")

    @property
    def words(self) -> str:
        """How the host is reached, in words."""
        through = f" through {self.proxy.words}" if self.proxy else ""
        return f"{self.user}@{self.host} port {self.port}{through}"

    @property
    def sudo(self) -> bool:
        """Whether commands need sudo to be root's."""
        return self.user != "root"


class Unreachable(Exception):
    """The host could not be looked at; the message is the one line for the user."""


class SudoRefused(Unreachable):
    """The user logs in, and may not become root without a password."""


class Refused(Unreachable):
    """The host is there and does not let this key in."""


@dataclass(frozen=True)
class State:
    """A unit as it was found."""

    unit: Unit
    found: str

    @property
    def healthy(self) -> bool:
        """Whether the host is as the settings ask."""
        return self.found == self.unit.expect

    @property
    def difference(self) -> tuple[str, str]:
        """The lines that were expected and not found, and the lines found in their place."""
        expected, found = self.unit.expect.splitlines(), self.found.splitlines()
        return (
            "; ".join(line for line in expected if line not in found) or "nothing more",
            "; ".join(line for line in found if line not in expected) or "nothing",
        )


def script(units: Iterable[Unit], limit: int | None = None) -> str:
    """The bash program that runs every probe side by side and prints lines `name piece`.

    Arguments: `limit`, seconds after which a probe is ended, having found nothing; None: all are waited for.
    """
    # here-documents that no pipe takes are files: a full disk must not keep anybody from looking
    library = f"TMPDIR=/run\n{probe_library()}\n{text('host/surroundings.sh')}\n{text('host/observe.sh')}"
    if limit is not None:
        # what is asked for all is waited for: then it would have to have that limit, too
        probes = lines(*map(_observed, units))
        return f"set -m\n{library}\n{text('host/limit.sh')}\n{probes}\ncollect {limit}\nprintf 'done\\n'\n"
    alone, sharing = list[Unit](), list[Unit]()
    for unit in units:
        (sharing if facts.shares(unit) else alone).append(unit)
    probes = lines(*map(_observed, alone), *facts.questions(sharing), *map(_observed, sharing))
    return f"{library}\n{probes}\nwait\nprintf 'done\\n'\n"


def _observed(unit: Unit) -> str:
    return call("observe", unit.name, unit.probe)


def parse(output: bytes, units: Iterable[Unit]) -> list[State]:
    """The states in the program's output. Raises Unreachable when it was cut short."""
    found = answers(output)
    return [State(unit, found.get(unit.name, "")) for unit in units]


def answers(output: bytes) -> dict[str, str]:
    """What each probe found, by name. Raises Unreachable when the output was cut short."""
    *lines, last = output.split(b"\n")[:-1] or [b""]
    if last != b"done":
        raise Unreachable("the observation was cut short: the host ended the connection or has no bash")
    pieces: dict[bytes, bytes] = {}
    for line in lines:
        name, _, piece = line.partition(b" ")
        pieces[name] = pieces.get(name, b"") + piece
    return {name.decode(errors="replace"): _text(piece) for name, piece in pieces.items()}


def _text(found: bytes) -> str:
    return found.replace(SEPARATOR, b"\n").decode(errors="replace").rstrip("\n")


async def observe(
    endpoint: Endpoint, units: list[Unit], patience: float = 0, limit: int | None = None
) -> list[State]:
    """Look at every unit of a host.

    Arguments: `patience`, seconds to dial again while the connection is refused (a container that starts);
    `limit`, as `script`.
    Raises Unreachable with one line that names host, port, user and what failed.
    """

    async def once() -> list[State]:
        try:
            return parse(await _bash(endpoint, script(units, limit)), units)
        except SudoRefused as error:
            raise Unreachable("\n".join([str(error), *await _without_root(endpoint, units)])) from None

    return await dialled(endpoint, once, patience)


async def dialled(endpoint: Endpoint, once: Callable[[], Awaitable[Found]], patience: float) -> Found:
    """What `once` brings; for `patience` seconds tried again while the connection is refused."""
    started = time.monotonic()
    while True:
        try:
            return await once()
        except ConnectionRefusedError as error:
            if time.monotonic() - started >= patience:
                raise Unreachable(failed(endpoint, network_reason(error))) from None
            await asyncio.sleep(0.1)


async def converge(endpoint: Endpoint, units: list[Unit], owner: str) -> None:
    """Bring units without a payload to a host that has the runner, outside a run of the engine.

    Arguments: `owner`, the stack that the host must belong to.
    Raises Unreachable with one line, the runner's own words in it.
    """
    for unit in units:
        await _bash(endpoint, f"{create_text(unit, owner, sudo=False)} </dev/null")


async def perform(
    endpoint: Endpoint, unit: Unit, owner: str, heard: Callable[[str], None], seconds: float = 3600
) -> bool:
    """Bring one unit to a host that has the runner, and pass on what it says meanwhile.

    Arguments: `owner`, the stack that the host must belong to; `heard`, called with each line; `seconds`,
    until the connection is given up (what has begun goes on).
    Returns whether the host is as the unit says. Raises Unreachable.
    """
    command = create_text(unit, owner, endpoint.sudo) + ("" if unit.payload else " </dev/null")
    try:
        async with _connected(endpoint) as connection:
            with _told(endpoint):
                process = await connection.create_process(
                    command, input=unit.payload, encoding="utf-8", errors="replace"
                )

                async def listen() -> None:
                    async for line in process.stderr:
                        heard(line.rstrip("\n"))
                    await process.wait()

                await asyncio.wait_for(listen(), seconds)
    except ConnectionRefusedError as error:
        raise Unreachable(failed(endpoint, network_reason(error))) from None
    return process.exit_status == 0


async def listen(endpoint: Endpoint, command: str, request: str, heard: Callable[[bytes], None]) -> Done:
    """Run a command on the host for as long as it lasts, and pass on each line that it prints.

    Arguments: `request`, its standard input, which then stays open: its end tells the command that nobody
    listens any more. Returns the end, without the output. Raises Unreachable.
    """
    try:
        async with _connected(endpoint) as connection:
            with _told(endpoint):
                process = await connection.create_process(command, encoding=None)
                process.stdin.write(request.encode())
                words = asyncio.create_task(process.stderr.read())
                while line := await process.stdout.readline():
                    heard(line)
                await process.wait()
                said = (await words).decode(errors="replace").strip()
    except ConnectionRefusedError as error:
        raise Unreachable(failed(endpoint, network_reason(error))) from None
    ended = "the connection ended" if process.exit_status is None else f"exit status {process.exit_status}"
    return Done(process.exit_status, b"", said or ended)


async def _without_root(endpoint: Endpoint, units: list[Unit]) -> list[str]:
    """What else stands in the way, of the units that need no root: so that all is told at once."""
    possible = [unit for unit in units if unit.name == PREFLIGHT]
    states = parse(await _bash(endpoint, script(possible), sudo=False), possible) if possible else []
    return [line.removeprefix("problem ") for state in states for line in state.found.splitlines()]


async def _bash(endpoint: Endpoint, program: str, *, sudo: bool | None = None) -> bytes:
    """Run a bash program as root on the host, or with `sudo` False as whoever logs in.

    Raises as `run`.
    """
    sudo = endpoint.sudo if sudo is None else sudo
    done = await run(endpoint, f"{'sudo -n ' if sudo else ''}{READ_AND_RUN}", program)
    if done.status == 0 or done.output:
        return done.output
    if sudo and done.words.startswith("sudo"):
        raise SudoRefused(failed(endpoint, f"{done.words}; on the host, as root: {_allow(endpoint.user)}"))
    raise Unreachable(failed(endpoint, f"bash as root failed: {done.words}"))


@dataclass(frozen=True)
class Done:
    """A command that ended: its exit status, its output, and what it said of an error."""

    status: int | None
    output: bytes
    words: str


async def run(endpoint: Endpoint, command: str, program: str = "") -> Done:
    """Run a command on the host.

    Arguments: `program`, its standard input.
    Raises ConnectionRefusedError, Refused for a key that does not log in, or Unreachable.
    """
    async with _connected(endpoint) as connection:
        with _told(endpoint):
            result = await connection.run(
                command, input=program.encode(), encoding=None, check=False, timeout=TIMEOUT
            )
    words = _bytes(result.stderr).decode(errors="replace").strip() or str(result.exit_status)
    return Done(result.exit_status, _bytes(result.stdout), words)


@asynccontextmanager
async def _connected(endpoint: Endpoint) -> AsyncIterator[SSHClientConnection]:
    """A connection, through that of its Docker host where it has one. Raises as `run`."""
    async with AsyncExitStack() as opened:
        tunnel = None
        if endpoint.proxy:
            tunnel = await opened.enter_async_context(_logged_in(endpoint.proxy, None))
        yield await opened.enter_async_context(_logged_in(endpoint, tunnel))


@asynccontextmanager
async def _logged_in(
    endpoint: Endpoint, tunnel: SSHClientConnection | None
) -> AsyncIterator[SSHClientConnection]:
    """A connection, through another one if there is one. Raises as `run`."""
    import asyncssh

    with _told(endpoint):
        key = asyncssh.import_private_key(endpoint.private_key)
        host_key = asyncssh.import_public_key(endpoint.host_key)
        connection = await asyncssh.connect(
            endpoint.host,
            endpoint.port,
            tunnel=tunnel or (),
            username=endpoint.user,
            client_keys=[key],
            known_hosts=([host_key], [], []),
            server_host_key_algs=[host_key.get_algorithm()],
            agent_path=None,
            config=None,
            connect_timeout=15,
            keepalive_interval=15,  # a host that is gone says nothing
            compression_algs=None,
        )
    async with connection:
        yield connection


@contextmanager
def _told(endpoint: Endpoint) -> Iterator[None]:
    """What goes wrong with a connection as one line. Raises as `run`."""
    import asyncssh

    try:
        yield
    except ConnectionRefusedError:
        raise
    except asyncssh.HostKeyNotVerifiable:
        reason = (
            "host key mismatch: the server shows another key than the pinned one; "
            "do not go on before you know why"
        )
    except asyncssh.PermissionDenied:
        reason = (
            f"authentication failed: the server does not accept the key of {endpoint.key_name} for this user"
        )
        raise Refused(failed(endpoint, reason)) from None
    except asyncssh.KeyImportError as error:
        reason = f"{endpoint.key_name} or the host key cannot be read: {error}"
    except (asyncio.TimeoutError, asyncssh.TimeoutError):
        reason = "timeout: no answer in time"
    except asyncssh.ChannelOpenError as error:
        if endpoint.proxy and error.code == asyncssh.OPEN_CONNECT_FAILED:
            # what a tunnel says of a container whose sshd does not run yet
            raise ConnectionRefusedError(error.reason) from None
        reason = network_reason(error)
    except (OSError, asyncssh.Error) as error:
        reason = network_reason(error)
    else:
        return
    raise Unreachable(failed(endpoint, reason))


def network_reason(error: Exception) -> str:
    """Why a connection failed, in words instead of numbers."""
    if isinstance(error, socket.gaierror):
        return "the name cannot be resolved"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: does sshd run on that port?"
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    # asyncio's, of one address or of several; with the number they become words
    numbers = re.findall(r"\[Errno (\d+)\] Connect call failed", str(error))
    return "; ".join(dict.fromkeys(os.strerror(int(number)) for number in numbers)) or words


def _bytes(output: str | bytes | None) -> bytes:
    return output.encode() if isinstance(output, str) else output or b""


def _allow(user: str) -> str:
    return f"echo '{user} ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/{user}"


def failed(endpoint: Endpoint, reason: str) -> str:
    """The line that says which host could not be looked at, and why."""
    return f"cannot look at {endpoint.words}: {reason}"

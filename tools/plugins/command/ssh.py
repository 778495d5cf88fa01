"""Runs a command over SSH. Connections are kept for the plugin's life and shared by its commands."""

import asyncio
import contextlib
import functools
import os
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import asyncssh
from asyncssh.packet import String
from typing_extensions import override

from tools.plugins.command.execution import Job
from tools.plugins.command.output import STDERR, STDOUT, Output
from tools.plugins.command.schema import CONNECTION, PROXY
from tools.plugins.common.provider import ProviderError
from tools.plugins.common.values import Properties

_MAX_SESSIONS = 10  # default of sshd's MaxSessions
_KEEPALIVE = 10  # seconds without a word after which a connection is probed; lost after three
_FIRST_DELAY, _DELAY_FACTOR, _LAST_DELAY = 0.1, 1.5, 5.0  # seconds between dials, as the official plugin
_TERM_GRACE, _KILL_GRACE = 2.0, 1.0  # seconds a cancelled command gets to end
# What the kernel and Go's ssh package call signals; status = 128 + number.
_SIGNALS = {
    "HUP": 1,
    "INT": 2,
    "QUIT": 3,
    "ILL": 4,
    "ABRT": 6,
    "FPE": 8,
    "KILL": 9,
    "USR1": 10,
    "SEGV": 11,
    "USR2": 12,
    "PIPE": 13,
    "ALRM": 14,
    "TERM": 15,
}
_CLOSED = "SSH connection closed"  # asyncssh's reason for a channel that is opened on a lost connection
_LOST = "wait: remote command exited without exit status or exit signal"
_RSA_SIGNATURES = ["rsa-sha2-512", "rsa-sha2-256"]
_NO_ENVIRONMENT = (
    "Unable to set '{}'. This only works if your SSH server is configured to accept\n"
    "\tthese variables via AcceptEnv. Alternatively, if a Bash-like shell runs the command on the remote "
    "host, you could\n\tprefix the command itself with the variables in the form 'VAR=value command'"
)


@dataclass(frozen=True)
class Login:
    """Where and how to log in: what makes two connections the same."""

    host: str
    port: int
    user: str
    password: str | None = field(repr=False)
    private_key: str | None = field(repr=False)
    private_key_password: str | None = field(repr=False)
    host_key: str | None
    agent: str | None
    proxy: "Login | None" = None


@dataclass(frozen=True)
class Endpoint:
    """A login and how patiently to dial. `dial_limit` -1: for ever; `timeout` in seconds, 0: none."""

    login: Login
    dial_limit: int
    timeout: int
    proxy: "Endpoint | None" = None


@dataclass(frozen=True)
class Log:
    """How to tell the user something; both may block.

    `status` shows a line while the command runs, `message(severity, text)` one that stays.
    """

    status: Callable[[str], None]
    message: Callable[[str, str], None]


class DialError(Exception):
    """A connection could not be made; worth another try."""


def endpoint(connection: Properties) -> Endpoint:
    """Return the endpoint that a resource's `connection` (without marks of secrets) describes."""
    proxy = _endpoint(PROXY.with_defaults(connection["proxy"])) if connection.get("proxy") else None
    return _endpoint(CONNECTION.with_defaults(connection), proxy)


def _endpoint(given: Properties, proxy: Endpoint | None = None) -> Endpoint:
    login = Login(
        given["host"],
        int(given["port"]),
        given["user"],
        given.get("password"),
        given.get("privateKey"),
        given.get("privateKeyPassword"),
        given.get("hostKey"),
        given.get("agentSocketPath") or os.environ.get("SSH_AUTH_SOCK"),
        proxy.login if proxy else None,
    )
    return Endpoint(login, given["dialErrorLimit"], given["perDialTimeout"], proxy)


@dataclass
class _Link:
    """A connection and how many sessions it carries and may carry; a limit of 0: it is lost."""

    connection: asyncssh.SSHClientConnection
    sessions: int = 0
    limit: int = _MAX_SESSIONS


class Connections:
    """All connections of the plugin. Used on one event loop only."""

    def __init__(self) -> None:
        self._links: dict[Login, list[_Link]] = {}
        self._dials: dict[Login, asyncio.Task[None]] = {}

    async def run(self, target: Endpoint, job: Job, output: Output, log: Log) -> str | None:
        """Run a command to its end; when cancelled, stop it on the remote side too.

        Returns:
            None if it succeeded, else what went wrong in the words of the official plugin.

        Raises:
            ProviderError: no connection, or the environment was refused.
        """
        session = _Session(job, output, log)
        link = await self._start(target, session)
        try:
            return await session.result()
        finally:
            link.sessions -= 1

    async def _start(self, target: Endpoint, session: "_Session") -> _Link:
        """Start the command on a connection that has room for it.

        A server that allows fewer sessions than expected, and a connection that died unused, cost
        another round; a command that may have started is never started again.
        """
        while True:
            link = await self._dial(target, session.log, "Dial")
            link.sessions += 1
            try:
                await session.start(link.connection)
            except asyncssh.Error as error:
                link.sessions -= 1
                self._after_refusal(link, error, session)
            except BaseException:
                link.sessions -= 1
                raise
            else:
                return link

    def _after_refusal(self, link: _Link, error: asyncssh.Error, session: "_Session") -> None:
        """Decide what a command that did not start means for its connection; return to try again."""
        closed = (
            link.connection.is_closed()
            or not isinstance(error, asyncssh.ChannelOpenError)
            or error.reason == _CLOSED
        )
        if session.requested:
            raise ProviderError(_LOST if closed else f"ssh: command {session.job.command} failed") from None
        if closed:
            link.limit = 0
        elif link.sessions == 0 and link.limit <= 1:
            raise ProviderError(f"ssh: rejected: {error.reason}") from None
        else:
            link.limit = max(1, link.sessions)

    async def _dial(self, target: Endpoint, log: Log, what: str) -> _Link:
        """Return a connection with room for a session, dialling until the limit of errors."""
        tunnel = None
        if target.proxy:
            tunnel = (await self._dial(target.proxy, log, "Dial proxy")).connection
            what = f"{what} from proxy"
        delay, failed = _FIRST_DELAY, 0
        while True:
            try:
                return await self._link(target, tunnel)
            except DialError as error:
                if -1 < target.dial_limit <= failed:
                    raise ProviderError(f"after {failed} failed attempts: {error}") from None
            failed += 1
            limit = "inf" if target.dial_limit == -1 else target.dial_limit
            await asyncio.to_thread(log.status, f"{what} {failed}/{limit} failed: retrying")
            await asyncio.sleep(delay)
            delay = min(delay * _DELAY_FACTOR, _LAST_DELAY)

    async def _link(self, target: Endpoint, tunnel: asyncssh.SSHClientConnection | None) -> _Link:
        """Return a connection that lives and has room; else dial once, together with all who wait."""
        while True:
            links = [
                link
                for link in self._links.get(target.login, [])
                if link.limit > 0 and not link.connection.is_closed()
            ]
            self._links[target.login] = links
            for link in links:
                if link.sessions < link.limit:
                    return link
            dial = self._dials.get(target.login)
            if dial is None:
                dial = self._dials[target.login] = asyncio.create_task(self._dial_once(target, tunnel))
                # Whoever waits may be cancelled; the error is then nobody's.
                dial.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.shield(dial)

    async def _dial_once(self, target: Endpoint, tunnel: asyncssh.SSHClientConnection | None) -> None:
        try:
            connection = await _connect(target, tunnel)
            self._links[target.login].append(_Link(connection))
        finally:
            del self._dials[target.login]


class _Session(asyncssh.SSHClientSession[bytes]):
    """One command on a connection."""

    def __init__(self, job: Job, output: Output, log: Log) -> None:
        self.job, self.log = job, log
        self.requested = False  # whether the server was asked to start the command
        self._output = output
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._exited = asyncio.Event()

    async def start(self, connection: asyncssh.SSHClientConnection) -> None:
        """Open a channel, set the environment, start the command and send its input."""
        # An empty command would ask for an interactive shell.
        try:
            await connection.create_session(lambda: self, self.job.command or " ", encoding=None)
        except ProviderError:
            self._opened().close()
            raise
        # The command may end without reading its input.
        with contextlib.suppress(BrokenPipeError):
            self._opened().write(self.job.stdin_bytes())
            self._opened().write_eof()

    async def result(self) -> str | None:
        """Wait for the end of the command; return None or what went wrong."""
        try:
            await self._opened().wait_closed()
        except asyncio.CancelledError:
            ended = await self._ended_by("TERM", _TERM_GRACE) or await self._ended_by("KILL", _KILL_GRACE)
            # What the command left behind may hold the channel open.
            self._opened().abort()
            if not ended:
                raise
        return self._failure()

    async def _ended_by(self, signal: str, seconds: float) -> bool:
        with contextlib.suppress(OSError):  # closed in this moment
            self._opened().send_signal(signal)
        try:
            await asyncio.wait_for(self._exited.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        return True

    def _failure(self) -> str | None:
        signal, status = self._opened().get_exit_signal(), self._opened().get_exit_status()
        if signal:
            reason = f". Reason was: {signal[2]}" if signal[2] else ""
            number = 128 + _SIGNALS.get(signal[0], 0)
            return f"Process exited with status {number} from signal {signal[0]}{reason}"
        if status is None:
            return _LOST
        return f"Process exited with status {status}" if status else None

    def _opened(self) -> "asyncssh.SSHClientChannel[bytes]":
        assert self._channel is not None
        return self._channel

    @override
    def connection_made(self, chan: "asyncssh.SSHClientChannel[bytes]") -> None:
        """Set the environment before the command starts.

        asyncssh sends variables without asking whether they were accepted, which decides here between
        success and failure; so the request for the command is preceded by one for each variable.
        """
        self._channel = chan
        chan._make_request = functools.partial(self._request, chan._make_request)  # type: ignore[method-assign]

    async def _request(
        self, make_request: Callable[..., Awaitable[bool | None]], kind: bytes, *arguments: bytes
    ) -> bool | None:
        for name, value in self.job.environment.items():
            if not await make_request(b"env", String(name), String(value)):
                await asyncio.to_thread(self.log.message, "error", _NO_ENVIRONMENT.format(name))
                raise ProviderError(f'could not set environment variable "{name}": ssh: setenv failed')
        for name, value in self.job.previous.items():
            if not await make_request(b"env", String(name), String(value)):
                await asyncio.to_thread(self.log.message, "warning", _NO_ENVIRONMENT.format(name))
        self.requested = True
        return await make_request(kind, *arguments)

    @override
    def exit_status_received(self, status: int) -> None:
        self._exited.set()

    @override
    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self._exited.set()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._exited.set()

    @override
    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._output.feed(STDERR if datatype == asyncssh.EXTENDED_DATA_STDERR else STDOUT, data)


async def _connect(
    target: Endpoint, tunnel: asyncssh.SSHClientConnection | None
) -> asyncssh.SSHClientConnection:
    """Dial once.

    Raises:
        DialError: no connection, or the server does not accept it; in the words of the official plugin.
        ProviderError: a key cannot be read, so that another try is useless.
    """
    login, timeout = target.login, target.timeout or None
    keys = await _client_keys(login)
    try:
        return await asyncssh.connect(
            login.host,
            login.port,
            tunnel=tunnel,
            config=None,
            username=login.user,
            password=login.password,
            client_keys=keys or None,
            agent_path=None,
            gss_host=None,
            keepalive_interval=_KEEPALIVE,
            connect_timeout=timeout,
            login_timeout=target.timeout,
            **_host_key_options(login),
        )
    except asyncssh.PermissionDenied:
        raise DialError(
            "ssh: handshake failed: ssh: unable to authenticate, attempted methods "
            f"[{' '.join(_methods(login, keys))}], no supported methods remain"
        ) from None
    except asyncssh.HostKeyNotVerifiable:
        raise DialError("ssh: handshake failed: ssh: host key mismatch") from None
    except asyncssh.KeyExchangeFailed as error:
        raise DialError(f"ssh: handshake failed: {_no_algorithm(error.reason)}") from None
    except asyncssh.Error as error:
        raise DialError(f"ssh: handshake failed: {error.reason}") from None
    except (OSError, asyncio.TimeoutError) as error:
        raise DialError(_no_connection(login, error)) from None


async def _client_keys(login: Login) -> list[Any]:
    """Return the given key, then those of the agent.

    Raises:
        ProviderError: the key cannot be read, or the agent not be reached.
    """
    keys: list[Any] = []
    if login.private_key is not None:
        try:
            keys.append(asyncssh.import_private_key(login.private_key, login.private_key_password))
        except asyncssh.KeyEncryptionError:
            raise ProviderError("x509: decryption password incorrect") from None
        except asyncssh.KeyImportError as error:
            needs_password = "passphrase" in str(error).lower()
            raise ProviderError(
                "ssh: this private key is passphrase protected" if needs_password else "ssh: no key found"
            ) from None
    if login.agent:
        try:
            agent = await asyncssh.connect_agent(login.agent)
        except OSError as error:
            if keys:  # SSH_AUTH_SOCK may be a leftover, and there is another way in
                return keys
            raise ProviderError(f"dial unix {login.agent}: connect: {_reason(error)}") from None
        keys.extend(await agent.get_keys())
    return keys


def _host_key_options(login: Login) -> dict[str, Any]:
    """Return asyncssh's options that pin the host key; without a key any is accepted."""
    if login.host_key is None:
        return {"known_hosts": None}
    try:
        key = asyncssh.import_public_key(login.host_key)
    except asyncssh.KeyImportError:
        raise ProviderError("failed to parse host key: ssh: no key found") from None
    # The official plugin asks for signatures with SHA-1 here, which no current server gives.
    algorithms = _RSA_SIGNATURES if key.get_algorithm() == "ssh-rsa" else [key.get_algorithm()]
    return {"known_hosts": ([key], [], []), "server_host_key_algs": algorithms}


def _methods(login: Login, keys: list[Any]) -> list[str]:
    return ["none", *(["publickey"] if keys else []), *(["password"] if login.password is not None else [])]


def _no_algorithm(reason: str) -> str:
    """Return Go's wording of a key exchange that finds no common host key algorithm."""
    found = re.search(r"server host key .*sent (?P<sent>\S+) and received (?P<received>\S+)", reason)
    if not found:
        return f"ssh: {reason}"
    ours, theirs = (" ".join(f'"{name}"' for name in found[side].split(",")) for side in ("sent", "received"))
    return f"ssh: no common algorithm for host key; we offered: [{ours}], peer offered: [{theirs}]"


def _no_connection(login: Login, error: Exception) -> str:
    host = f"[{login.host}]" if ":" in login.host else login.host
    if isinstance(error, socket.gaierror):
        return f"dial tcp: lookup {login.host}: no such host"
    if isinstance(error, asyncio.TimeoutError):
        return f"dial tcp {host}:{login.port}: i/o timeout"
    return f"dial tcp {host}:{login.port}: connect: {_reason(error)}"


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number).lower() if number else str(error)

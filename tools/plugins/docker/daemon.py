"""The connection to the Docker daemon, and its errors in the words of the official plugin."""

import os
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

DEFAULT_HOST = "unix:///var/run/docker.sock"
_DIAL_SECONDS = 10.0
_CONNECTIONS = 64  # kept open at once; the engine runs that many operations at most on a large machine
_TLS_PORT, _PLAIN_PORT = 2376, 2375
_DIAL_STDIO = ("docker", "system", "dial-stdio")


class DockerError(Exception):
    """A call to the daemon failed. The text is for the user."""


class NotFound(DockerError):
    """The daemon has no such object."""


class Unreachable(DockerError):
    """No daemon answers."""


@dataclass(frozen=True)
class Address:
    """Where the daemon is.

    Args:
        host: unix://PATH, tcp://HOST:PORT or ssh://USER@HOST.
        certificates: folder with ca.pem, cert.pem and key.pem; "": no TLS.
        ssh_options: of the ssh command, before the destination.
    """

    host: str
    certificates: str = ""
    ssh_options: tuple[str, ...] = ()

    @property
    def uses_tls(self) -> bool:
        """Whether connections are encrypted with the certificates."""
        return bool(self.certificates) and self.host.startswith(("tcp://", "https://"))

    def certificate(self, name: str) -> str:
        """Return the path of one of the certificates."""
        return str(Path(self.certificates, name))

    def dial(self) -> socket.socket:
        """Open a connection without the docker library.

        Raises:
            OSError: nothing answers there.
        """
        parts = urlsplit(self.host)
        if parts.scheme == "unix":
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(_DIAL_SECONDS)
            try:
                connection.connect(parts.path)
            except OSError:
                connection.close()
                raise
            return connection
        if parts.scheme == "ssh":
            here, there = socket.socketpair()
            with there:
                self.serve_over_ssh(there)
            here.settimeout(_DIAL_SECONDS)
            return here
        port = parts.port or (_TLS_PORT if self.uses_tls else _PLAIN_PORT)
        connection = socket.create_connection((parts.hostname or "localhost", port), _DIAL_SECONDS)
        return self._encrypted(connection, parts.hostname) if self.uses_tls else connection

    def serve_over_ssh(self, connection: socket.socket) -> None:
        """Give a connection to an ssh that leads to the daemon, as `docker -H ssh://…` does."""
        parts = urlsplit(self.host)
        user = ["-l", parts.username] if parts.username else []
        port = ["-p", str(parts.port)] if parts.port else []
        subprocess.Popen(
            ["ssh", *self.ssh_options, *user, *port, "--", parts.hostname or "", *_DIAL_STDIO],
            stdin=connection.fileno(),
            stdout=connection.fileno(),
            stderr=subprocess.DEVNULL,
        )

    def _encrypted(self, connection: socket.socket, name: str | None) -> socket.socket:
        context = ssl.create_default_context(cafile=self.certificate("ca.pem"))
        context.load_cert_chain(self.certificate("cert.pem"), self.certificate("key.pem"))
        return context.wrap_socket(connection, server_hostname=name)


class _Gate:
    """A private socket whose every connection is one to the daemon over SSH: for the docker library.

    That library has its own way, which takes no options.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._listener = socket.socket(socket.AF_UNIX)
        with tempfile.TemporaryDirectory(prefix="itqan-docker-") as folder:
            self._listener.bind(f"{folder}/s")
            # The engine kills its plugins, so a name on the disk would stay: this one ends with the process.
            self.path = f"/proc/self/fd/{os.open(f'{folder}/s', os.O_PATH)}"
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                self._address.serve_over_ssh(connection)


class Daemon:
    """A Docker daemon; connected to when first needed.

    Args:
        address: where it is.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._lock = threading.Lock()
        self._gate: _Gate | None = None

    def ping(self) -> None:
        """Check that a daemon answers, without the docker library.

        Raises:
            Unreachable: none does.
        """
        try:
            with self.address.dial() as connection:
                connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
                answer = connection.recv(64)
        except (OSError, ValueError):
            answer = b""
        if b" 200 " not in answer:
            raise Unreachable(self._no_connection())

    def _no_connection(self) -> str:
        return f"Cannot connect to the Docker daemon at {self.address.host}. Is the docker daemon running?"

    @property
    def client(self) -> Any:
        """The docker library's client for the daemon's API.

        Raises:
            Unreachable: no daemon answers.
        """
        with self._lock:
            return self._client

    @cached_property
    def _client(self) -> Any:
        try:
            self.ping()
        except Unreachable as error:
            raise Unreachable(
                "failed to create Docker client: Error pinging Docker server, please make sure that "
                f"{self.address.host} is reachable and has a  '_ping' endpoint. Error: {error}"
            ) from None
        import docker

        tls: Any = False
        # No timeout: a build step or a stop may be silent for as long as it likes.
        never: Any = None
        if self.address.uses_tls:
            tls = docker.tls.TLSConfig(
                ca_cert=self.address.certificate("ca.pem"),
                verify=True,
                client_cert=(self.address.certificate("cert.pem"), self.address.certificate("key.pem")),
            )
        if self.address.host.startswith("ssh://"):
            self._gate = _Gate(self.address)
        return docker.APIClient(
            base_url=f"unix://{self._gate.path}" if self._gate else self.address.host,
            tls=tls,
            timeout=never,
            max_pool_size=_CONNECTIONS,
        )

    @contextmanager
    def errors(self, doing: str = "") -> Iterator[None]:
        """Turn the library's errors inside the block into DockerError.

        Args:
            doing: what stands before the daemon's own words, such as "Unable to create network".

        Raises:
            NotFound: the daemon has no such object.
            Unreachable: the daemon is gone.
            DockerError: the daemon refused.
        """
        import docker.errors
        import requests

        before = f"{doing}: " if doing else ""
        try:
            yield
        except docker.errors.NotFound as error:
            raise NotFound(f"{before}{daemon_said(error)}") from error
        except docker.errors.APIError as error:
            raise DockerError(f"{before}{daemon_said(error)}") from error
        except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            raise Unreachable(f"{before}{self._no_connection()}") from error


def daemon_said(error: Any) -> str:
    """Return a docker.errors.APIError as Docker's own client words it."""
    return f"Error response from daemon: {str(error.explanation or error).strip()}"

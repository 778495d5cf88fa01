"""The connection to the Docker daemon, and its errors in the words of the official plugin."""

import socket
import ssl
import subprocess
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
    """

    host: str
    certificates: str = ""

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
            return _dial_ssh(parts.netloc)
        port = parts.port or (_TLS_PORT if self.uses_tls else _PLAIN_PORT)
        connection = socket.create_connection((parts.hostname or "localhost", port), _DIAL_SECONDS)
        return self._encrypted(connection, parts.hostname) if self.uses_tls else connection

    def _encrypted(self, connection: socket.socket, name: str | None) -> socket.socket:
        context = ssl.create_default_context(cafile=self.certificate("ca.pem"))
        context.load_cert_chain(self.certificate("cert.pem"), self.certificate("key.pem"))
        return context.wrap_socket(connection, server_hostname=name)


def _dial_ssh(destination: str) -> socket.socket:
    """Connect the way `docker -H ssh://…` does: through the docker command at the other end."""
    name, _, port = destination.partition(":")
    here, there = socket.socketpair()
    with there:
        subprocess.Popen(
            ["ssh", *(["-p", port] if port else []), "--", name, "docker system dial-stdio"],
            stdin=there.fileno(),
            stdout=there.fileno(),
            stderr=subprocess.DEVNULL,
        )
    here.settimeout(_DIAL_SECONDS)
    return here


class Daemon:
    """A Docker daemon; connected to when first needed.

    Args:
        address: where it is.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._lock = threading.Lock()

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
        return docker.APIClient(
            base_url=self.address.host,
            tls=tls,
            timeout=never,
            use_ssh_client=True,
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

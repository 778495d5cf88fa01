"""Requests to the Docker daemon over its socket, without a client library: one takes about a millisecond."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

from .errors import DockerError

DEFAULT_HOST = "unix:///var/run/docker.sock"
# Seconds of silence after which the daemon counts as dead, and a registry as out of reach.
TIMEOUT = 20.0
# The same for a command in a container, and for a build, which may load packages.
COMMAND_PATIENCE, BUILD_PATIENCE = 120.0, 300.0
# Where the daemon lists each kind of object, ready for a further parameter.
LISTS = {
    "containers": "/containers/json?all=1&",
    "networks": "/networks?",
    "volumes": "/volumes?",
    "images": "/images/json?",
}


@dataclass(frozen=True)
class Answer:
    """An answer of the daemon: the HTTP status, and the body (JSON documents, one or more)."""

    status: int
    body: str

    def json(self) -> Any:
        """The body as data."""
        return json.loads(self.body)


class Daemon:
    """The Docker daemon that `DOCKER_HOST` names, or the one behind the default socket."""

    def __init__(self, host: str | None = None) -> None:
        self.host = host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
        self._url = urlsplit(self.host)
        if self._url.scheme not in ("unix", "tcp"):
            raise DockerError(f"DOCKER_HOST={self.host}: allowed: unix://PATH or tcp://HOST:PORT")

    def answers(self) -> bool:
        """Whether a daemon is there. Raises DockerError when this user may not talk to it."""
        try:
            return self.request("GET", "/_ping").status == 200
        except PermissionError:
            raise DockerError(
                f"no permission for {self.host}; type: sudo usermod -aG docker $USER, and log in again"
            ) from None
        except OSError:
            return False

    def has_image(self, image: str) -> bool:
        """Whether the daemon has the image. Raises OSError when no daemon answers."""
        return self.request("GET", f"/images/{quote(image, safe='/:')}/json").status == 200

    def objects(self, kind: str, label: str) -> list[dict[str, Any]]:
        """The containers, networks, volumes or images (`kind`) that carry `label` (`key=value`)."""
        listed = self.checked("GET", f"{LISTS[kind]}filters={quote(json.dumps({'label': [label]}))}").json()
        return (listed["Volumes"] or []) if kind == "volumes" else listed

    def pull(self, image: str) -> bool:
        """Whether the image could be pulled from its registry. Raises OSError when no daemon answers."""
        name, _, tag = image.partition(":")
        path = f"/images/create?fromImage={quote(name, safe='')}&tag={quote(tag or 'latest')}"
        try:
            answer = self.request("POST", path)
        except TimeoutError:
            return False
        return answer.status == 200 and self.has_image(image)

    def import_image(self, archive: Path, image: str, label: str) -> None:
        """Makes `image` of the root file system in a tar `archive`, with a `label` (`key=value`).

        Raises DockerError with the daemon's words.
        """
        name, _, tag = image.partition(":")
        query = f"fromSrc=-&repo={quote(name, safe='')}&tag={quote(tag)}&changes={quote(f'LABEL {label}')}"
        with archive.open("rb") as stream:
            self.checked("POST", f"/images/create?{query}", stream)

    def execute(self, container: str, *command: str) -> tuple[int, str]:
        """Runs a command in a container that runs. Returns its exit status and all that it printed.

        Raises DockerError with the daemon's words.
        """
        # With a terminal, the daemon does not frame what the command prints.
        wanted = {"Cmd": command, "AttachStdout": True, "AttachStderr": True, "Tty": True}
        made = self.checked("POST", f"/containers/{quote(container)}/exec", json.dumps(wanted).encode())
        path = f"/exec/{made.json()['Id']}"
        printed = self.checked("POST", f"{path}/start", b'{"Detach": false, "Tty": true}', COMMAND_PATIENCE)
        status = self.checked("GET", f"{path}/json").json()["ExitCode"]
        return int(status), printed.body.replace("\r\n", "\n").strip()

    def build(self, context: BinaryIO, image: str, arguments: Mapping[str, str]) -> None:
        """Builds `image` of a tar archive with a Dockerfile. Raises DockerError with the builder's words."""
        query = f"t={quote(image, safe='')}&rm=1&forcerm=1&buildargs={quote(json.dumps(dict(arguments)))}"
        said = self.checked("POST", f"/build?{query}", context, BUILD_PATIENCE).body
        messages = [json.loads(line) for line in said.splitlines() if line.strip()]
        if error := next((message["error"] for message in messages if "error" in message), None):
            last = "".join(message.get("stream", "") for message in messages).splitlines()[-15:]
            raise DockerError("\n    ".join([f"{image} cannot be built: {error}", *last]))

    def checked(
        self,
        method: str,
        path: str,
        body: BinaryIO | bytes | None = None,
        patience: float = TIMEOUT,
    ) -> Answer:
        """A request that has to succeed. Raises DockerError with the daemon's words, OSError as `request`."""
        answer = self.request(method, path, body, patience)
        if answer.status >= 400:
            raise DockerError(f"Docker refused {method} {path}: {answer.body.strip()}")
        return answer

    def request(
        self, method: str, path: str, body: BinaryIO | bytes | None = None, patience: float = TIMEOUT
    ) -> Answer:
        """One request; a body of bytes is JSON.

        Raises OSError when the daemon is not there or silent for `patience` seconds.
        """
        text = body if isinstance(body, bytes) else b""
        file = body if body and not isinstance(body, bytes) else None
        length = os.fstat(file.fileno()).st_size if file else len(text)
        kind = "Content-Type: application/json\r\n" if text else ""
        # HTTP/1.0: the daemon neither chunks its answer nor keeps the connection.
        head = f"{method} {path} HTTP/1.0\r\nHost: docker\r\n{kind}Content-Length: {length}\r\n\r\n"
        received = bytearray()
        with self._connect() as connection:
            connection.settimeout(patience)
            connection.sendall(head.encode() + text)
            if file:
                connection.sendfile(file)
            while block := connection.recv(65536):
                received += block
        head_received, _, body_received = bytes(received).partition(b"\r\n\r\n")
        status = head_received.split(b" ", 2)[1:2]
        if not status:
            raise ConnectionError(f"{self.host} does not speak HTTP")
        return Answer(int(status[0]), body_received.decode())

    def _connect(self) -> socket.socket:
        if self._url.scheme == "unix":
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(TIMEOUT)
            try:
                connection.connect(self._url.path)
            except OSError:
                connection.close()
                raise
            return connection
        address = (self._url.hostname or "localhost", self._url.port or 2375)
        plain = socket.create_connection(address, TIMEOUT)
        return _tls(plain, address[0]) if os.environ.get("DOCKER_TLS_VERIFY") else plain


def _tls(plain: socket.socket, name: str) -> socket.socket:
    """TLS with the files that Docker's own client reads: ca.pem, cert.pem and key.pem of DOCKER_CERT_PATH."""
    folder = Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
    import ssl  # only tcp with TLS pays for it

    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context.wrap_socket(plain, server_hostname=name)

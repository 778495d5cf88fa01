"""BuildKit's way back to this plugin: it asks here for credentials when a build pulls an image.

The daemon turns the connection of POST /session into one on which it is the gRPC client. grpcio cannot
serve on a connection that it did not accept, so the bytes are handed on to a server on a private socket.
"""

import socket
import tempfile
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import grpc

from tools.plugins.docker.daemon import Daemon, DockerError

_CREDENTIALS = "/moby.filesync.v1.Auth/Credentials"
_HEALTH = "/grpc.health.v1.Health/Check"
_SERVING = b"\x08\x01"  # HealthCheckResponse with status SERVING
_BLOCK = 1 << 16
# The registry of images without a registry in their name has another name in stored credentials.
_ALIASES = {"registry-1.docker.io": "https://index.docker.io/v1/"}
_SWITCHED = b" 101 "


class Session(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    """A session while the block runs.

    Args:
        credentials: user name and password by registry; other registries are asked without.
    """

    def __init__(self, daemon: Daemon, credentials: dict[str, dict[str, str]]) -> None:
        self.id = uuid.uuid4().hex
        self._daemon = daemon
        self._credentials = credentials

    def __enter__(self) -> "Session":
        self._there = self._connect()
        self._folder = tempfile.TemporaryDirectory()
        path = f"{self._folder.name}/s"
        self._server = grpc.server(ThreadPoolExecutor(2), handlers=[self])
        self._server.add_insecure_port(f"unix:{path}")
        self._server.start()
        self._here = socket.socket(socket.AF_UNIX)
        self._here.connect(path)
        for source, target in ((self._there, self._here), (self._here, self._there)):
            threading.Thread(target=_hand_on, args=(source, target), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in (self._there, self._here):
            connection.close()
        self._server.stop(None)
        self._folder.cleanup()

    def _connect(self) -> socket.socket:
        headers = {
            "Host": "docker",
            "Connection": "Upgrade",
            "Upgrade": "h2c",
            "X-Docker-Expose-Session-Uuid": self.id,
            "X-Docker-Expose-Session-Name": "itqan",
            "X-Docker-Expose-Session-Sharedkey": "",
            "X-Docker-Expose-Session-Grpc-Method": _CREDENTIALS,
        }
        lines = ["POST /session HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        connection = self._daemon.address.dial()
        connection.sendall("\r\n".join(lines).encode())
        answer = _read_head(connection)
        if _SWITCHED not in answer.partition(b"\r\n")[0]:
            connection.close()
            raise DockerError(f"the Docker daemon refused a build session: {answer.decode(errors='replace')}")
        connection.settimeout(None)
        return connection

    def service(self, handler_call_details: Any) -> Any:
        """Return what answers a call of BuildKit; None: not implemented, which it takes well."""
        answers = {_HEALTH: lambda _request, _context: _SERVING, _CREDENTIALS: self._answer_credentials}
        answer = answers.get(handler_call_details.method)
        return grpc.unary_unary_rpc_method_handler(answer) if answer else None

    def _answer_credentials(self, request: bytes, _context: Any) -> bytes:
        from tools.plugins.docker.build import protobuf_fields

        host = dict(protobuf_fields(request)).get(1, b"").decode()
        known = self._credentials.get(_ALIASES.get(host, host), {})
        return b"".join(
            _text_field(number, known[name])
            for number, name in ((1, "username"), (2, "password"))
            if name in known
        )


def _read_head(connection: socket.socket) -> bytes:
    """Read an HTTP answer up to its empty line, and not a byte of what follows."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            break
        head += byte
    return head


def _hand_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while block := source.recv(_BLOCK):
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # One end has gone, which is how a session ends.
        return


def _text_field(number: int, text: str) -> bytes:
    data = text.encode()
    size, length = len(data), b""
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + data

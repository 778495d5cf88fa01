"""One build at the daemon: the request, what it prints, and its end."""

import base64
import json
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from tools.plugins.docker.context import BuildContext
from tools.plugins.docker.daemon import Daemon, DockerError
from tools.plugins.docker.described import Log
from tools.plugins.docker.operations import Operation
from tools.plugins.docker.session import Session

BUILDKIT, CLASSIC = "2", "1"
_LINES_OF_FAILURE = 30  # of a step's output, shown when it fails
_VARINT, _FIXED64, _FIXED32 = 0, 1, 5  # how a field of a protobuf message is written; 2: with its size


@dataclass(frozen=True)
class BuildRequest:
    """What to build.

    Args:
        name: of the image, with tag.
        version: BUILDKIT or CLASSIC.
        parameters: further ones of the daemon's API; empty ones are left out.
        credentials: user name and password by registry, besides those of Docker's own configuration.
    """

    name: str
    context: BuildContext
    version: str = BUILDKIT
    parameters: dict[str, Any] = field(default_factory=dict)
    credentials: dict[str, dict[str, str]] = field(default_factory=dict)

    def query(self, dockerfile: str, session_id: str) -> dict[str, str]:
        """Return the query of POST /build."""
        query = {
            "t": self.name,
            "dockerfile": dockerfile,
            "version": self.version,
            "rm": "1",
            "session": session_id,
            **self.parameters,
        }
        return {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in query.items()
            if value
        }


def build(daemon: Daemon, request: BuildRequest, operation: Operation, log: Log) -> None:
    """Build an image, logging what the builder says.

    Raises:
        DockerError: the build failed.
        Cancelled: the operation was cancelled.
    """
    client = daemon.client
    credentials = {**_configured_credentials(), **request.credentials}
    headers = {
        "Content-Type": "application/x-tar",
        "X-Registry-Config": base64.urlsafe_b64encode(json.dumps(credentials).encode()).decode(),
    }
    session = Session(daemon, credentials) if request.version == BUILDKIT else nullcontext()
    with tempfile.TemporaryFile() as archive, session as opened:
        dockerfile = request.context.archive(archive)
        archive.seek(0)
        query = request.query(dockerfile, opened.id if opened else "")
        with daemon.errors("error building image"):
            response = _post(client, "build", params=query, headers=headers, data=archive, stream=True)
        # The daemon gives a build up when its connection ends.
        operation.on_cancel = response.raw.shutdown
        try:
            operation.check()
            with response, daemon.errors():
                _follow(response.iter_lines(), log)
        except DockerError as error:
            operation.check()
            raise DockerError(f"error reading build output: {error}") from error


def _configured_credentials() -> dict[str, dict[str, str]]:
    """Return what `docker login` has stored."""
    import docker.auth

    stored: Any = docker.auth.load_config()
    return {
        registry: {name.lower(): value for name, value in entry.items() if isinstance(value, str)}
        for registry, entry in stored.get_all_credentials().items()
        if entry
    }


def _post(client: Any, path: str, **arguments: Any) -> Any:
    import docker.errors
    import requests

    response = client.post(f"{client.base_url}/v{client.api_version}/{path}", **arguments)
    try:
        response.raise_for_status()
    except requests.HTTPError as error:
        raise docker.errors.create_api_error_from_http_exception(error) from error
    return response


def _follow(lines: Iterator[bytes], log: Log) -> None:
    progress = _Progress(log)
    for line in lines:
        message = json.loads(line)
        if "error" in message:
            progress.show_failure()
            raise DockerError(message.get("errorDetail", {}).get("message") or message["error"])
        if message.get("id") == "moby.buildkit.trace":
            progress.trace(base64.b64decode(message["aux"]))
        elif message.get("stream", "").strip():
            progress.say("", message["stream"].rstrip())


class _Progress:
    """What the builder prints, and the last lines of each step."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._names: dict[str, str] = {}
        self._said: dict[str, deque[str]] = {}
        self._failed = ""  # digest of the step; the classic builder has only one, without a digest

    def say(self, step: str, text: str) -> None:
        self._log("info", text)
        self._said.setdefault(step, deque(maxlen=_LINES_OF_FAILURE)).append(text)

    def trace(self, data: bytes) -> None:
        """Take a StatusResponse of BuildKit (api/services/control/control.proto)."""
        readers: dict[int, Callable[[dict[int, Any]], None]] = {1: self._vertex, 3: self._output}
        for number, value in protobuf_fields(data):
            if number in readers:
                readers[number](dict(protobuf_fields(value)))

    def _vertex(self, vertex: dict[int, Any]) -> None:
        digest, name = vertex[1].decode(), vertex.get(3, b"").decode(errors="replace")
        if digest not in self._names and 5 in vertex and not name.startswith("[internal]"):
            self._names[digest] = name
            self._log("info", name)
        if 7 in vertex:
            self._failed = digest

    def _output(self, entry: dict[int, Any]) -> None:
        text = entry.get(4, b"").decode(errors="replace").rstrip()
        if text:
            self.say(entry[1].decode(), text)

    def show_failure(self) -> None:
        """Log what the failed step printed, to stay."""
        said = self._said.get(self._failed)
        if said:
            name = self._names.get(self._failed, "the failed build")
            self._log("warning", "\n".join([f"{name} said:", *said]))


def protobuf_fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of the fields of a protobuf message: an int, or the bytes of text or message."""
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(data):
        number, kind = divmod(varint(), 8)
        if kind == _VARINT:
            yield number, varint()
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(kind)
        if size is None:
            size = varint()
        yield number, data[position : position + size]
        position += size

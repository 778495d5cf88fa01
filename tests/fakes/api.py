"""An HTTP API on a port of its own, held to its official description, and with faults on demand."""

from __future__ import annotations

import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

# What any API may answer without describing it: who asks is unknown, or asks too often.
UNDESCRIBED = frozenset({401, 429})
Own = TypeVar("Own", bound="Api")


class Description:
    """An OpenAPI description (3.0; its schemas are read as JSON Schema 2020-12)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def document(self) -> dict[str, Any]:
        """The whole of it."""
        found: dict[str, Any] = json.loads(self._path.read_text())
        return found

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """The described operation of a request; None where there is none. Words go before placeholders."""
        fitting = [
            (template.count("{"), operations[method.lower()])
            for template, operations in self.document["paths"].items()
            if method.lower() in operations and _fits(template, path)
        ]
        return min(fitting, key=lambda found: found[0])[1] if fitting else None

    def violations(self, method: str, path: str, body: object, status: int, answer: object) -> list[str]:
        """Where a request or its answer is not as the description says."""
        described = self.operation(method, path.partition("?")[0])
        if described is None:
            return [f"{method} {path} is not described"]
        schemas = []
        if "requestBody" in described and status < 400:
            schemas.append((described["requestBody"]["content"]["application/json"]["schema"], body))
        elif "requestBody" not in described and body is not None:
            return [f"{method} {path} has a body"]
        if str(status) in described["responses"]:
            response = self._resolved(described["responses"][str(status)])
            schemas.append((response["content"]["application/json"]["schema"], answer))
        elif status not in UNDESCRIBED:
            return [f"{method} {path} answered {status}, which is not described"]
        return [
            f"{method} {path}: {error.json_path}: {error.message}"
            for schema, value in schemas
            for error in self._validator(schema).iter_errors(value)
        ]

    def _validator(self, schema: Any) -> Draft202012Validator:
        document = DRAFT202012.create_resource(self._read)
        return Draft202012Validator(_read(schema), registry=Registry().with_resource("urn:api", document))

    @cached_property
    def _read(self) -> Any:
        return _read(self.document)

    def _resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            path, node = node["$ref"].removeprefix("#/").split("/"), self.document
            for name in path:
                node = node[name]
        return node


def _fits(template: str, path: str) -> bool:
    parts, wanted = path.split("/"), template.split("/")
    return len(parts) == len(wanted) and all(
        w == p or (w.startswith("{") and p) for p, w in zip(parts, wanted, strict=True)
    )


def _read(schema: Any) -> Any:
    """A schema whose references lead into the description; `nullable` is OpenAPI's own word."""
    if isinstance(schema, dict):
        made = {
            k: f"urn:api{v}" if k == "$ref" and str(v).startswith("#") else _read(v)
            for k, v in schema.items()
            if k != "nullable"
        }
        return {"anyOf": [made, {"type": "null"}]} if schema.get("nullable") is True else made
    return [_read(item) for item in schema] if isinstance(schema, list) else schema


@dataclass
class Fault:
    """What one request gets in the place of an answer.

    `method`, only a request of this kind, else any; `status`, `headers`, `content`, the answer; `delay`,
    seconds before it; `done`, the request is carried out nevertheless, and its answer is what is lost.
    """

    status: int = 500
    method: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None
    delay: float = 0
    done: bool = False


@dataclass(frozen=True)
class Answer:
    """What a request is answered with."""

    status: int
    body: object
    headers: dict[str, str] = field(default_factory=dict)


class Api:
    """The API as a context manager; it keeps the requests, and what of them is not as described.

    Arguments: `description`, the official one; `address`, where it listens; `tls`, certificate and key.
    """

    # The body of an answer that is a fault's.
    ERROR: object = {"message": "Error message"}

    def __init__(self, description: Description, address: str = "127.0.0.1", tls: Path | None = None) -> None:
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str, Any]] = []
        self.violations: list[str] = []
        self._description = description
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do(self) -> None:
                fake._answer(self)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do

            def log_message(self, *_: object) -> None:
                """The requests are kept, not printed."""

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self._server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://{address}:{self._server.server_port}"

    def __enter__(self: Own) -> Own:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def carry_out(self, request: BaseHTTPRequestHandler, body: Any) -> Answer:
        """The answer of a request."""
        raise NotImplementedError

    def called(self) -> list[str]:
        """Method and end of the path of every request."""
        return [f"{method} {path.rpartition('/')[2]}" for method, path, _ in self.requests]

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length") or 0)
        content = request.rfile.read(length)
        body = json.loads(content) if content else None
        with self._lock:
            self.requests.append((request.command, request.path, body))
            fault = next((f for f in self.faults if f.method in (None, request.command)), None)
            if fault:
                self.faults.remove(fault)
            answer = Answer(0, None) if fault and not fault.done else self.carry_out(request, body)
            if answer.status:
                self.violations += self._description.violations(
                    request.command, request.path, body, answer.status, answer.body
                )
        status, headers, sent = answer.status, answer.headers, json.dumps(answer.body).encode()
        if fault:
            status, headers = fault.status, fault.headers
            sent = json.dumps(self.ERROR).encode() if fault.content is None else fault.content
            time.sleep(fault.delay)
        request.send_response(status)
        for key, value in {
            "Content-Type": "application/json",
            **headers,
            "Content-Length": str(len(sent)),
        }.items():
            request.send_header(key, value)
        try:
            request.end_headers()
            request.wfile.write(sent)
        except OSError:
            return  # the client did not wait

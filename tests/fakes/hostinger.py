"""Hostinger's DNS API with a zone of its own, held to the official description, and with faults on demand."""

from __future__ import annotations

import copy
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

DESCRIPTION = Path(__file__).with_name("hostinger-dns.json")
CORRELATION = "26a91bd9-f8c8-4a83-9df9-83e23d696fe3"
Record = dict[str, Any]


@cache
def description() -> dict[str, Any]:
    """The official OpenAPI description (3.0; its schemas mean the same in JSON Schema 2020-12)."""
    found: dict[str, Any] = json.loads(DESCRIPTION.read_text())
    return found


def _validator(schema: Any) -> Draft202012Validator:
    document = DRAFT202012.create_resource(description())
    return Draft202012Validator(schema, registry=Registry().with_resource("urn:api", document))


def _absolute(schema: Any) -> Any:
    """A schema whose references lead into the description."""
    if isinstance(schema, dict):
        return {
            k: f"urn:api{v}" if k == "$ref" and str(v).startswith("#") else _absolute(v)
            for k, v in schema.items()
        }
    return [_absolute(item) for item in schema] if isinstance(schema, list) else schema


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        path, node = node["$ref"].removeprefix("#/").split("/"), description()
        for name in path:
            node = node[name]
    return node


def operation(method: str, path: str) -> dict[str, Any] | None:
    """The described operation of a request; None where there is none."""
    for template, operations in description()["paths"].items():
        parts, wanted = path.split("/"), template.split("/")
        fits = len(parts) == len(wanted) and all(
            w == p or (w.startswith("{") and p) for p, w in zip(parts, wanted, strict=True)
        )
        if fits and method.lower() in operations:
            found: dict[str, Any] = operations[method.lower()]
            return found
    return None


def violations(method: str, path: str, body: object, status: int, answer: object) -> list[str]:
    """Where a request or its answer is not as the description says."""
    described = operation(method, path)
    if described is None:
        return [f"{method} {path} is not described"]
    schemas = []
    if "requestBody" in described and status < 400:
        schemas.append((described["requestBody"]["content"]["application/json"]["schema"], body))
    elif "requestBody" not in described and body is not None:
        return [f"{method} {path} has a body"]
    if str(status) in described["responses"]:
        response = _resolved(described["responses"][str(status)])
        schemas.append((response["content"]["application/json"]["schema"], answer))
    elif status != 429:  # described in words: "Rate Limiting"
        return [f"{method} {path} answered {status}, which is not described"]
    return [
        f"{method} {path}: {error.json_path}: {error.message}"
        for schema, value in schemas
        for error in _validator(_absolute(schema)).iter_errors(value)
    ]


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


class _Refused(Exception):
    """422 with the official form of errors."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(next(iter(errors.values()))[0])
        self.errors = errors


class Hostinger:
    """The API on a port of its own, as a context manager.

    Arguments: `name` and `zone`, the only zone and its record sets; `token`, the only one it accepts;
    `publish`, called with the record sets after each change, as the provider's name servers are told;
    `address`, where it listens; `tls`, certificate and key.
    """

    def __init__(
        self,
        name: str,
        zone: list[Record],
        token: str,
        publish: Callable[[list[Record]], None] = lambda _: None,
        address: str = "127.0.0.1",
        tls: Path | None = None,
    ) -> None:
        self.name, self.zone, self.token, self.publish = name, copy.deepcopy(zone), token, publish
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str, Any]] = []
        self.violations: list[str] = []
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do(self) -> None:
                fake._answer(self)

            do_GET = do_PUT = do_POST = do_DELETE = do

            def log_message(self, *_: object) -> None:
                """The requests are kept, not printed."""

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self._server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://{address}:{self._server.server_port}"

    def __enter__(self) -> Hostinger:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def called(self) -> list[str]:
        """Method and end of the path of every request."""
        return [f"{method} {path.rpartition('/')[2]}" for method, path, _ in self.requests]

    def contents(self, name: str, kind: str) -> list[str]:
        """The contents of a record set."""
        entry = self._find(name, kind)
        return [record["content"] for record in entry["records"]] if entry else []

    def _find(self, name: str, kind: str) -> Record | None:
        return next((e for e in self.zone if (e["name"], e["type"]) == (name, kind)), None)

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length") or 0)
        content = request.rfile.read(length)
        body = json.loads(content) if content else None
        with self._lock:
            self.requests.append((request.command, request.path, body))
            fault = next((f for f in self.faults if f.method in (None, request.command)), None)
            if fault:
                self.faults.remove(fault)
            status, answer = self._carry_out(request, body) if not fault or fault.done else (0, None)
            if status:
                self.violations += violations(request.command, request.path, body, status, answer)
        headers, sent = {}, json.dumps(answer).encode()
        if fault:
            status, headers = fault.status, fault.headers
            error = {"message": "Error message", "correlation_id": CORRELATION}
            sent = json.dumps(error).encode() if fault.content is None else fault.content
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

    def _carry_out(self, request: BaseHTTPRequestHandler, body: Any) -> tuple[int, Any]:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return 401, {"message": "Unauthenticated", "correlation_id": CORRELATION}
        path = f"/api/dns/v1/zones/{self.name}"
        accepted = {
            ("GET", path): lambda: copy.deepcopy(self.zone),
            ("POST", f"{path}/validate"): lambda: self._validate(body),
            ("PUT", path): lambda: self._update(body),
            ("DELETE", path): lambda: self._delete(body),
        }
        action: Callable[[], Any] | None = accepted.get((request.command, request.path))
        if action is None:
            return 404, {"message": "Not found", "correlation_id": CORRELATION}
        try:
            return 200, action()
        except _Refused as refused:
            said = {"message": str(refused), "errors": refused.errors, "correlation_id": CORRELATION}
            return 422, said

    def _validate(self, body: Any) -> Record:
        for index, entry in enumerate(body["zone"]):
            for record in entry["records"]:
                if not _valid(entry["type"], record["content"]):
                    where = f"zone.{index}.records"
                    raise _Refused(
                        {where: [f"The content {record['content']} is not valid for {entry['type']}."]}
                    )
            self._one_kind(index, entry)
        return {"message": "Request accepted"}

    def _one_kind(self, index: int, entry: Record) -> None:
        """RFC 1034, 3.6.2: beside a CNAME nothing else stands."""
        if entry["type"] != "CNAME" and self._find(entry["name"], "CNAME"):
            raise _Refused({f"zone.{index}.name": [f"The name {entry['name']} has a CNAME."]})

    def _update(self, body: Any) -> Record:
        self._validate(body)
        for entry in body["zone"]:
            made = [
                {"content": _stored(entry["type"], r["content"]), "is_disabled": False}
                for r in entry["records"]
            ]
            found = self._find(entry["name"], entry["type"])
            if found is None:
                found = {"name": entry["name"], "records": [], "ttl": 14400, "type": entry["type"]}
                self.zone.append(found)
            found["ttl"] = entry.get("ttl", found["ttl"])
            found["records"] = made if body.get("overwrite", True) else found["records"] + made
        self.publish(self.zone)
        return {"message": "Request accepted"}

    def _delete(self, body: Any) -> Record:
        for number, wanted in enumerate(body["filters"]):
            found = self._find(wanted["name"], wanted["type"])
            if found is None:
                raise _Refused({f"filters.{number}": ["No such records."]})
            self.zone.remove(found)
        self.publish(self.zone)
        return {"message": "Request accepted"}


def _valid(kind: str, content: str) -> bool:
    if kind not in ("A", "AAAA"):
        return bool(content)
    try:
        return ipaddress.ip_address(content).version == {"A": 4, "AAAA": 6}[kind]
    except ValueError:
        return False


def _stored(kind: str, content: str) -> str:
    """TXT comes back in quotes, whether it was sent in them or not."""
    return f'"{content}"' if kind == "TXT" and not content.startswith('"') else content

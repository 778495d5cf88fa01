"""Hostinger's DNS API with a zone of its own, held to the official description."""

from __future__ import annotations

import copy
import ipaddress
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from .api import Answer, Api, Description, Fault

__all__ = ["CORRELATION", "DESCRIPTION", "Fault", "Hostinger", "violations"]

DESCRIPTION = Path(__file__).with_name("hostinger-dns.json")
CORRELATION = "26a91bd9-f8c8-4a83-9df9-83e23d696fe3"
Record = dict[str, Any]

violations = Description(DESCRIPTION).violations


class _Refused(Exception):
    """422 with the official form of errors."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(next(iter(errors.values()))[0])
        self.errors = errors


class Hostinger(Api):
    """The API on a port of its own, as a context manager.

    Arguments: `name` and `zone`, the only zone and its record sets; `token`, the only one it accepts;
    `publish`, called with the record sets after each change, as the provider's name servers are told;
    `address`, where it listens; `tls`, certificate and key.
    """

    ERROR = {"message": "Error message", "correlation_id": CORRELATION}  # noqa: RUF012

    def __init__(
        self,
        name: str,
        zone: list[Record],
        token: str,
        publish: Callable[[list[Record]], None] = lambda _: None,
        address: str = "127.0.0.1",
        tls: Path | None = None,
    ) -> None:
        super().__init__(Description(DESCRIPTION), address, tls)
        self.name, self.zone, self.token, self.publish = name, copy.deepcopy(zone), token, publish

    def contents(self, name: str, kind: str) -> list[str]:
        """The contents of a record set."""
        entry = self._find(name, kind)
        return [record["content"] for record in entry["records"]] if entry else []

    def _find(self, name: str, kind: str) -> Record | None:
        return next((e for e in self.zone if (e["name"], e["type"]) == (name, kind)), None)

    def carry_out(self, request: BaseHTTPRequestHandler, body: Any) -> Answer:
        """The answer of a request."""
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return Answer(401, {"message": "Unauthenticated", "correlation_id": CORRELATION})
        path = f"/api/dns/v1/zones/{self.name}"
        accepted = {
            ("GET", path): lambda: copy.deepcopy(self.zone),
            ("POST", f"{path}/validate"): lambda: self._validate(body),
            ("PUT", path): lambda: self._update(body),
            ("DELETE", path): lambda: self._delete(body),
        }
        action: Callable[[], Any] | None = accepted.get((request.command, request.path))
        if action is None:
            return Answer(404, {"message": "Not found", "correlation_id": CORRELATION})
        try:
            return Answer(200, action())
        except _Refused as refused:
            said = {"message": str(refused), "errors": refused.errors, "correlation_id": CORRELATION}
            return Answer(422, said)

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

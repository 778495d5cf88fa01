"""Whether a stack's site works as visitors see it: HTTPS, the application, WebSocket, a tenant."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import urllib3

from ..docker_hosts import host_of
from ..engine import Engine
from ..errors import OperationError
from ..machine import ready_engine
from ..steps import Steps
from ..table import grouped
from ..tunnel import forwarded

# RFC 6455, section 1.3: what a server's accept value is made with.
WEBSOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# Seconds for one answer, and for all checks to come right after a release.
TIMEOUT, PATIENCE = 10.0, 30.0
PAUSE = 0.5
# A tenant that nobody made: the application may know no page for it, and must not break over it.
NOBODY = "smoke-test"


@dataclass(frozen=True)
class Site:
    """A stack's site.

    address       where it is connected to, whatever the resolver says
    authority     PEM of an authority that is trusted beside this machine's; empty for a public one
    websocket     the path of the application's WebSocket
    https, http   the ports there
    """

    domain: str
    address: str
    authority: str
    websocket: str
    https: int = 443
    http: int = 80

    def get(self, path: str, host: str = "", headers: Mapping[str, str] | None = None) -> Any:
        """GET over HTTPS, the chain verified for the name that is asked for; no redirect followed."""
        name = host or self.domain
        context = ssl.create_default_context()
        if self.authority:
            context.load_verify_locations(cadata=self.authority)
        with urllib3.HTTPSConnectionPool(
            self.address,
            self.https,
            ssl_context=context,
            server_hostname=name,
            assert_hostname=name,
            timeout=TIMEOUT,
        ) as pool:
            sent = {"Host": name, "User-Agent": "itqan", **(headers or {})}
            return pool.request("GET", path, headers=sent, redirect=False, retries=False)

    def get_plain(self) -> Any:
        """GET over HTTP."""
        with urllib3.HTTPConnectionPool(self.address, self.http, timeout=TIMEOUT) as pool:
            return pool.request("GET", "/", headers={"Host": self.domain}, redirect=False, retries=False)


@dataclass(frozen=True)
class Check:
    """One question to the site and its answer."""

    name: str
    passed: bool
    found: str


@dataclass(frozen=True)
class Smoke:
    """All checks of a stack's site."""

    stack: str
    checks: list[Check]

    @property
    def failed(self) -> list[Check]:
        """Those that are not as they should be."""
        return [check for check in self.checks if not check.passed]

    def table(self) -> str:
        """The whole as text."""
        rows = [("site", (c.name, "passed" if c.passed else "failed", c.found)) for c in self.checks]
        return "\n".join([*grouped(("check", "result", "found"), rows), "", self.closing_line()])

    def closing_line(self) -> str:
        """What was found, in one line."""
        passed = len(self.checks) - len(self.failed)
        return f"itqan {self.stack}: {passed} of {len(self.checks)} smoke tests passed"

    def to_json(self) -> str:
        """The whole as one JSON object."""
        shown = {"stack": self.stack, "checks": [asdict(check) for check in self.checks]}
        return json.dumps(shown, indent=2, ensure_ascii=False)


def smoke(stack: str, steps: Steps, tenant: str | None = None) -> Smoke:
    """Tries a stack's site.

    Arguments: `tenant`, one whose page has to be there (None: an unknown one, whose page may be missing).
    Raises OperationError when the stack is not up or its configuration cannot be read.
    """
    engine = ready_engine(steps)
    site = site_of(stack, engine)
    deadline = time.monotonic() + PATIENCE
    return Smoke(stack, [_asked(name, ask, deadline) for name, ask in questions(site, tenant)])


def site_of(stack: str, engine: Engine) -> Site:
    """The site that a stack's outputs tell of. Raises OperationError."""
    from ..audit import read_settings

    [settings] = read_settings([stack], engine)
    outputs = json.loads(engine.call("stack", "output", "--json", "--stack", stack))
    if not outputs.get("domain"):
        raise OperationError(f"stack {stack} is not up; type: ./itqan up --stack {stack}")
    key = settings.reverb_app_key.get_secret_value()
    address, *ports = _reached(stack, outputs)
    return Site(
        outputs["domain"],
        address,
        str(outputs.get("rootCertificate") or ""),
        f"/app/{key}?protocol=7&client=itqan&version=1",
        *ports,
    )


def _reached(stack: str, outputs: Mapping[str, Any]) -> tuple[str, int, int]:
    """Where this machine reaches the site: address, ports of HTTPS and HTTP. Raises HostUnreachable."""
    ports = (443, 80)
    if not outputs.get("dockerHost") or (host := host_of(stack)) is None:
        return outputs["address"], *ports
    https, http = forwarded(host, outputs["address"], ports)
    return "127.0.0.1", https, http


def questions(site: Site, tenant: str | None) -> list[tuple[str, Callable[[], tuple[bool, str]]]]:
    """Each check's name, and what asks: whether all is well, and what was found."""
    name = f"{tenant or NOBODY}.{site.domain}"
    return [
        (f"https://{site.domain} with a valid chain", lambda: _status(site.get("/"), below=400)),
        ("http redirects to https", lambda: _redirect(site)),
        ("the application finds itself healthy, /up", lambda: _status(site.get("/up"), below=300)),
        ("WebSocket handshake", lambda: _handshake(site)),
        (f"https://{name}", lambda: _status(site.get("/", name), below=400 if tenant else 500)),
    ]


def _asked(name: str, ask: Callable[[], tuple[bool, str]], deadline: float) -> Check:
    """Asks until the answer is right or time is up: workers start a moment after a release."""
    while True:
        try:
            passed, found = ask()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            passed, found = False, _reason(error)
        if passed or time.monotonic() >= deadline:
            return Check(name, passed, found)
        time.sleep(PAUSE)


def _reason(error: Exception) -> str:
    """The innermost words of an error of the connection."""
    while inner := (error.__cause__ or error.__context__):
        if not isinstance(inner, Exception):
            break
        error = inner
    return " ".join(str(error).split()) or type(error).__name__


def _status(answer: Any, below: int) -> tuple[bool, str]:
    return answer.status < below, str(answer.status)


def _redirect(site: Site) -> tuple[bool, str]:
    answer = site.get_plain()
    place = answer.headers.get("Location", "")
    return answer.status in (301, 308) and place.startswith("https://"), f"{answer.status} {place}".strip()


def _handshake(site: Site) -> tuple[bool, str]:
    """RFC 6455, section 4.1; `curl -I` on that path would prove nothing, Reverb answers it with 404."""
    nonce = base64.b64encode(secrets.token_bytes(16)).decode()
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": nonce,
    }
    answer = site.get(site.websocket, headers=headers)
    digest = hashlib.sha1(f"{nonce}{WEBSOCKET}".encode(), usedforsecurity=False).digest()
    accepted = answer.headers.get("Sec-WebSocket-Accept") == base64.b64encode(digest).decode()
    return answer.status == 101 and accepted, str(answer.status)

"""Whether a stack's site works as visitors see it: HTTPS, the application, WebSocket, a tenant."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import urllib3

from ..docker_hosts import host_of
from ..engine import Engine
from ..errors import OperationError
from ..machine import ready_engine
from ..site import Site, handshake, reached, reason, websocket_path
from ..steps import Steps
from ..table import grouped

# Seconds for all checks to come right after a release.
PATIENCE = 30.0
PAUSE = 0.5
# A tenant that nobody made: the application may know no page for it, and must not break over it.
NOBODY = "smoke-test"


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
    host = host_of(stack) if outputs.get("dockerHost") else None
    address, https, http = reached(outputs["address"], (443, 80), host)
    return Site(
        outputs["domain"],
        address,
        str(outputs.get("rootCertificate") or ""),
        websocket_path(settings),
        https,
        http,
    )


def questions(site: Site, tenant: str | None) -> list[tuple[str, Callable[[], tuple[bool, str]]]]:
    """Each check's name, and what asks: whether all is well, and what was found."""
    name = f"{tenant or NOBODY}.{site.domain}"
    return [
        (f"https://{site.domain} with a valid chain", lambda: _status(site.get("/"), below=400)),
        ("http redirects to https", lambda: _redirect(site)),
        ("the application finds itself healthy, /up", lambda: _status(site.get("/up"), below=300)),
        ("WebSocket handshake", lambda: handshake(site)),
        (f"https://{name}", lambda: _status(site.get("/", name), below=400 if tenant else 500)),
    ]


def _asked(name: str, ask: Callable[[], tuple[bool, str]], deadline: float) -> Check:
    """Asks until the answer is right or time is up: workers start a moment after a release."""
    while True:
        try:
            passed, found = ask()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            passed, found = False, reason(error)
        if passed or time.monotonic() >= deadline:
            return Check(name, passed, found)
        time.sleep(PAUSE)


def _status(answer: Any, below: int) -> tuple[bool, str]:
    return answer.status < below, str(answer.status)


def _redirect(site: Site) -> tuple[bool, str]:
    answer = site.get_plain()
    place = answer.headers.get("Location", "")
    return answer.status in (301, 308) and place.startswith("https://"), f"{answer.status} {place}".strip()

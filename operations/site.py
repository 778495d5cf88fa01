"""A stack's site as visitors reach it."""

from __future__ import annotations

import base64
import hashlib
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import urllib3

from .tunnel import forwarded

if TYPE_CHECKING:
    from settings import DockerHost, Settings

# RFC 6455, section 1.3: what a server's accept value is made with.
WEBSOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# Seconds for one answer.
TIMEOUT = 10.0


@dataclass(frozen=True)
class Site:
    """A stack's site.

    address       where it is connected to, whatever the resolver says
    authority     PEM of an authority that is trusted beside this machine's; empty for a public one
    websocket     the path of the application's WebSocket
    https, http   the ports there
    patience      seconds for one answer
    """

    domain: str
    address: str
    authority: str
    websocket: str
    https: int = 443
    http: int = 80
    patience: float = TIMEOUT

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
            timeout=self.patience,
        ) as pool:
            sent = {"Host": name, "User-Agent": "itqan", **(headers or {})}
            return pool.request("GET", path, headers=sent, redirect=False, retries=False)

    def get_plain(self) -> Any:
        """GET over HTTP."""
        with urllib3.HTTPConnectionPool(self.address, self.http, timeout=self.patience) as pool:
            return pool.request("GET", "/", headers={"Host": self.domain}, redirect=False, retries=False)


def reached(address: str, ports: tuple[int, int], host: DockerHost | None) -> tuple[str, int, int]:
    """Where this machine reaches two ports of an address: the address, and the ports there.

    Arguments: `host`, the Docker host whose network the address is of; None: it is in reach.
    Raises HostUnreachable.
    """
    if host is None:
        return address, *ports
    first, second = forwarded(host, address, ports)
    return "127.0.0.1", first, second


def websocket_path(settings: Settings) -> str:
    """The path of the application's WebSocket, as a browser asks for it."""
    key = settings.reverb_app_key.get_secret_value()
    return f"/app/{key}?protocol=7&client=itqan&version=1"


def reason(error: Exception) -> str:
    """The innermost words of an error of the connection."""
    while inner := (error.__cause__ or error.__context__):
        if not isinstance(inner, Exception):
            break
        error = inner
    return " ".join(str(error).split()) or type(error).__name__


def handshake(site: Site) -> tuple[bool, str]:
    """Whether a WebSocket opens (RFC 6455, section 4.1), and the status.

    `curl -I` on that path would prove nothing: Reverb answers it with 404.
    """
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

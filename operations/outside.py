"""What others see of a stack: names, pages, WebSocket, certificates; asked while the host is looked at."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import urllib3

from .resolver import ask, resolve
from .site import Site, handshake, reached, reason, websocket_path

if TYPE_CHECKING:
    from settings import Settings

Ask = Callable[[], str]
SILENT = "error no answer in time"


class Answers:
    """Questions that are being asked, each in a thread of its own that nobody waits for at the end."""

    def __init__(self, questions: dict[str, Ask]) -> None:
        """Arguments: `questions`, by name; each returns its answer, or raises what is one, too."""
        self._found: dict[str, str] = {}
        self._threads = {
            name: threading.Thread(target=self._answer, args=(name, question), daemon=True)
            for name, question in questions.items()
        }
        for thread in self._threads.values():
            thread.start()

    def _answer(self, name: str, question: Ask) -> None:
        try:
            self._found[name] = question()
        except urllib3.exceptions.NewConnectionError as error:  # one of their time-outs, too
            self._found[name] = f"error {_words(_innermost(error))}"
        except (TimeoutError, urllib3.exceptions.TimeoutError):
            self._found[name] = SILENT
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            self._found[name] = f"error {_words(_innermost(error))}"

    def until(self, deadline: float) -> dict[str, str]:
        """All answers; who has not answered by then (time.monotonic()) is said to be silent."""
        for thread in self._threads.values():
            thread.join(max(deadline - time.monotonic(), 0))
        return {name: self._found.get(name, SILENT) for name in self._threads}


def _innermost(error: Exception) -> Exception:
    while isinstance(inner := error.__cause__ or error.__context__, Exception):
        error = inner
    return error


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return "the name cannot be resolved"
    return getattr(error, "strerror", None) or reason(error)


@dataclass(frozen=True)
class Way:
    """Where this machine reaches a stack's site, its HTTPS port, and the name server where one is given."""

    address: str
    https: int
    name_server: tuple[str, int] | None


def way_to(settings: Settings) -> Way:
    """The way to a stack; to a copy on another Docker host through that, until this process ends.

    Raises HostUnreachable.
    """
    host, server = settings.docker_host, settings.name_server
    address, https, _ = reached(str(settings.server_address), (443, 80), host)
    if server is None:
        return Way(address, https, None)
    at, port, _ = reached(str(server), (53, 53), host)
    return Way(address, https, (at, port))


def questions(settings: Settings, way: Way, tenant: str, patience: float) -> dict[str, Ask]:
    """What is asked about a stack.

    Arguments: `tenant`, a name that nobody has; `patience`, seconds for each answer.
    """
    from components.health import site as seen

    address, https = way.address, way.https
    site = Site(settings.domain, address, _root(settings), websocket_path(settings), https, patience=patience)
    conference = f"conference.{settings.domain}"
    asked: dict[str, Ask] = {
        seen.PAGE: partial(_page, site, settings.domain),
        seen.TENANT: partial(_page, site, f"{tenant}.{settings.domain}"),
        seen.WEBSOCKET: partial(_websocket, site),
        seen.SERVED: partial(served_digest, address, https, f"{tenant}.{settings.domain}", patience),
    }
    for name in seen.asked_names(settings, tenant):
        asked[f"dns {name}"] = partial(_addresses, way.name_server, name, patience)
    if settings.target == "host":
        asked[seen.LIVEKIT] = partial(tls, conference, 443, patience)
    return asked


def _root(settings: Settings) -> str:
    """The authority of a copy; a server's has to be one that this machine knows."""
    if settings.target != "docker" or settings.certificate.directory is not None:
        return ""
    from components.authority import root_certificate

    return root_certificate(settings)


def _page(site: Site, host: str) -> str:
    began = time.monotonic()
    answer = site.get("/", host)
    return f"{answer.status} {time.monotonic() - began:.3f}"


def _websocket(site: Site) -> str:
    opened, status = handshake(site)
    return status if opened or status != "101" else "101 without the accept value of this handshake"


def _addresses(server: tuple[str, int] | None, name: str, patience: float) -> str:
    return " ".join(ask(*server, name, patience) if server else resolve(name))


def served_digest(address: str, port: int, name: str, patience: float) -> str:
    """SHA-256 of the certificate that is shown for a name, hexadecimal. Raises OSError.

    The chain is not verified here: the certificate is compared with the one on the host, whoever signed it,
    and a wrong one has to be seen to be told.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((address, port), patience) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        certificate = secure.getpeercert(binary_form=True)
    return hashlib.sha256(certificate or b"").hexdigest().upper()


def tls(host: str, port: int, patience: float) -> str:
    """The protocol of a verified connection, and when the certificate ends, since 1970. Raises OSError."""
    context = ssl.create_default_context()
    with (
        socket.create_connection((host, port), patience) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        until, version = str((secure.getpeercert() or {}).get("notAfter")), secure.version()
    return f"{version} {ssl.cert_time_to_seconds(until)}"

"""The catcher of a copy: what its application sends out comes here and goes no further.

itqan-catcher serve       takes mail (127.0.0.1:1025) and what else the firewall leads here (127.0.0.1:1080)
itqan-catcher list        a line of JSON for each thing that was caught, the oldest first
itqan-catcher show NUMBER one of them whole, as JSON

HTTP and HTTPS are answered with 200 and {"caught": true}. For HTTPS there is an authority of the copy's own,
made at the first start, that only this copy trusts. Anything else is noted and closed. Needs Python 3.10 and
openssl 3.0.
"""

from __future__ import annotations

import contextlib
import email
import email.header
import email.policy
import http.server
import json
import os
import re
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path("/var/lib/itqan-catcher")
MAIL_PORT, OTHER_PORT = 1025, 1080
KEPT = 500  # of the newest
LONGEST = 1 << 20  # bytes of one of them that are kept
PATIENCE = 10.0  # seconds for the first byte; a minute for each further one
SO_ORIGINAL_DST = 80  # linux/netfilter_ipv4.h
SMTPS = 465
TLS_HANDSHAKE = b"\x16"
METHOD = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE) ")
NAME = re.compile(r"[A-Za-z0-9.:-]{1,253}")


class Store:
    """What was caught: one file each, numbered."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, threading.Lock()

    def keep(self, kind: str, to: str, what: str, raw: bytes) -> None:
        """Keeps one thing: `mail`, `http` or `other`, to whom, what it is in a line, and the whole of it."""
        with self._lock:
            numbers = self.numbers()
            number = (numbers[-1] if numbers else 0) + 1
            entry = {
                "number": number,
                "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "kind": kind,
                "to": to,
                "what": " ".join(what.split()),
                "text": raw[:LONGEST].decode("utf-8", "replace"),
            }
            part = self._folder / "part"
            part.write_text(json.dumps(entry, ensure_ascii=False))
            part.replace(self._path(number))
            for old in numbers[: len(numbers) + 1 - KEPT]:
                self._path(old).unlink(missing_ok=True)
        print(f"caught {number}: {kind} to {to}: {entry['what']}", flush=True)

    def numbers(self) -> list[int]:
        """Of all that is kept, in order."""
        return sorted(int(path.stem) for path in self._folder.glob("[0-9]*.json"))

    def entry(self, number: int) -> dict[str, Any]:
        """One of them. Raises FileNotFoundError."""
        found: dict[str, Any] = json.loads(self._path(number).read_text())
        return found

    def entries(self) -> Iterator[dict[str, Any]]:
        """All of them without their text."""
        for number in self.numbers():
            with contextlib.suppress(FileNotFoundError):  # a newer one took its place
                yield {key: value for key, value in self.entry(number).items() if key != "text"}

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06}.json"


class Authority:
    """Signs a certificate for whatever name is asked for."""

    def __init__(self, folder: Path) -> None:
        self._key, self.certificate = folder / "authority.key", folder / "authority.pem"
        self._folder, self._names = folder, folder / "names"
        self._lock, self._signing = threading.Lock(), threading.Lock()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._names.mkdir(exist_ok=True)
        if not self.certificate.exists():
            self._make()

    def _make(self) -> None:
        part = self._folder / "authority.part"
        extensions = ["basicConstraints=critical,CA:TRUE,pathlen:0", "keyUsage=critical,keyCertSign"]
        _openssl(["-days", "3650", "-subj", "/CN=Itqan catcher of this copy"], extensions, self._key, part)
        part.replace(self.certificate)

    def context(self, name: str) -> ssl.SSLContext:
        """What a server of that name, or of that address, needs for TLS."""
        with self._lock:
            if name not in self._contexts:
                self._contexts[name] = self.fresh_context(name)
            return self._contexts[name]

    def fresh_context(self, name: str) -> ssl.SSLContext:
        """The same, for one connection alone."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._signed(name))
        return context

    def _signed(self, name: str) -> tuple[Path, Path]:
        certificate, key = self._names / f"{name}.pem", self._names / f"{name}.key"
        with self._signing:
            if not certificate.exists():
                kind = "IP" if re.fullmatch(r"[0-9.]+|.*:.*", name) else "DNS"
                signer = ["-CA", str(self.certificate), "-CAkey", str(self._key), "-subj", "/CN=caught"]
                extensions = [f"subjectAltName={kind}:{name}", "basicConstraints=critical,CA:FALSE"]
                part = self._names / "part"
                _openssl([*signer, "-days", "397"], extensions, key, part)
                part.replace(certificate)
        return certificate, key


def _openssl(options: list[str], extensions: list[str], key: Path, certificate: Path) -> None:
    """Makes a key and a certificate; by its own configuration, as the distribution's adds extensions."""
    own = ["subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid", *extensions]
    text = "\n".join(["[req]", "distinguished_name=name", "x509_extensions=own", "[name]", "[own]", *own, ""])
    words = ["openssl", "req", "-x509", "-config", "/dev/stdin", "-nodes"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(
        [*words, *curve, *options, "-keyout", str(key), "-out", str(certificate)],
        input=text.encode(),
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def original(connection: socket.socket) -> tuple[str, int]:
    """Where a connection was to go before the firewall led it here."""
    try:
        found = connection.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
    except OSError:
        host, port = connection.getsockname()[:2]
        return str(host), int(port)
    port, address = struct.unpack("!2xH4s8x", found)
    return socket.inet_ntoa(address), port


class Caught(socketserver.BaseRequestHandler):
    """A connection, whatever it speaks."""

    server: Catcher

    def handle(self) -> None:
        """Finds out what it speaks, and keeps what it says."""
        connection: socket.socket = self.request
        host, port = original(connection)
        connection.settimeout(PATIENCE)
        try:
            if port == SMTPS:
                connection, host = self._tls(connection, host)
            if self.server.is_mail or port == SMTPS:
                Mail(connection, self.server.store).run()
            else:
                self._other(connection, host, port)
        except (OSError, ssl.SSLError, ValueError) as error:
            self.server.store.keep("other", f"{host} port {port}", f"broken off: {error}", b"")

    def _other(self, connection: socket.socket, host: str, port: int) -> None:
        scheme, usual, first = "http", 80, _peek(connection)
        if first[:1] == TLS_HANDSHAKE:
            connection, host = self._tls(connection, host)
            scheme, usual, first = "https", 443, b""
        if scheme == "http" and not METHOD.match(first):
            self.server.store.keep("other", f"{host} port {port}", "no HTTP: closed", first)
            return
        connection.settimeout(60)
        Web(connection, f"{scheme}://{host}{'' if port == usual else f':{port}'}", self.server)

    def _tls(self, connection: socket.socket, host: str) -> tuple[ssl.SSLSocket, str]:
        """The connection inside TLS, and the name that was asked for."""
        asked: list[str] = []
        authority = self.server.authority

        def choose(inside: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            if name and NAME.fullmatch(name):
                asked.append(name)
                inside.context = authority.context(name)

        context = authority.fresh_context(host)
        context.sni_callback = choose
        return context.wrap_socket(connection, server_side=True), asked[0] if asked else host


def _peek(connection: socket.socket) -> bytes:
    """What comes first; nothing where the other side waits to be spoken to."""
    try:
        return connection.recv(16, socket.MSG_PEEK)
    except TimeoutError:
        return b""


class Web(http.server.BaseHTTPRequestHandler):
    """Requests of HTTP, each kept and answered as if all were well."""

    protocol_version = "HTTP/1.1"
    ANSWER = b'{"caught": true}\n'

    def __init__(self, connection: socket.socket, base: str, server: Catcher) -> None:
        self._base, self._store = base, server.store
        super().__init__(connection, ("", 0), server)

    def caught(self) -> None:
        """Keeps the request."""
        host = self.headers.get("Host", "")
        # the name that was meant, where the address alone is known
        base = f"{self._base.partition('//')[0]}//{host}" if NAME.fullmatch(host) else self._base
        body = self._body()
        head = f"{self.requestline}\n{self.headers}".encode("utf-8", "surrogateescape")
        self._store.keep("http", base, f"{self.command} {self.path}", head + body)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.ANSWER)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.ANSWER)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = caught

    def do_CONNECT(self) -> None:
        """A proxy is asked to let something out."""
        self._store.keep("other", self.path, "CONNECT: refused", b"")
        self.send_error(403)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0] or b"0", 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def log_message(self, *_: object) -> None:
        """The store tells."""


class Mail:
    """A server of SMTP (RFC 5321) that accepts everything and delivers nothing."""

    def __init__(self, connection: socket.socket, store: Store) -> None:
        connection.settimeout(60)
        self._read, self._write, self._store = connection.makefile("rb"), connection.makefile("wb"), store
        self._to: list[str] = []

    def run(self) -> None:
        """The whole conversation."""
        self._say("220 catcher of this copy")
        while line := self._read.readline(LONGEST):
            words = line.decode("utf-8", "replace").strip()
            verb = words[:4].upper()
            if verb == "DATA":
                self._data()
            elif verb == "QUIT":
                self._say("221 good bye")
                return
            else:
                self._answer(verb, words)

    def _answer(self, verb: str, words: str) -> None:
        if verb == "EHLO":
            self._say("250-catcher", "250-8BITMIME", "250 SMTPUTF8")
        elif verb in ("HELO", "MAIL", "RCPT", "RSET", "NOOP"):
            if verb == "RCPT":
                self._to.append(words.partition(":")[2].strip().partition(" ")[0].strip("<>"))
            elif verb in ("MAIL", "RSET"):
                self._to = []
            self._say("250 so be it")
        else:
            self._say("502 not here")

    def _data(self) -> None:
        self._say("354 go on; a dot ends it")
        lines: list[bytes] = []
        while (line := self._read.readline()) and line.rstrip(b"\r\n") != b".":
            lines.append(line.removeprefix(b"."))
        if not line:
            raise ValueError("the connection ended within a mail")
        raw = b"".join(lines)
        subject = email.message_from_bytes(raw, policy=email.policy.default)["Subject"]
        self._store.keep("mail", ", ".join(self._to), str(subject or "(no subject)"), raw)
        self._say("250 caught")

    def _say(self, *lines: str) -> None:
        self._write.write("".join(f"{line}\r\n" for line in lines).encode())
        self._write.flush()


class Catcher(socketserver.ThreadingTCPServer):
    """Listens at one port of the loopback address."""

    allow_reuse_address = daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, store: Store, authority: Authority, is_mail: bool = False) -> None:
        self.store, self.authority, self.is_mail = store, authority, is_mail
        super().__init__(("127.0.0.1", port), Caught)


def serve(folder: Path) -> None:
    """Until the process ends."""
    store, authority = Store(folder), Authority(folder)
    mail = Catcher(MAIL_PORT, store, authority, is_mail=True)
    threading.Thread(target=mail.serve_forever, daemon=True).start()
    Catcher(OTHER_PORT, store, authority).serve_forever()


def main(words: list[str]) -> int:
    """Runs a command. Returns the exit status."""
    store = Store(FOLDER)
    try:
        match words:
            case ["serve"]:
                os.umask(0o077)
                serve(FOLDER)
            case ["list"]:
                for entry in store.entries():
                    print(json.dumps(entry, ensure_ascii=False))
            case ["show", number] if number.isdigit():
                print(json.dumps(store.entry(int(number)), ensure_ascii=False))
            case _:
                print("itqan-catcher: usage: itqan-catcher serve|list|show NUMBER", file=sys.stderr)
                return 1
    except FileNotFoundError:
        print(f"itqan-catcher: nothing of number {words[-1]} was caught", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

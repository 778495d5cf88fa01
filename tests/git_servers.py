"""Git servers on loopback: one over SSH, which knows keys, one over HTTPS, which knows a token."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import asyncssh

HOST = "127.0.0.1"


class SshServer(threading.Thread):
    """Runs `git-upload-pack` for whoever shows a key of `keys`, a file as authorized_keys."""

    def __init__(self, keys: Path) -> None:
        super().__init__(daemon=True)
        self._keys, self._ready = keys, threading.Event()
        self._loop = asyncio.new_event_loop()
        self.port = 0
        self.host_key = ""

    def run(self) -> None:
        self._loop.run_until_complete(self._listen())
        self._loop.run_forever()

    async def _listen(self) -> None:
        key = asyncssh.generate_private_key("ssh-ed25519")
        keys = self._keys

        class Login(asyncssh.SSHServer):
            """Reads the keys anew for each login, as sshd does."""

            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                self._conn = conn

            def begin_auth(self, _username: str) -> bool:
                if text := keys.read_text():
                    self._conn.set_authorized_keys(asyncssh.import_authorized_keys(text))
                return True

            def public_key_auth_supported(self) -> bool:
                return True

        server = await asyncssh.listen(
            HOST, 0, server_factory=Login, server_host_keys=[key], process_factory=self._serve, encoding=None
        )
        self.port = server.get_port()
        self.host_key = key.export_public_key().decode().strip()
        self._ready.set()

    @staticmethod
    async def _serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
        command = process.command or ""
        assert command.startswith("git-upload-pack "), command
        done = await asyncio.create_subprocess_exec(
            "git", "shell", "-c", command, stdin=asyncio.subprocess.PIPE, stdout=-1, stderr=-1
        )
        assert done.stdin and done.stdout and done.stderr
        heard = asyncio.create_task(_hear(process.stdin, done.stdin))
        await asyncio.gather(_pass_on(done.stdout, process.stdout), _pass_on(done.stderr, process.stderr))
        heard.cancel()
        process.exit(await done.wait())

    def wait(self) -> None:
        """Until it listens."""
        assert self._ready.wait(10)

    def end(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self.join()
        self._loop.close()

    async def _close(self) -> None:
        """What still waits for a client is told to end."""
        waiting = asyncio.all_tasks() - {asyncio.current_task()}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _hear(source: Any, target: Any) -> None:
    await _pass_on(source, target)
    target.close()


async def _pass_on(source: Any, target: Any) -> None:
    while piece := await source.read(65536):
        target.write(piece)
        await target.drain()


@contextmanager
def ssh_server(keys: Path) -> Iterator[SshServer]:
    """A server that reads repositories, by their path on this machine, to whoever has one of the keys."""
    server = SshServer(keys)
    server.start()
    server.wait()
    try:
        yield server
    finally:
        server.end()


class HttpsServer(ThreadingHTTPServer):
    """`git http-backend` (git-http-backend(1)) behind Basic authentication.

    accepted  USER:TOKEN that is let in; may be exchanged
    asked     what was asked for, in order
    """

    daemon_threads = True

    def __init__(self, folder: Path, accepted: str, certificate: Path, key: Path) -> None:
        super().__init__((HOST, 0), _Backend)
        self.folder, self.accepted = folder, accepted
        self.asked: list[str] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def url(self) -> str:
        """Without the repository's path."""
        return f"https://localhost:{self.server_address[1]}"


class _Backend(BaseHTTPRequestHandler):
    server: HttpsServer

    def _answer(self) -> None:
        self.server.asked.append(self.path)
        wanted = base64.b64encode(self.server.accepted.encode()).decode()
        if self.headers.get("Authorization") != f"Basic {wanted}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        environment = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, capture_output=True, check=True, env=environment
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(headers.pop("Status", "200 OK").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer

    def log_message(self, *words: object) -> None:
        """Nothing on the tests' standard error."""


@contextmanager
def https_server(folder: Path, accepted: str) -> Iterator[tuple[HttpsServer, Path]]:
    """A server of the repositories below `folder`. Yields it and the certificate that vouches for it."""
    certificate, key = folder / "server.pem", folder / "server.key"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", "-x509", *made, *subject, *files], check=True, capture_output=True)
    server = HttpsServer(folder, accepted, certificate, key)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server, certificate
    finally:
        server.shutdown()
        server.server_close()

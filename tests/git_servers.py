"""Git servers on loopback: one over SSH, which knows keys, one over HTTPS, which knows a token."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh

from tests.git_https import HttpsServer

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


@contextmanager
def https_server(folder: Path, accepted: str) -> Iterator[tuple[HttpsServer, Path]]:
    """A server of the repositories below `folder`. Yields it and the certificate that vouches for it."""
    certificate, key = folder / "server.pem", folder / "server.key"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", "-x509", *made, *subject, *files], check=True, capture_output=True)
    server = HttpsServer((HOST, 0), folder, accepted, certificate, key)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server, certificate
    finally:
        server.shutdown()
        server.server_close()

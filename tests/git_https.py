"""A git server over HTTPS that knows a token; a program, too: git_https.py PORT LINEAGE <USER:TOKEN."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class HttpsServer(ThreadingHTTPServer):
    """`git http-backend` (git-http-backend(1)) behind Basic authentication.

    accepted  USER:TOKEN that is let in; may be exchanged
    asked     what was asked for, in order
    user      whose repositories they are, where it is somebody else
    """

    daemon_threads = True

    def __init__(
        self, place: tuple[str, int], folder: Path, accepted: str, certificate: Path, key: Path
    ) -> None:
        super().__init__(place, _Backend)
        self.folder, self.accepted = folder, accepted
        self.user: str | None = None
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
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            check=True,
            env=environment,
            user=self.server.user,
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


if __name__ == "__main__":
    port, lineage = sys.argv[1:]
    chain, own = (Path(lineage) / name for name in ("fullchain.pem", "privkey.pem"))
    served = HttpsServer(("", int(port)), Path("/home/git"), sys.stdin.readline().strip(), chain, own)
    served.user = "git"
    served.serve_forever()

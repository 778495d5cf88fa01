"""Package archives made on the spot with dpkg-deb, apt-ftparchive and gpg, and served by HTTPS."""

from __future__ import annotations

import hashlib
import shutil
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from components.platform import Platform, SigningKey

from .contents import DOCUMENTED, FOREIGN, NEWER, NODE, PHP, UBUNTU, Deb

SUITES = {UBUNTU: "jammy", PHP: "jammy", NODE: "nodistro"}
COMPOSER = b"#!/bin/sh\necho 'Composer version 2.9.2'\n"
# Each archive's signing key; the PHP archive has one from before, too, and `stranger` is nobody's.
KEYS = {UBUNTU: "ubuntu", PHP: "ondrej", NODE: "nodesource"}
FORMER, STRANGER = "ondrej-former", "stranger"
MAKE_KEYS = r"""
for name in ubuntu ondrej ondrej-former nodesource stranger; do
    gpg -q --batch --passphrase '' --quick-generate-key "$name <$name@itqan.test>" ed25519 sign never
    gpg --batch --armor --export "$name@itqan.test" >/work/keys/$name.asc
    gpg --batch --with-colons --list-keys "$name@itqan.test" | awk -F: '$1 == "fpr" {print $10; exit}' \
        >/work/keys/$name.fingerprint
done
"""
BUILD = "for tree in /work/trees/*; do dpkg-deb -Znone --root-owner-group -b $tree /work/debs; done"
PUBLISH = r"""
cd "/work/www/$1"
architecture=$(dpkg --print-architecture)
for component in main universe; do
    index=dists/$2/$component/binary-$architecture
    mkdir -p "$index"
    : >"$index/Packages"
done
apt-ftparchive packages pool >"dists/$2/main/binary-$architecture/Packages"
field=APT::FTPArchive::Release
apt-ftparchive -o "$field::Architectures=$architecture" -o "$field::Components=main universe" \
    -o "$field::Suite=$2" -o "$field::Codename=$2" release "dists/$2" >/work/Release
gpg -q --batch --yes --local-user "$3@itqan.test" --clearsign -o "dists/$2/InRelease" /work/Release
"""


class Archive:
    """The archives, the keyserver and Composer's site behind one address, each under its own name.

    `workshop`, a container with the tools and `folder` as /work; `address`, where hosts reach this process.
    """

    def __init__(self, workshop: str, folder: Path, address: str) -> None:
        self._workshop, self._folder = workshop, folder
        for name in ("keys", "trees", "debs", "www"):
            (folder / name).mkdir()
        self._run(MAKE_KEYS)
        parts = (DOCUMENTED, NEWER, FOREIGN)
        self._build([deb for part in parts for debs in part.values() for deb in debs])
        self._published: dict[str, tuple[list[Deb], str]] = {}
        self.broken: set[str] = set()  # parts of paths that are answered with 503
        self.replaced: dict[str, bytes] = {}  # other answers, by a part of the path
        self.authority, context = _certificate(address)
        self._server = ThreadingHTTPServer((address, 0), _handler(self))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.base = f"https://{address}:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()

    def publish(
        self, *parts: Mapping[str, Sequence[Deb]], only: frozenset[str] = frozenset(KEYS), key: str = ""
    ) -> None:
        """Makes `parts` what the archives have (`only` some of them), signed with `key` or their own."""
        for path in only:
            debs = [deb for part in parts for deb in part.get(path, ())]
            if self._published.get(path) == (debs, key):
                continue
            self._published[path] = (debs, key)
            pool = self._folder / "www" / path / "pool"
            shutil.rmtree(pool, ignore_errors=True)
            pool.mkdir(parents=True)
            for deb in debs:
                (pool / deb.file).hardlink_to(self._folder / "debs" / deb.file)
            self._run(PUBLISH, path, SUITES[path], key or KEYS[path])

    def key(self, name: str) -> bytes:
        """A public key, armoured."""
        return (self._folder / "keys" / f"{name}.asc").read_bytes()

    def fingerprint(self, name: str) -> str:
        """A key's fingerprint."""
        return (self._folder / "keys" / f"{name}.fingerprint").read_text().strip()

    def stand_in(self, platform: Platform) -> Platform:
        """The platform with our addresses, fingerprints and digest in place of the real ones."""
        names = {"ondrej-php": (FORMER, KEYS[PHP]), "nodesource": (KEYS[NODE],)}
        sources = [
            source.model_copy(
                update={
                    "uri": self.address(source.uri),
                    "keys": [
                        SigningKey(
                            fingerprint=self.fingerprint(name),
                            url=self.address(key.url.replace(key.fingerprint, self.fingerprint(name))),
                        )
                        for key, name in zip(source.keys, names[source.name], strict=True)
                    ],
                }
            )
            for source in platform.sources
        ]
        assert platform.phar
        digest = hashlib.sha256(COMPOSER).hexdigest()
        phar = platform.phar.model_copy(update={"url": self.address(platform.phar.url), "sha256": digest})
        return platform.model_copy(update={"sources": sources, "phar": phar})

    def address(self, url: str) -> str:
        """Where this process serves what is at `url`."""
        return url.replace("https://", self.base)

    def answer(self, path: str) -> bytes | None:
        """What is at a path; None: nothing."""
        for part, content in self.replaced.items():
            if part in path:
                return content
        for name in (KEYS[PHP], FORMER):
            if path == f"/keyserver.ubuntu.com/pks/lookup?op=get&search=0x{self.fingerprint(name)}":
                return self.key(name)
        if path == "/deb.nodesource.com/gpgkey/nodesource-repo.gpg.key":
            return self.key(KEYS[NODE])
        if path == "/getcomposer.org/download/2.9.2/composer.phar":
            return COMPOSER
        file = self._folder / "www" / path.lstrip("/").replace("%2b", "+").replace("%7e", "~")
        return file.read_bytes() if file.is_file() else None

    def _build(self, debs: Sequence[Deb]) -> None:
        for number, deb in enumerate(debs):
            tree = self._folder / "trees" / str(number)
            for path, content in (("DEBIAN/control", deb.control), *deb.files):
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                (tree / path).write_text(content)
            if deb.postinst:
                (tree / "DEBIAN/postinst").write_text(deb.postinst)
                (tree / "DEBIAN/postinst").chmod(0o755)
            tree.chmod(0o755)
        self._run(BUILD)

    def _run(self, script: str, *arguments: str) -> None:
        command = ["docker", "exec", "-i", self._workshop, "bash", "-euo", "pipefail", "-s", "--", *arguments]
        done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"


def _handler(archive: Archive) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            content = archive.answer(self.path)
            status = 404 if content is None else 200
            if any(part in self.path for part in archive.broken):
                content, status = None, 503
            self.send_response(status)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            """Nothing: what apt says is in the test's output."""

    return Handler


def _certificate(address: str) -> tuple[bytes, ssl.SSLContext]:
    """A certificate for the address that is its own authority, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "archive of the tests")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem, _context(pem + private)


def _context(pem: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:  # the only way in: load_cert_chain reads files
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context

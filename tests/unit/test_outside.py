"""What is asked from outside: real sockets on loopback, a name server and a TLS server in threads."""

from __future__ import annotations

import hashlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from operations.outside import Answers, Way, questions, served_digest, tls, way_to
from operations.resolver import ask, parse, resolve
from settings import Settings

NUMBER = b"\x12\x34"
NAME = b"\x01a\x04test\x00"


def header(flags: int, answers: int, number: bytes = NUMBER) -> bytes:
    return number + struct.pack(">5H", flags, 1, answers, 0, 0)


def record(kind: int, data: bytes, name: bytes = b"\xc0\x0c") -> bytes:
    return name + struct.pack(">2HIH", kind, 1, 60, len(data)) + data


def question(kind: int) -> bytes:
    return NAME + struct.pack(">2H", kind, 1)


@contextmanager
def served(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server on loopback whose connections are `answer`ed one after another; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        answer(connection)
                    except (OSError, struct.error):
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]


class TestParse:
    def test_addresses_of_both_kinds_behind_a_canonical_name(self) -> None:
        alias, there = record(5, b"\x01b\xc0\x0e"), b"\xc0\x1d"
        answer = header(0x8180, 3) + question(1) + alias
        answer += record(1, bytes([192, 0, 2, 7]), there) + record(28, bytes(15) + b"\1", there)
        assert list(parse(answer, NUMBER)) == ["192.0.2.7", "::1"]

    def test_a_name_that_does_not_exist_has_none(self) -> None:
        assert list(parse(header(0x8183, 0) + question(1), NUMBER)) == []

    @pytest.mark.parametrize(
        ("answer", "words"),
        [
            (header(0x8180, 0, b"\0\0") + question(1), "not to this question"),
            (b"\x12", "not to this question"),
            (header(0x8182, 0) + question(1), "error 2"),
            (header(0x8180, 1) + question(1) + b"\xc0", "cut short"),
            (header(0x8180, 1) + NAME[:3], "cut short"),
        ],
    )
    def test_what_is_no_answer_is_told(self, answer: bytes, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            list(parse(answer, NUMBER))


class TestAsk:
    @staticmethod
    def zone(connection: socket.socket) -> None:
        """Answers both kinds of question for a.test."""
        for _ in range(2):
            (length,) = struct.unpack(">H", connection.recv(2))
            query = connection.recv(length)
            assert query[12:-4] == NAME
            (kind,) = struct.unpack(">H", query[-4:-2])
            data = bytes([192, 0, 2, 7]) if kind == 1 else bytes(15) + b"\1"
            answer = header(0x8180, 1, query[:2]) + question(kind) + record(kind, data)
            framed = struct.pack(">H", len(answer)) + answer
            connection.sendall(framed[:5])
            connection.sendall(framed[5:])

    def test_both_kinds_of_address_are_asked_for(self) -> None:
        with served(self.zone) as port:
            assert ask("127.0.0.1", port, "a.test.", 5) == ["192.0.2.7", "::1"]

    def test_a_server_that_hangs_up_is_told(self) -> None:
        with served(lambda _: None) as port, pytest.raises((ValueError, ConnectionResetError)):
            ask("127.0.0.1", port, "a.test", 5)

    def test_this_machine_s_resolver(self) -> None:
        assert "127.0.0.1" in resolve("127.0.0.1")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for `a.test` that nobody trusts, with its key, as PEM."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a.test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(plain + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def https(certificate: Path) -> Iterator[int]:
    """A TLS server that shows it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def shake(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(1)

    with served(shake) as port:
        yield port


class TestCertificates:
    def test_the_served_one_is_told_whoever_signed_it(self, certificate: Path, https: int) -> None:
        shown = ssl.PEM_cert_to_DER_cert(certificate.read_text().partition("-----END PRIVATE KEY-----\n")[2])
        wanted = hashlib.sha256(shown).hexdigest().upper()
        assert served_digest("127.0.0.1", https, "a.test", 5) == wanted

    def test_a_page_of_which_nobody_knows_who_signed_it_is_none(self, staging: Settings, https: int) -> None:
        asked = questions(staging, Way("127.0.0.1", https, ("127.0.0.1", 1)), "x", 5)
        found = Answers({name: asked[name] for name in ("page", "websocket")}).until(time.monotonic() + 10)
        assert {answer[:23] for answer in found.values()} == {"error certificate: self"}

    def test_a_port_that_refuses_is_no_silence(self, staging: Settings) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            way = Way("127.0.0.1", free.getsockname()[1], ("127.0.0.1", free.getsockname()[1]))
        asked = questions(staging, way, "x", 5)
        found = Answers(asked).until(time.monotonic() + 10)
        assert set(found.values()) == {"error Connection refused"}

    def test_another_server_s_has_to_be_trusted(self, https: int) -> None:
        found = Answers({"livekit": lambda: tls("127.0.0.1", https, 5)}).until(time.monotonic() + 10)
        assert found["livekit"].startswith("error certificate: self")


class TestAnswers:
    def test_are_asked_side_by_side_and_who_is_silent_is_not_waited_for(self) -> None:
        end = threading.Event()

        def silent() -> str:
            end.wait(30)
            return "late"

        def refused() -> str:
            raise ConnectionRefusedError(111, "Connection refused")

        began = time.monotonic()
        asked = {"silent": silent, "refused": refused, "quick": lambda: "200 0.1"}
        found = Answers(asked).until(began + 1)
        assert time.monotonic() - began < 10
        end.set()
        assert found == {
            "silent": "error no answer in time",
            "refused": "error Connection refused",
            "quick": "200 0.1",
        }

    def test_questions_are_those_of_the_stack(self, prod: Settings, staging: Settings) -> None:
        ours = {"page", "tenant", "websocket", "served"}
        names = {f"dns {name}" for name in ("itqan.test", "x.itqan.test", "conference.itqan.test")}
        assert set(questions(staging, way_to(staging), "x", 1)) == ours | names
        assert {"livekit", "dns itqanway.com"} <= set(questions(prod, way_to(prod), "x", 1))

"""Addresses of names, asked of one name server over TCP, or of this machine's resolver."""

from __future__ import annotations

import secrets
import socket
import struct
from collections.abc import Iterator

# RFC 1035, section 3.2.2, and RFC 3596: types of records; section 4.1.1: names that do not exist.
A, AAAA, NO_SUCH_NAME = 1, 28, 3
FAMILIES = {A: socket.AF_INET, AAAA: socket.AF_INET6}
RECURSION = 0x0100


def resolve(name: str) -> list[str]:
    """The addresses that this machine's resolver gives. Raises OSError."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return sorted({str(address[0]) for *_, address in found})


def ask(server: str, port: int, name: str, patience: float) -> list[str]:
    """The addresses that a name server gives; none for a name that it does not have.

    Arguments: `patience`, seconds for the connection and for each answer.
    Raises OSError, or ValueError for an answer that is none.
    """
    found: set[str] = set()
    with socket.create_connection((server, port), patience) as connection:
        for kind in FAMILIES:
            number = secrets.token_bytes(2)
            query = number + struct.pack(">5H", RECURSION, 1, 0, 0, 0) + _encoded(name)
            query += struct.pack(">2H", kind, 1)
            connection.sendall(struct.pack(">H", len(query)) + query)
            (length,) = struct.unpack(">H", _exactly(connection, 2))
            found.update(parse(_exactly(connection, length), number))
    return sorted(found)


def parse(answer: bytes, number: bytes) -> Iterator[str]:
    """The addresses in an answer to the query of that number. Raises ValueError."""
    if len(answer) < 12 or answer[:2] != number:
        raise ValueError("the name server's answer is not to this question")
    flags, questions, answers = struct.unpack(">3H", answer[2:8])
    if flags & 15 not in (0, NO_SUCH_NAME):
        raise ValueError(f"the name server answers with error {flags & 15}")
    at = 12
    try:
        for _ in range(questions):
            at = _after_name(answer, at) + 4
        for _ in range(answers):
            at = _after_name(answer, at)
            kind, _, _, length = struct.unpack(">2HIH", answer[at : at + 10])
            at += 10 + length
            if kind in FAMILIES:
                yield socket.inet_ntop(FAMILIES[kind], answer[at - length : at])
    except (IndexError, struct.error):
        raise ValueError("the name server's answer is cut short") from None


def _encoded(name: str) -> bytes:
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _after_name(answer: bytes, at: int) -> int:
    """Where a name ends: after its zero, or after a pointer to the rest of it (RFC 1035, section 4.1.4)."""
    while length := answer[at]:
        if length >= 0xC0:
            return at + 2
        at += 1 + length
    return at + 1


def _exactly(connection: socket.socket, length: int) -> bytes:
    received = b""
    while len(received) < length:
        block = connection.recv(length - len(received))
        if not block:
            raise ValueError("the name server ended the connection")
        received += block
    return received

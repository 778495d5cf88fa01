"""A file of age is decrypted while it streams, and one that is not whole is not taken for a whole one."""

from __future__ import annotations

import io
import secrets

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from operations.data.age import PIECE, Damaged, Decrypted
from operations.errors import OperationError
from operations.rewrap import _head, payload_key
from settings.age import new_key

NAME = "backup.age"


def sealed(content: bytes, private: bytes) -> bytes:
    """A file of age for one key, as age-encryption.org/v1 says."""
    file_key, nonce = secrets.token_bytes(16), secrets.token_bytes(16)
    cipher = ChaCha20Poly1305(payload_key(file_key, nonce))
    pieces = [content[at : at + PIECE] for at in range(0, len(content), PIECE)] or [b""]
    last = len(pieces) - 1
    closed = (
        cipher.encrypt(number.to_bytes(11, "big") + bytes([number == last]), piece, None)
        for number, piece in enumerate(pieces)
    )
    return _head(file_key, private) + nonce + b"".join(closed)


def opened(file: bytes, private: bytes) -> bytes:
    return io.BufferedReader(Decrypted(io.BytesIO(file), private, NAME)).read()


@pytest.mark.parametrize("length", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 5])
def test_it_comes_out_as_it_went_in(length: int) -> None:
    key, content = new_key(), secrets.token_bytes(length)
    assert opened(sealed(content, key), key) == content


def test_another_key_is_one_line() -> None:
    with pytest.raises(OperationError, match=r"backup\.age: this private key is of none"):
        opened(sealed(b"x", new_key()), new_key())


@pytest.mark.parametrize("cut", [1, 16, PIECE + 16, PIECE + 17 + 16])
def test_what_was_cut_off_or_changed_is_seen(cut: int) -> None:
    key = new_key()
    file = sealed(secrets.token_bytes(3 * PIECE), key)
    with pytest.raises(Damaged, match="is not whole"):
        opened(file[:-cut], key)
    with pytest.raises(Damaged, match="is not whole"):
        opened(file[:-cut] + bytes([file[-cut] ^ 1]) + file[len(file) - cut + 1 :], key)

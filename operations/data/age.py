"""A file of age, decrypted while it streams (age-encryption.org/v1, "Payload")."""

from __future__ import annotations

import io
from typing import IO

from ..errors import OperationError
from ..rewrap import WrongKey, opened_head, payload_key

PIECE, TAG, NONCE = 1 << 16, 16, 16
LONGEST_HEAD = 1 << 14  # bytes, as itqan-backup sends of a head


class Damaged(OperationError):
    """The file is not whole, or not as it was written."""


class Decrypted(io.RawIOBase):
    """What a file of age holds; each piece is given out only after it proved to be as it was written."""

    def __init__(self, sealed: IO[bytes], private: bytes, name: str) -> None:
        """Arguments: `private`, the private key; `name`, what errors call the file.

        Raises Damaged, or OperationError for a key that does not open it.
        """
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        self._sealed, self._name, self._number = sealed, name, 0
        self._ahead = sealed.read(LONGEST_HEAD)
        try:
            length, file_key = opened_head(self._ahead, private)
        except WrongKey as error:
            raise OperationError(f"{name}: {error}") from None
        self._ahead = self._ahead[length:]
        self._cipher = ChaCha20Poly1305(payload_key(file_key, self._take(NONCE)))
        self._next = self._take(PIECE + TAG)
        self._open = b""

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        """Some of what comes next; 0 at the end. Raises Damaged."""
        if not self._open and self._next:
            self._open = self._piece()
        count = min(len(target), len(self._open))
        target[:count] = self._open[:count]
        self._open = self._open[count:]
        return count

    def _piece(self) -> bytes:
        from cryptography.exceptions import InvalidTag

        piece, self._next = self._next, self._take(PIECE + TAG)
        # the last one says so: a file that was cut off is not taken for a whole one
        nonce = self._number.to_bytes(11, "big") + (b"\0" if self._next else b"\1")
        self._number += 1
        try:
            return self._cipher.decrypt(nonce, piece, None)
        except InvalidTag:
            raise Damaged(f"{self._name} is not whole, or was changed after it was written") from None

    def _take(self, length: int) -> bytes:
        taken = self._ahead[:length]
        self._ahead = self._ahead[length:]
        while len(taken) < length and (more := self._sealed.read(length - len(taken))):
            taken += more
        return taken

"""Keys of age (age-encryption.org/v1): their texts, which are Bech32 (BIP 173)."""

from __future__ import annotations

from secrets import token_bytes

LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
PUBLIC, PRIVATE = "age", "age-secret-key-"
LENGTH = 32  # bytes of an X25519 key


class NoAgeKey(ValueError):
    """A text is no key of age; the message does not quote it, as it may be a secret."""


def public_bytes(text: str) -> bytes:
    """The public key in `age1…`. Raises NoAgeKey."""
    return _decoded(text, PUBLIC)


def private_bytes(text: str) -> bytes:
    """The private key in `AGE-SECRET-KEY-1…`. Raises NoAgeKey."""
    return _decoded(text, PRIVATE)


def identity(text: str) -> bytes:
    """The private key in a file of age-keygen's: one line beside comments. Raises NoAgeKey."""
    lines = [line.strip() for line in text.splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    if len(keys) != 1:
        raise NoAgeKey("one line `AGE-SECRET-KEY-1…` is wanted, as age-keygen writes it, beside comments")
    return private_bytes(keys[0])


def private_text(key: bytes) -> str:
    """A private key as age-keygen writes it."""
    return _encoded(key, PRIVATE).upper()


def public_text(key: bytes) -> str:
    """The public key of a private one, as age-keygen writes it."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return _encoded(X25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw(), PUBLIC)


def new_key() -> bytes:
    """A private key."""
    return token_bytes(LENGTH)


def _decoded(text: str, wanted: str) -> bytes:
    if text != text.lower() and text != text.upper():
        raise NoAgeKey("a key of age is all in capitals or has none")
    prefix, _, data = text.lower().rpartition("1")
    if prefix != wanted or any(letter not in LETTERS for letter in data):
        raise NoAgeKey(f"no key that begins with {wanted}1")
    values = [LETTERS.index(letter) for letter in data]
    if _checksum(_expanded(prefix) + values) != 1:
        raise NoAgeKey("the last letters of the key do not fit the others: it was not copied whole")
    key = bytes(_regrouped(values[:-6], 5, 8))
    if len(key) != LENGTH:
        raise NoAgeKey("the key has another length than one of age")
    return key


def _encoded(key: bytes, prefix: str) -> str:
    values = _regrouped(key, 8, 5, padded=True)
    rest = _checksum(_expanded(prefix) + values + [0] * 6) ^ 1
    values += [rest >> 5 * (5 - at) & 31 for at in range(6)]
    return f"{prefix}1{''.join(LETTERS[value] for value in values)}"


def _expanded(prefix: str) -> list[int]:
    return [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]


def _checksum(values: list[int]) -> int:
    rest = 1
    for value in values:
        top = rest >> 25
        rest = (rest & 0x1FFFFFF) << 5 ^ value
        for at, factor in enumerate(GENERATOR):
            rest ^= factor if top >> at & 1 else 0
    return rest


def _regrouped(values: bytes | list[int], from_bits: int, to_bits: int, *, padded: bool = False) -> list[int]:
    """Bits in groups of another size; what does not fill a group is left out, or `padded` with zeros."""
    rest, bits, made = 0, 0, []
    for value in values:
        rest, bits = rest << from_bits | value, bits + from_bits
        while bits >= to_bits:
            bits -= to_bits
            made.append(rest >> bits & ((1 << to_bits) - 1))
        rest &= (1 << bits) - 1
    if padded and bits:
        made.append(rest << (to_bits - bits))
    return made

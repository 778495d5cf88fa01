"""What stands in the place of a value: for each kind a function of it and of a key that is thrown away.

The same value becomes the same in every table of one run; in the next run it becomes something else.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from .words import ARABIC_FIRST, ARABIC_LAST, ARABIC_TEXT, LATIN_FIRST, LATIN_LAST, LATIN_TEXT

# RFC 2606, section 3: nobody's mail.
DOMAIN = "example.com"
# Of all accounts in copies; the hash is bcrypt's, with 10 rounds.
PASSWORD = "itqan-copy"
PASSWORD_HASH = "$2y$10$I5VWLv/b8QEIkvxgqR5RHOpX0/RIp1uEVX0k3udfD0f/bpS3Zsh9K"
# RFC 2544, section 6 and RFC 3849: no host of the Internet has them.
ADDRESSES, ADDRESSES_6 = IPv4Address("198.18.0.0"), IPv6Address("2001:db8::")
BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
LOWER, DIGITS, HEX = "abcdefghijklmnopqrstuvwxyz", "0123456789", "0123456789abcdef"
IS_HEXADECIMAL = re.compile(r"(?=.*[a-f])[0-9a-f\W_]*", re.DOTALL)
ARABIC = re.compile(r"[\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufeff]")
# Of a number, the digits at its end that are replaced, and those that decide by what: the same with and
# without the country's prefix.
REPLACED, DECIDING = 7, 9
# Fewer random characters in an address would let two people meet.
SHORTEST = 10


# Of the permutation of numbers (NIST SP 800-38G has as many), and for how many beginnings they are kept.
ROUNDS, TABLES = 10, 500


class _Signs(dict[str, str]):
    """For each sign what may stand in its place, by a byte; one that is no letter and no digit stays."""

    def __missing__(self, sign: str) -> str:
        kind = (LOWER if sign.isalnum() else sign) if sign not in UPPER else UPPER
        self[sign] = (kind * 256)[:256]
        return self[sign]


UPPER = LOWER.upper()
SIGNS = _Signs({digit: (DIGITS * 26)[:256] for digit in DIGITS})
HEXADECIMAL = _Signs({digit: (HEX * 16)[:256] for digit in HEX})


class Place(NamedTuple):
    """A column: how many characters it holds (None: no matter), whether no two rows may have the same."""

    room: int | None = None
    unique: bool = False


class DoesNotFit(Exception):
    """A column has no room for what would stand there; the message says which."""


class Replacer:
    """Replaces values by a key that no one has ever seen.

    Each method takes a value and the place where it stands.
    """

    def __init__(self, key: bytes | None = None) -> None:
        """Arguments: `key`, for tests."""
        self._key = key or secrets.token_bytes(32)
        self._tables: dict[str, list[memoryview]] = {}
        self.of: dict[str, Callable[[str, Place], str]] = {
            "email": self.email,
            "name": self.name,
            "phone": self.phone,
            "token": self.token,
            "password": self.password,
            "text": self.text,
            "ip": self.ip,
            "date": self.date,
        }

    def _bytes(self, purpose: str, value: str, length: int = 32) -> bytes:
        message = f"{purpose}\0{value}".encode("utf-8", "surrogateescape")
        found = hmac.digest(self._key, message, "sha256")
        while len(found) < length:
            found += hmac.digest(self._key, found[-32:] + message, "sha256")
        return found[:length]

    def binary(self, value: bytes) -> bytes:
        """Other bytes, as many."""
        return self._bytes("binary", value.hex(), len(value))

    def email(self, value: str, place: Place) -> str:
        """An address at example.com; letters' case makes no difference."""
        length = min(16, (place.room or 255) - len(DOMAIN) - 1)
        if length < SHORTEST:
            raise DoesNotFit(
                f"an address needs {SHORTEST + len(DOMAIN) + 1} characters, the column has {place.room}"
            )
        digits = self._bytes("email", value.strip().casefold())
        return "".join(BASE32[byte & 31] for byte in digits[:length]) + f"@{DOMAIN}"

    def name(self, value: str, place: Place) -> str:
        """A name of as many words, in the same script; with a number where no two rows may have the same."""
        spoken = " ".join(value.split())
        chosen = self._bytes("name", spoken.casefold())
        arabic = bool(ARABIC.search(value))
        first, last = (ARABIC_FIRST, ARABIC_LAST) if arabic else (LATIN_FIRST, LATIN_LAST)
        words = [first[chosen[0] % len(first)]]
        words += [last[byte % len(last)] for byte in chosen[1 : min(len(spoken.split()), 5)]]
        if " ".join(words).casefold() == spoken.casefold():
            words[0] = first[(chosen[0] + 1) % len(first)]
        # a name written as one word of a login stays one
        number = "".join(BASE32[byte & 31] for byte in chosen[8:18]) if place.unique else ""
        made = (
            "-".join([*words, number])
            if place.unique and " " not in spoken
            else " ".join(filter(None, [*words, number]))
        )
        if place.room is None or len(made) <= place.room:
            return made
        if place.unique:
            if place.room < SHORTEST:
                raise DoesNotFit(
                    f"a name of its own needs {SHORTEST} characters, the column has {place.room}"
                )
            return made[-place.room :].lstrip(" -").rjust(place.room, "n")
        return made[: place.room].rstrip()

    def phone(self, value: str, place: Place) -> str:
        """A number of the same shape whose last digits are others; no two become the same, none stays."""
        places = [at for at, sign in enumerate(value) if sign.isdecimal()]
        digits = [int(value[at]) for at in places]
        count = min(REPLACED, len(digits))
        if not count:
            return self.text(value, place)
        tweak = "".join(map(str, digits[-DECIDING:-count]))
        number = int("".join(map(str, digits[-count:])))
        made = f"{self._other(number, 10**count, f'phone {count} {tweak}'):0{count}}"
        signs = list(value)
        for at, digit in zip(places[-count:], made, strict=True):
            # Arabic digits stay Arabic ones
            signs[at] = chr(ord(signs[at]) - int(signs[at]) + int(digit))
        return "".join(signs)

    def _other(self, number: int, size: int, purpose: str) -> int:
        """Another number below a size: a permutation without a fixed point, as it is one step of a cycle."""
        rounds = self._rounds(purpose, _half_bits(size))
        return _permuted((_permuted(number, size, rounds) + 1) % size, size, rounds, backwards=True)

    def _rounds(self, purpose: str, bits: int) -> list[memoryview]:
        """What each round adds to a half, as a table: one for all numbers that begin alike."""
        if purpose not in self._tables:
            if len(self._tables) >= TABLES:
                self._tables.clear()
            size = 2 << bits
            stream = hashlib.shake_256(self._bytes(purpose, "")).digest(ROUNDS * size)
            cut = (stream[at : at + size] for at in range(0, len(stream), size))
            self._tables[purpose] = [memoryview(table).cast("H") for table in cut]
        return self._tables[purpose]

    def token(self, value: str, _: Place) -> str:
        """Other characters of the same kinds, as many; hexadecimal stays so, a sign stays where it is."""
        signs = HEXADECIMAL if IS_HEXADECIMAL.fullmatch(value) else SIGNS
        chosen = self._bytes("token", value, len(value))
        made = "".join([signs[sign][byte] for sign, byte in zip(value, chosen, strict=True)])
        if made[:1] == "0" != value[:1]:
            # a number that did not begin with 0 would lose a digit
            made = f"1{made[1:]}"
        return made

    def password(self, _value: str, place: Place) -> str:
        """The hash of the password that all accounts of copies have."""
        if place.room is not None and place.room < len(PASSWORD_HASH):
            raise DoesNotFit(f"a hash needs {len(PASSWORD_HASH)} characters, the column has {place.room}")
        return PASSWORD_HASH

    def text(self, value: str, place: Place) -> str:
        """Neutral text of the same length; it depends on nothing but that and the script."""
        words = ARABIC_TEXT if ARABIC.search(value) else LATIN_TEXT
        length = len(value)
        made = (words * (length // len(words) + 1))[:length]
        if place.unique:
            sign = "".join(BASE32[byte & 31] for byte in self._bytes("text", value))[:length]
            made = sign + made[len(sign) :]
        return made

    def ip(self, value: str, _: Place) -> str:
        """An address that no host of the Internet has."""
        number = int.from_bytes(self._bytes("ip", value.strip().lower(), 8), "big")
        return str(ADDRESSES_6 + number) if ":" in value else str(ADDRESSES + number % (1 << 17))

    def date(self, value: str, place: Place) -> str:
        """Another day of the same year; what comes after the day stays."""
        if not re.match(r"\d{4}-\d\d-\d\d", value):
            return self.token(value, place)
        month, day = self._bytes("date", value, 2)
        return f"{value[:5]}{1 + month % 12:02}-{1 + day % 28:02}{value[10:]}"


def _half_bits(size: int) -> int:
    return max(((size - 1).bit_length() + 1) // 2, 1)


def _permuted(number: int, size: int, rounds: Sequence[memoryview], backwards: bool = False) -> int:
    """A Feistel network over numbers of two halves, walked until it is below the size.

    Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002: cycle walking.
    """
    bits = _half_bits(size)
    mask = (1 << bits) - 1
    while True:
        left, right = number >> bits, number & mask
        if backwards:
            for table in reversed(rounds):
                left, right = right ^ table[left] & mask, left
        else:
            for table in rounds:
                left, right = right, left ^ table[right] & mask
        number = left << bits | right
        if number < size:
            return number

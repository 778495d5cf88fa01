"""The head of a file of age, changed so that another key opens that one file (age-encryption.org/v1).

The operator's key opens every backup. So it stays on the operator's machine: there the head of one backup is
opened, and written anew for a key that was made for this one run. The host gets that key and those heads, and
with them nothing but this backup.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence

from settings.age import new_key

VERSION = b"age-encryption.org/v1\n"
LINE = 64  # letters of a line of a stanza's body; a shorter one is its last


class WrongKey(Exception):
    """The head cannot be opened with this key; the message says why."""


def rewrapped(head: bytes, key: bytes, to: bytes) -> tuple[int, bytes]:
    """The length of a file's head, and the head that takes its place.

    Arguments: as `opened_head`; `to`, the private key that is to open it. Raises WrongKey.
    """
    length, file_key = opened_head(head, key)
    return length, _head(file_key, to)


def opened_head(head: bytes, key: bytes) -> tuple[int, bytes]:
    """The length of a file's head, and the key of the file in it.

    Arguments: `head`, the file's beginning, at least its whole head; `key`, a private key that opens it.
    Raises WrongKey.
    """
    length = _length(head)
    before_mac, _, mac = head[:length].rpartition(b"--- ")
    for arguments, body in _stanzas(before_mac):
        file_key = _opened(arguments, body, key)
        if file_key is None:
            continue
        if _mac(file_key, before_mac + b"---") != _unbase64(mac.strip()):
            raise WrongKey("the head of the backup was changed after it was written")
        return length, file_key
    raise WrongKey("this private key is of none of the public keys that the backup was encrypted to")


def payload_key(file_key: bytes, nonce: bytes) -> bytes:
    """What the pieces of a file are encrypted with."""
    return _derived(file_key, nonce, b"payload")


def _length(head: bytes) -> int:
    at = head.find(b"\n--- ")
    end = head.find(b"\n", at + 1)
    if not head.startswith(VERSION) or at < 0 or end < 0:
        raise WrongKey("the backup does not begin as a file of age does")
    return end + 1


def _stanzas(text: bytes) -> Iterator[tuple[Sequence[bytes], bytes]]:
    """The arguments and the body of each `-> …`."""
    lines = iter(text.removeprefix(VERSION).split(b"\n"))
    for line in lines:
        if line.startswith(b"-> "):
            body = b""
            for piece in lines:
                body += piece
                if len(piece) < LINE:
                    break
            yield line.split()[1:], body


def _opened(arguments: Sequence[bytes], body: bytes, key: bytes) -> bytes | None:
    """The file's key in a stanza that is for this private key; None where it is for another one."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    if len(arguments) != 2 or arguments[0] != b"X25519":
        return None
    private = X25519PrivateKey.from_private_bytes(key)
    try:
        share = _unbase64(arguments[1])
        shared = private.exchange(X25519PublicKey.from_public_bytes(share))
        wrapping = _wrapping_key(shared, share, private.public_key().public_bytes_raw())
        return ChaCha20Poly1305(wrapping).decrypt(bytes(12), _unbase64(body), None)
    except (InvalidTag, ValueError):
        return None


def _head(file_key: bytes, to: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    recipient = X25519PrivateKey.from_private_bytes(to).public_key()
    passing = X25519PrivateKey.from_private_bytes(new_key())
    share = passing.public_key().public_bytes_raw()
    wrapping = _wrapping_key(passing.exchange(recipient), share, recipient.public_bytes_raw())
    body = ChaCha20Poly1305(wrapping).encrypt(bytes(12), file_key, None)
    text = VERSION + b"-> X25519 " + _base64(share) + b"\n" + _base64(body) + b"\n---"
    return text + b" " + _base64(_mac(file_key, text)) + b"\n"


def _wrapping_key(shared: bytes, share: bytes, recipient: bytes) -> bytes:
    return _derived(shared, share + recipient, b"age-encryption.org/v1/X25519")


def _mac(file_key: bytes, text: bytes) -> bytes:
    import hmac

    return hmac.new(_derived(file_key, b"", b"header"), text, "sha256").digest()


def _derived(key: bytes, salt: bytes, purpose: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, salt=salt, info=purpose).derive(key)


def _base64(value: bytes) -> bytes:
    return base64.b64encode(value).rstrip(b"=")


def _unbase64(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)

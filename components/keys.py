"""SSH keys."""

from __future__ import annotations


class UnreadableKey(Exception):
    """A private key of the configuration cannot be read; the message does not show it."""


def public_key(private_key: str) -> str:
    """The public half of an OpenSSH private key, as known_hosts has it.

    Raises UnreadableKey.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

    try:
        key = load_ssh_private_key(private_key.encode(), None)
    except (TypeError, ValueError) as error:  # TypeError: the key has a passphrase
        raise UnreadableKey(f"a private SSH key of the configuration cannot be read: {error}") from None
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()

"""Keys of age, and heads that are written anew: held to what age-keygen and age 1.2.1 wrote."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from operations.rewrap import WrongKey, _opened, _stanzas, rewrapped
from settings import age

# By age-keygen, for nothing but this test.
PUBLIC = "age1vc50vfs8tcclsffnfh8m42s6crr7mswqgv77p4l539hrjucxhvtszh6xyz"
PRIVATE = "AGE-SECRET-KEY-1GLEE0NYW72CRUTC2RHD796SL4CR60GVDECK7R46ZWQSUNU7AZ0TS9YGMER"
SECOND = "AGE-SECRET-KEY-18CHEULZ3JLRF0RYXMY4F64GV5Q6T3PVRFX7N5JDQ4EG60L575AHST9W792"
# `printf 'hallo\n' | age -r …` to both of them.
FILE = base64.b64decode(
    "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSB2bzArWXIxNngvK3FkaE52M2N6bU5lcU96Rm5QVGJyREFLdUNZMkM2b1Q4Ci"
    "s0TUtqQ3dITjZORUNKZGhBamQ5aUdDTUYvc1F6ck9DZGJUVGhxOWZ0ZWcKLT4gWDI1NTE5IERXSlhPR3EvNGxNWTZGb0NKUC8rdHV6"
    "NG0vSEplWmUyZ3dud1dJYm1TQjgKa1YvZ0JhZkxNWUxYbzJCekJ5NWIvZlUxUHJGNWFJcEZ6MFFiY3A2UFp0RQotLS0gWk5DS1lvMD"
    "d0NVpsZkpHd0REV2NwMk9XMGdndFo4bXZSUVFaL2lqa2FJbwo/kMXbNq7ZiFxf2p54lfaoH7116hKB+WY6fv/guFJBD2feDAOhyw=="
)


def plain(head: bytes, body: bytes, key: bytes) -> bytes:
    """What a small file of age says: one piece of its stream (the specification, section Payload)."""
    file_key = next(found for args, text in _stanzas(head) if (found := _opened(args, text, key)))
    payload = HKDF(SHA256(), 32, salt=body[:16], info=b"payload").derive(file_key)
    return ChaCha20Poly1305(payload).decrypt(bytes(11) + b"\1", body[16:], None)


def test_texts_are_those_of_age_keygen() -> None:
    key = age.private_bytes(PRIVATE)
    assert (age.private_text(key), age.public_text(key)) == (PRIVATE, PUBLIC)
    assert age.private_bytes(PRIVATE.lower()) == key


def test_an_identity_file_has_one_key_beside_comments() -> None:
    key = age.private_bytes(PRIVATE)
    assert age.identity(f"# created: today\n# public key: {PUBLIC}\n\n{PRIVATE}\n") == key
    for wrong in ("", "# nothing\n", f"{PRIVATE}\n{SECOND}\n", PUBLIC, "-----BEGIN AGE ENCRYPTED FILE-----"):
        with pytest.raises(age.NoAgeKey) as error:
            age.identity(wrong)
        assert PRIVATE not in str(error.value)


@pytest.mark.parametrize("at", [5, 30, len(PUBLIC) - 1])
def test_a_letter_that_was_copied_wrongly_is_seen(at: int) -> None:
    wrong = PUBLIC[:at] + ("q" if PUBLIC[at] != "q" else "p") + PUBLIC[at + 1 :]
    with pytest.raises(age.NoAgeKey, match="was not copied whole"):
        age.public_bytes(wrong)


@pytest.mark.parametrize("text", ["", "age1", "age1b", PUBLIC[:-1], PUBLIC.title(), f"{PUBLIC}é", "npub1qqq"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(age.NoAgeKey):
        age.public_bytes(text)


def test_new_keys_differ() -> None:
    assert age.new_key() != age.new_key()


@pytest.mark.parametrize("key", [PRIVATE, SECOND])
def test_a_head_is_written_for_another_key(key: str) -> None:
    to = age.new_key()
    skip, head = rewrapped(FILE[:400], age.private_bytes(key), to)
    assert plain(head, FILE[skip:], to) == b"hallo\n"
    assert not any(_opened(args, body, age.private_bytes(key)) for args, body in _stanzas(head))


def test_another_key_opens_nothing() -> None:
    with pytest.raises(WrongKey, match="none of the public keys"):
        rewrapped(FILE, age.new_key(), age.new_key())


@pytest.mark.parametrize(
    ("key", "why"), [(SECOND, "was changed after it was written"), (PRIVATE, "none of the public keys")]
)
def test_a_changed_head_is_seen(key: str, why: str) -> None:
    """By whoever's own stanza is whole, and by whoever's is not."""
    at = FILE.index(b"-> X25519 DW") + 15  # the stanza of PRIVATE
    changed = FILE[:at] + b"A" + FILE[at + 1 :]
    with pytest.raises(WrongKey, match=why):
        rewrapped(changed, age.private_bytes(key), age.new_key())


@pytest.mark.parametrize("head", [b"", b"hallo", FILE[:60], b"age-encryption.org/v2\n-> X\n\n--- x\n"])
def test_what_is_no_file_of_age_is_told_as_that(head: bytes) -> None:
    with pytest.raises(WrongKey, match="does not begin as a file of age"):
        rewrapped(head, age.private_bytes(PRIVATE), age.new_key())

"""The project's test authority: one root for all copies, and what a copy's registrar signs with.

Pebble makes a root of its own at each start. The registrar signs a second certificate for that root's key,
as Let's Encrypt's first root was cross-signed by an older one, with an authority that is the copy's alone. So
the project's key is in no container, and a container can sign for its own domain only.
"""

from __future__ import annotations

import hashlib
from ipaddress import ip_network
from typing import TYPE_CHECKING

from settings import Settings, p256_key, source_of

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from .keys import UnreadableKey
from .registrar import NOT_AFTER, NOT_BEFORE


def root_certificate(settings: Settings) -> str:
    """The certificate to trust, PEM: P-256, and good for names of copies only (RFC 5280, section 4.2.1.10).

    The same for every copy of the project: signed deterministically (RFC 6979), of nothing but the key.
    """
    key = _project_key(settings)
    return _certificate(key.public_key(), _root_name(key), _root_name(key), settings.authority_domains, key)


def copy_certificate(settings: Settings) -> str:
    """The certificate of the copy's own authority, signed by the root, for the copy's domain only; PEM."""
    from cryptography import x509

    key, own = _project_key(settings), _loaded(copy_key(settings))
    label = f"Itqan test authority of {settings.stack}"[:64]
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, label)])
    return _certificate(own.public_key(), name, _root_name(key), [settings.domain], key)


def copy_key(settings: Settings) -> str:
    """The key of the copy's own authority, PEM; derived, so that it is no further secret."""
    assert settings.registrar_private_key is not None
    secret = settings.registrar_private_key.get_secret_value()
    return p256_key(source_of(secret, "itqan/authority of the copy"))


def _project_key(settings: Settings) -> EllipticCurvePrivateKey:
    assert settings.authority_private_key is not None
    return _loaded(settings.authority_private_key.get_secret_value())


def _loaded(pem: str) -> EllipticCurvePrivateKey:
    """Raises UnreadableKey."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), None)
    except (TypeError, ValueError) as error:
        raise UnreadableKey(f"itqan:authorityPrivateKey cannot be read: {error}") from None
    if not isinstance(key, EllipticCurvePrivateKey):
        raise UnreadableKey("itqan:authorityPrivateKey: allowed: a private key on the curve P-256")
    return key


def _root_name(key: EllipticCurvePrivateKey) -> x509.Name:
    """Of the key, so that the roots of two projects in one browser are two."""
    from cryptography import x509

    label = f"Itqan test authority {_key_digest(key)[:8]}"
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, label)])


def _key_digest(key: EllipticCurvePrivateKey) -> str:
    """SHA-256 of the public half, hexadecimal."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(public).hexdigest()


def _certificate(
    public: object,
    subject: x509.Name,
    issuer: x509.Name,
    domains: list[str],
    key: EllipticCurvePrivateKey,
) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    everything = [x509.IPAddress(ip_network(network)) for network in ("0.0.0.0/0", "::/0")]
    usage = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    serial = hashlib.sha256(repr((subject.rfc4514_string(), domains)).encode()).digest()[:16]
    builder = x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=public,  # type: ignore[arg-type]
        serial_number=int.from_bytes(serial, "big") >> 1,
        not_valid_before=NOT_BEFORE,
        not_valid_after=NOT_AFTER,
    )
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), True),
        (x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.NameConstraints([x509.DNSName(domain) for domain in domains], everything), True),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),  # type: ignore[arg-type]
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False),
    ]
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.PEM).decode()

"""The registrar of a copy: what its container is given, as pure functions of the settings."""

from __future__ import annotations

from datetime import datetime, timezone
from ipaddress import IPv4Address

from settings import Settings

from .dns import TSIG_NAME

NOT_BEFORE = datetime(2026, 1, 1, tzinfo=timezone.utc)
NOT_AFTER = datetime(2056, 1, 1, tzinfo=timezone.utc)


def certificate(settings: Settings) -> str:
    """The TLS certificate of the ACME authority's own endpoint, PEM.

    Self-signed with Ed25519, whose signatures are deterministic: the same settings give the same certificate.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

    key = load_pem_private_key(private_key(settings).encode(), None)
    name = x509.Name(
        [x509.NameAttribute(x509.NameOID.COMMON_NAME, f"itqan registrar of {settings.stack}"[:64])]
    )
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("registrar"),
            x509.DNSName("localhost"),
            x509.IPAddress(settings.registrar_address),
            x509.IPAddress(IPv4Address("127.0.0.1")),
        ]
    )
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),  # type: ignore[arg-type]
        serial_number=int(settings.registrar_address),
        not_valid_before=NOT_BEFORE,
        not_valid_after=NOT_AFTER,
    )
    builder = builder.add_extension(names, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.sign(key, None).public_bytes(Encoding.PEM).decode()  # type: ignore[arg-type]


def private_key(settings: Settings) -> str:
    """The key of that certificate, PEM."""
    assert settings.registrar_private_key is not None
    return settings.registrar_private_key.get_secret_value()


def tsig_clause(settings: Settings) -> str:
    """BIND's key clause for the zone's updates."""
    assert settings.tsig_secret is not None
    secret = settings.tsig_secret.get_secret_value()
    return f'key "{TSIG_NAME}" {{\n    algorithm hmac-sha512;\n    secret "{secret}";\n}};\n'

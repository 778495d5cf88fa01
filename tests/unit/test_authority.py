"""The test authority: one root for all copies, which no name but those of copies can be signed under."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from components.authority import copy_certificate, copy_key, root_certificate
from components.keys import UnreadableKey
from components.registrar import NOT_BEFORE
from settings import AUTHORITY, SECRETS, Settings, SettingsError

OTHER = "other.itqan.localhost"


@pytest.fixture
def other(stack: Callable[..., Settings]) -> Settings:
    """A second copy of the project: other keys and another domain, the same authority."""
    make = SECRETS["registrarPrivateKey"].generate
    assert make
    return stack("staging", domain=OTHER, registrarPrivateKey=make())


def leaf(issuer: Settings, *names: x509.GeneralName) -> bytes:
    """A certificate for names, signed by a copy's authority."""
    authority = x509.load_pem_x509_certificate(copy_certificate(issuer).encode())
    key = load_pem_private_key(copy_key(issuer).encode(), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    builder = x509.CertificateBuilder(
        issuer_name=authority.subject,
        subject_name=x509.Name([]),
        public_key=generate_private_key(SECP256R1()).public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=NOT_BEFORE,
        not_valid_after=NOT_BEFORE + timedelta(days=9000),
    )
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


def verified(folder: Path, issuer: Settings, *names: x509.GeneralName) -> str:
    """What OpenSSL says of such a certificate to somebody who trusts the project's root."""
    files = {"root": root_certificate(issuer), "copy": copy_certificate(issuer)}
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "leaf").write_bytes(leaf(issuer, *names))
    command = ["openssl", "verify", "-purpose", "sslserver", "-CAfile", "root", "-untrusted", "copy", "leaf"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_every_copy_has_the_same_root_and_an_authority_of_its_own(staging: Settings, other: Settings) -> None:
    assert root_certificate(staging) == root_certificate(other)
    assert copy_certificate(staging) != copy_certificate(other)
    assert copy_key(staging) != copy_key(other)


def test_what_is_uploaded_is_the_same_each_time(staging: Settings) -> None:
    """Another byte would replace the container."""
    assert copy_certificate(staging) == copy_certificate(staging)
    assert copy_key(staging) == copy_key(staging)
    assert root_certificate(staging) == root_certificate(staging)


def test_the_projects_key_is_in_no_container(staging: Settings, secrets: dict[str, str]) -> None:
    assert secrets[AUTHORITY] not in copy_certificate(staging) + copy_key(staging)


def test_two_projects_have_two_roots(staging: Settings, stack: Callable[..., Settings]) -> None:
    make = SECRETS[AUTHORITY].generate
    assert make
    roots = [root_certificate(staging), root_certificate(stack("staging", **{AUTHORITY: make()}))]
    ours, theirs = (x509.load_pem_x509_certificate(root.encode()) for root in roots)
    assert ours.subject != theirs.subject
    assert ours.serial_number != theirs.serial_number


def test_a_copys_names_verify(staging: Settings, other: Settings, tmp_path: Path) -> None:
    for copy in (staging, other):
        names = [x509.DNSName(copy.domain), x509.DNSName(f"*.{copy.domain}")]
        assert verified(tmp_path, copy, *names) == "leaf: OK\n"


@pytest.mark.parametrize(
    "name",
    [
        x509.DNSName("example.com"),
        x509.DNSName("itqanway.com"),
        x509.DNSName(OTHER),
        x509.DNSName("localhost"),
        x509.IPAddress(IPv4Address("127.0.0.1")),
    ],
    ids=str,
)
def test_no_other_name_does(staging: Settings, tmp_path: Path, name: x509.GeneralName) -> None:
    said = verified(tmp_path, staging, x509.DNSName(staging.domain), name)
    assert "subtree violation" in said, said


def permitted(settings: Settings) -> list[object]:
    """The names that the root may sign for."""
    root = x509.load_pem_x509_certificate(root_certificate(settings).encode())
    constraints = root.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    return [subtree.value for subtree in constraints.value.permitted_subtrees or []]


def test_the_root_signs_for_names_that_are_nobodys(staging: Settings) -> None:
    assert permitted(staging) == ["localhost", "test"]


def test_a_real_staging_domain_is_signed_for_too(stack: Callable[..., Settings]) -> None:
    domain = "staging.example.com"
    copy = stack("staging", domain=f"x.{domain}", staging={"domain": domain})
    assert permitted(copy) == ["localhost", "test", domain]


def test_a_copy_below_another_domain_is_refused(stack: Callable[..., Settings]) -> None:
    with pytest.raises(SettingsError) as refused:
        stack("staging", domain="itqanway.com")
    assert refused.value.problems == [
        "itqan:domain: 'itqanway.com': allowed for a copy: localhost, test, or a name below them"
    ]


@pytest.mark.parametrize("key", ["nothing\n", "registrarPrivateKey"])
def test_another_kind_of_key_is_named_and_not_shown(
    stack: Callable[..., Settings], secrets: dict[str, str], key: str
) -> None:
    value = secrets.get(key, key)
    with pytest.raises(UnreadableKey, match="itqan:authorityPrivateKey") as refused:
        root_certificate(stack("staging", **{AUTHORITY: value}))
    assert value.strip() not in str(refused.value)

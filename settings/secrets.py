"""The secrets of the configuration, and how those of a copy are made."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from secrets import token_bytes
from typing import Protocol

# The number of points of the curve P-256 (SP 800-186, section 3.2.1.3).
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

# Gives a number of bytes that nobody can guess. A secret is a function of one call of it: new bytes make a
# new secret, bytes that were derived from another secret make the same one again (settings/branches.py).
Source = Callable[[int], bytes]


class Generate(Protocol):
    """How a secret is made."""

    def __call__(self, source: Source = token_bytes) -> str:
        """The secret's text."""


@dataclass(frozen=True)
class Secret:
    """A secret of the configuration: what it is for, which targets need it, how a copy's is made."""

    description: str
    targets: frozenset[str]
    generate: Generate | None = None


def _tls_key(source: Source = token_bytes) -> str:
    """An ed25519 private key as PEM text (PKCS #8)."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.from_private_bytes(source(32))
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _ssh_key(source: Source = token_bytes) -> str:
    """An ed25519 private key as OpenSSH keeps it (PROTOCOL.key).

    Written here, because cryptography puts a random check number into it, and the same key has to give the
    same text.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    seed = source(32)
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    both = _field(b"ssh-ed25519") + _field(public)
    check = hashlib.sha256(public).digest()[:4]
    private = check + check + both + _field(seed + public) + _field(b"")
    private += bytes(range(1, 1 + -len(private) % 8))  # padded to a block of the cipher `none`
    head = b"openssh-key-v1\0" + _field(b"none") + _field(b"none") + _field(b"") + struct.pack(">I", 1)
    text = base64.b64encode(head + _field(both) + _field(private)).decode()
    rows = "\n".join(text[at : at + 70] for at in range(0, len(text), 70))
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{rows}\n-----END OPENSSH PRIVATE KEY-----\n"


def p256_key(source: Source = token_bytes) -> str:
    """A private key on the curve P-256, which every browser verifies, as PEM text (PKCS #8)."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    # 48 bytes for a number below 2^256: so long that the remainder favours no number (FIPS 186-5, A.2.1)
    number = int.from_bytes(source(48), "big") % (P256_ORDER - 1) + 1
    key = derive_private_key(number, SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _field(value: bytes) -> bytes:
    """A string of the SSH protocol (RFC 4251, section 5)."""
    return struct.pack(">I", len(value)) + value


def _base64(length: int, before: str = "") -> Generate:
    return lambda source=token_bytes: before + base64.b64encode(source(length)).decode()


def _hexadecimal(length: int) -> Generate:
    return lambda source=token_bytes: source(length).hex()


def _password(source: Source = token_bytes) -> str:
    """32 characters that need no quotes."""
    return base64.urlsafe_b64encode(source(24)).decode()


def _number(source: Source = token_bytes) -> str:
    """Six digits."""
    return str(100000 + int.from_bytes(source(16), "big") % 900000)


BOTH, HOST, DOCKER = frozenset({"host", "docker"}), frozenset({"host"}), frozenset({"docker"})
NOWHERE: frozenset[str] = frozenset()

# The key under which a copy keeps the secrets made for it: one encrypted JSON object of them.
BUNDLE = "secrets"
# Secrets that are objects. Further variables of .env by name, in the bundle or as a key of its own; and a
# change of one secret that is under way, always in the bundle.
VARIABLES, ROTATION = "environmentSecrets", "rotation"

# The one secret that the copies of branches share: their own are derived from it.
BRANCH_SEED = "branchSeed"
# Whoever can write to the second place has not this one: `./itqan backup key` makes it.
BACKUP_MAC = "backupMacKey"
# The one key that logs in on the Docker hosts of `itqan:staging.docker`.
DOCKER_KEY = "dockerPrivateKey"
# The one secret that all copies of a project share: a browser trusts its certificate once.
AUTHORITY = "authorityPrivateKey"

SECRETS: dict[str, Secret] = {
    "sshPrivateKey": Secret("private SSH key of the connection (OpenSSH format)", BOTH, _ssh_key),
    "observerPrivateKey": Secret("private SSH key of itqan:observer (OpenSSH format)", NOWHERE, _ssh_key),
    "sshHostPrivateKey": Secret("private host key of the copy (ed25519, OpenSSH format)", DOCKER, _ssh_key),
    "registrarPrivateKey": Secret(
        "key of the copy's ACME authority's own TLS certificate (PEM)", DOCKER, _tls_key
    ),
    AUTHORITY: Secret("key of the test authority of all copies (PEM, P-256)", DOCKER, p256_key),
    "tsigSecret": Secret("TSIG secret for the zone (base64, HMAC-SHA512)", DOCKER, _base64(64)),
    "hostingerToken": Secret("token of Hostinger's API (hpanel.hostinger.com/profile/api)", NOWHERE),
    "appKey": Secret(
        "APP_KEY of the application (base64:…)", BOTH, _base64(32, "base64:")
    ),  # as `php artisan key:generate`
    "databasePassword": Secret("DB_PASSWORD", BOTH, _password),
    "previousAppKeys": Secret("APP_PREVIOUS_KEYS: old keys, which still read; with commas", NOWHERE),
    "redisPassword": Secret("REDIS_PASSWORD", NOWHERE, _password),
    "reverbAppId": Secret("REVERB_APP_ID", BOTH, _number),
    "reverbAppKey": Secret("REVERB_APP_KEY", BOTH, _hexadecimal(10)),
    "reverbAppSecret": Secret("REVERB_APP_SECRET", BOTH, _hexadecimal(16)),
    "mailUsername": Secret("MAIL_USERNAME", HOST),
    "mailPassword": Secret("MAIL_PASSWORD", HOST),
    "livekitApiKey": Secret("LIVEKIT_API_KEY", HOST),
    "livekitApiSecret": Secret("LIVEKIT_API_SECRET", HOST),
    "deployKey": Secret("private SSH key that reads the release's repository", NOWHERE),
    "repositoryToken": Secret("token that reads the release's repository over HTTPS", NOWHERE),
    DOCKER_KEY: Secret(
        "private SSH key that logs in on the hosts of itqan:staging.docker (OpenSSH format)",
        NOWHERE,
        _ssh_key,
    ),
    "backupPrivateKey": Secret("private SSH key of itqan:backup.second (OpenSSH format)", NOWHERE),
    "backupAccessKey": Secret("access key of the store of itqan:backup.second", NOWHERE),
    "backupSecretKey": Secret("secret key of the store of itqan:backup.second", NOWHERE),
    BACKUP_MAC: Secret("key by which backups at itqan:backup.second are known", NOWHERE, _hexadecimal(32)),
    BRANCH_SEED: Secret("what the secrets of the copies of branches are derived from", NOWHERE, _base64(32)),
}


# Variables of .env that are secrets of their own, by name of the secret.
SECRET_VARIABLES = {
    "APP_KEY": "appKey",
    "APP_PREVIOUS_KEYS": "previousAppKeys",
    "DB_PASSWORD": "databasePassword",
    "REDIS_PASSWORD": "redisPassword",
    "REVERB_APP_ID": "reverbAppId",
    "REVERB_APP_KEY": "reverbAppKey",
    "REVERB_APP_SECRET": "reverbAppSecret",
    "MAIL_USERNAME": "mailUsername",
    "MAIL_PASSWORD": "mailPassword",
    "LIVEKIT_API_KEY": "livekitApiKey",
    "LIVEKIT_API_SECRET": "livekitApiSecret",
}
# Those that the document does not have: a plain value, such as `null`, may stand in their place.
OPTIONAL_VARIABLES = frozenset({"APP_PREVIOUS_KEYS", "REDIS_PASSWORD"})


def missing_secrets(config: Mapping[str, object]) -> list[str]:
    """Names of the secrets that this configuration (merged with its bases) needs and does not have."""
    target = str(config.get("target"))
    return [name for name, secret in SECRETS.items() if target in secret.targets and not config.get(name)]

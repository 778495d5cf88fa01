"""The secrets of the configuration, and how those of a copy are made."""

from __future__ import annotations

import base64
import secrets as randomness
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Secret:
    """A secret of the configuration: what it is for, which targets need it, how a copy's is made."""

    description: str
    targets: frozenset[str]
    generate: Callable[[], str] | None = None


def _ed25519_key(container: str) -> str:
    """A new ed25519 private key as PEM text; `container` is a PrivateFormat: OpenSSH or PKCS8."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, getattr(PrivateFormat, container), NoEncryption()).decode()


def _ssh_key() -> str:
    return _ed25519_key("OpenSSH")


def _p256_key() -> str:
    """A new private key on the curve P-256, which every browser verifies, as PEM text."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = generate_private_key(SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _base64(length: int) -> str:
    return base64.b64encode(randomness.token_bytes(length)).decode()


def _app_key() -> str:
    """As `php artisan key:generate`: 32 bytes for AES-256-CBC."""
    return f"base64:{_base64(32)}"


BOTH, HOST, DOCKER = frozenset({"host", "docker"}), frozenset({"host"}), frozenset({"docker"})
NOWHERE: frozenset[str] = frozenset()

# The key under which a copy keeps the secrets made for it: one encrypted JSON object of them.
BUNDLE = "secrets"
# Secrets that are objects. Further variables of .env by name, in the bundle or as a key of its own; and a
# change of one secret that is under way, always in the bundle.
VARIABLES, ROTATION = "environmentSecrets", "rotation"

# The one secret that all copies of a project share: a browser trusts its certificate once.
AUTHORITY = "authorityPrivateKey"

SECRETS: dict[str, Secret] = {
    "sshPrivateKey": Secret("private SSH key of the connection (OpenSSH format)", BOTH, _ssh_key),
    "observerPrivateKey": Secret("private SSH key of itqan:observer (OpenSSH format)", NOWHERE, _ssh_key),
    "sshHostPrivateKey": Secret("private host key of the copy (ed25519, OpenSSH format)", DOCKER, _ssh_key),
    "registrarPrivateKey": Secret(
        "key of the copy's ACME authority's own TLS certificate (PEM)", DOCKER, lambda: _ed25519_key("PKCS8")
    ),
    AUTHORITY: Secret("key of the test authority of all copies (PEM, P-256)", DOCKER, _p256_key),
    "tsigSecret": Secret("TSIG secret for the zone (base64, HMAC-SHA512)", DOCKER, lambda: _base64(64)),
    "hostingerToken": Secret("token of Hostinger's API (hpanel.hostinger.com/profile/api)", NOWHERE),
    "appKey": Secret("APP_KEY of the application (base64:…)", BOTH, _app_key),
    "databasePassword": Secret("DB_PASSWORD", BOTH, lambda: randomness.token_urlsafe(24)),
    "previousAppKeys": Secret("APP_PREVIOUS_KEYS: old keys, which still read; with commas", NOWHERE),
    "redisPassword": Secret("REDIS_PASSWORD", NOWHERE, lambda: randomness.token_urlsafe(24)),
    "reverbAppId": Secret("REVERB_APP_ID", BOTH, lambda: str(100000 + randomness.randbelow(900000))),
    "reverbAppKey": Secret("REVERB_APP_KEY", BOTH, lambda: randomness.token_hex(10)),
    "reverbAppSecret": Secret("REVERB_APP_SECRET", BOTH, lambda: randomness.token_hex(16)),
    "mailUsername": Secret("MAIL_USERNAME", HOST),
    "mailPassword": Secret("MAIL_PASSWORD", HOST),
    "livekitApiKey": Secret("LIVEKIT_API_KEY", HOST),
    "livekitApiSecret": Secret("LIVEKIT_API_SECRET", HOST),
    "deployKey": Secret("private SSH key that reads the release's repository", NOWHERE),
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

"""Digests of files with secrets: made with a key, so that nobody can try out what a short one may be.

They stand in the engine's plain state and in previews. The key is made from a secret that is random in every
stack, and only root can read it on the host.
"""

from __future__ import annotations

import hashlib
import hmac

from settings import Settings

from .render import managed
from .unit import Unit, file_unit

KEY_FILE = "/etc/itqan/digest.key"


def key(settings: Settings) -> str:
    """The content of the key's file."""
    secret = settings.app_key.get_secret_value().encode()
    derived = hmac.new(secret, b"digests of files with secrets", hashlib.sha256).hexdigest()
    return f"# {managed('components/digests.py')}\n{derived}\n"


def key_unit(settings: Settings) -> Unit:
    """The key, before every file whose digest is made with it; its own digest gives nothing away."""
    return file_unit("host/digest-key", KEY_FILE, key(settings), mode="600", secret=True, removable=False)

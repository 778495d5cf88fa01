"""What a change of a secret needs on the host beyond the stack's own units."""

from __future__ import annotations

from settings import Settings

from .keys import public_key
from .unit import Unit, call

# What the application has to do by itself, as `probe_application` says it, by the secret that asks for it.
NEEDED = {"app-key": "previous keys read", "redis": "redis name told"}
# Parts whose units a change rests on.
PARTS = frozenset({"host", "database", "redis", "php", "release", "supervisor"})


def application(settings: Settings) -> Unit:
    """What the application does with older keys and with a name for Redis; looked at only."""
    root, user = settings.application.path, settings.server.web_user
    return Unit("rotation/application", call("probe_application", user, root), expect="", apply="")


def logins(settings: Settings) -> list[str]:
    """The users that the stack's key may log in as."""
    connection = settings.connection
    return list(
        dict.fromkeys(["root", *([connection.user] if connection else []), settings.server.deploy_user])
    )


def new_key(settings: Settings, old: str, new: str) -> Unit:
    """Where the private key `old` logs in, `new` does too."""
    users, before, after = logins(settings), public_key(old), public_key(new)
    return Unit(
        "rotation/new-key",
        probe=call("probe_added_key", before, after, *users),
        expect="new key logs in where the old one does",
        apply=call("add_login_key", before, after, *users),
    )


def old_key(settings: Settings, old: str) -> Unit:
    """The private key `old` logs in nowhere."""
    users, before = logins(settings), public_key(old)
    return Unit(
        "rotation/old-key",
        probe=call("probe_login_keys", before, *users),
        expect="key logs in as nobody",
        apply=call("remove_login_key", before, *users),
    )

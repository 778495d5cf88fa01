"""`rotate`: a secret is changed while everything goes on: for a while the host accepts old and new.

What is under way stands in the encrypted configuration (`rotation`), in one value with the secrets. So a
rotation that was killed is continued by typing it again, and a plain `up` in between does no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from .engine import Engine
from .errors import ConfigurationError, OperationError
from .machine import ready_engine
from .paths import stack_file
from .run import run_up
from .stack import bundle_secrets, ready_stack, store_secrets
from .steps import Steps

if TYPE_CHECKING:
    from components.observation import Endpoint
    from settings import Settings

# The secret of the configuration that each word of the command line changes.
NAMES = {"db": "databasePassword", "app-key": "appKey", "redis": "redisPassword", "ssh": "sshPrivateKey"}
OLD_KEYS = "previousAppKeys"
# What an application lacks (components/rotation.NEEDED).
UNABLE = {
    "app-key": "the application does not read what an older key encrypted (APP_PREVIOUS_KEYS: Laravel 11 and "
    "later, with `previous_keys` in config/app.php); a new key would end sessions and make encrypted columns "
    "unreadable",
    "redis": "the application tells Redis no user name, so that a first password would fail requests; "
    "config/database.php needs for each connection of redis: 'username' => env('REDIS_USERNAME')",
}


def rotate_secret(name: str, of: str, steps: Steps) -> str:
    """Changes one secret of a stack. Returns what was done, in words.

    Arguments: `of`, a key of NAMES.
    Raises ConfigurationError for what cannot be changed this way, OperationError when the host is not as
    expected.
    """
    return _Rotate(name, of, ready_engine(steps), steps).run()


class _Rotate:
    """One run of `rotate`."""

    def __init__(self, name: str, of: str, engine: Engine, steps: Steps) -> None:
        self._name, self._of, self._engine, self._steps = name, of, engine, steps
        self._secret = NAMES[of]

    def run(self) -> str:
        """See `rotate_secret`."""
        settings = self._settings()
        if settings.branch:
            raise OperationError(
                f"{self._name} is the copy of branch {settings.branch}: its secrets are derived, not stored. "
                "A new itqan:branchSeed makes new ones for all copies; take them down before"
            )
        if settings.rotation is None:
            self._require_ready(settings)
            bundle_secrets(self._name, self._engine, [self._secret, OLD_KEYS])
            self._begin(settings)
        elif settings.rotation.of != self._of:
            raise OperationError(
                f"a change of {settings.rotation.of} is under way; first: "
                f"./itqan rotate {self._name} {settings.rotation.of}"
            )
        else:
            self._steps.say(f"▸ Continuing the change of {self._of} that was begun before")
        {"app-key": self._change_app_key, "ssh": self._change_login}.get(self._of, self._change_password)()
        self._store(f"The change of {self._of} is done", {"rotation": None})
        return self._done()

    def _settings(self) -> Settings:
        from .audit import read_settings

        return read_settings([self._name], self._engine)[0]

    def _store(self, text: str, values: Mapping[str, object]) -> None:
        """Writes to the encrypted configuration, all in one value: at no moment is a secret lost."""
        with self._steps.step("secrets", f"{text}: {stack_file(self._name).name}"):
            store_secrets(self._name, self._engine, values)

    def _up(self, text: str) -> None:
        self._steps.say(f"▸ {text}")
        run_up(ready_stack(self._name, self._steps))

    # -- before

    def _require_ready(self, settings: Settings) -> None:
        """Refuses what could not end well; nothing was changed by then."""
        from components.rotation import NEEDED, PARTS, application

        from .audit import look, side_of

        if self._of == "ssh":
            self._require_own_login(settings)
        side = side_of(settings)
        [states] = look([(side, [*side.units, application(settings)])])
        differing = [s.unit.name for s in states[:-1] if not s.healthy and s.unit.part in PARTS]
        if differing:
            raise OperationError(
                f"{', '.join(differing)}: not as expected, so nothing was changed; "
                f"first: ./itqan up --stack {self._name}"
            )
        is_first = self._of == "app-key" or settings.redis_password is None
        if is_first and NEEDED.get(self._of, "") not in states[-1].found:
            raise OperationError(f"nothing was changed: {UNABLE[self._of]}")

    def _require_own_login(self, settings: Settings) -> None:
        """The key is the stack's to change."""
        from components.keys import public_key

        file = stack_file(self._name).name
        if settings.target == "docker":
            raise ConfigurationError(
                f"stack {self._name} is a copy, and its login key a part of its container. A new key comes "
                f"with a new copy: ./itqan down --stack {self._name}; take `itqan:secrets` out of {file}; "
                f"./itqan up --stack {self._name}"
            )
        own = public_key(settings.ssh_private_key.get_secret_value())
        if any(own in key for key in settings.server.authorized_keys):
            raise ConfigurationError(
                f"itqan:server.authorizedKeys in {file} names the stack's own key, which would stay valid; "
                "take it out there: the stack adds its key by itself"
            )

    def _begin(self, settings: Settings) -> None:
        """The new value is made and stored, and nothing is lost: the old one stays beside it."""
        from components.redis import NO_PASSWORD
        from settings import SECRETS

        make = SECRETS[self._secret].generate
        assert make
        current = settings.secret(self._secret)
        old, new = current.get_secret_value() if current else NO_PASSWORD, make()
        if self._of in ("app-key", "ssh"):
            # the host first: nobody may need the new one before all can read it
            values: dict[str, object] = {"rotation": {"of": self._of, "pending": new}}
        else:
            values = {self._secret: new, "rotation": {"of": self._of, "previous": old}}
        self._store(f"Making a new {self._secret}, the old one stays beside it", values)

    # -- the changes themselves; each step looks at what is stored, so that it continues what was begun

    def _change_password(self) -> None:
        """db and redis: a run makes the server accept both before .env changes, by the order of its graph."""
        rotation = self._settings().rotation
        if rotation and rotation.previous:
            self._up("Both are accepted, and the application takes up the new one")
            self._store("The old one is withdrawn", {"rotation": {"of": self._of}})
        self._up("Only the new one is accepted")

    def _change_app_key(self) -> None:
        """Every process reads the new key before the first one writes with it.

        All old keys stay readable: nobody but the application knows what they encrypted.
        """
        settings = self._settings()
        if settings.rotation and settings.rotation.pending:
            self._up("The new key becomes readable")
            older = settings.secret(OLD_KEYS)
            keys = [settings.app_key.get_secret_value(), *([older.get_secret_value()] if older else [])]
            values = {
                self._secret: settings.rotation.pending.get_secret_value(),
                OLD_KEYS: ",".join(keys),
                "rotation": {"of": self._of},
            }
            self._store("The new key becomes the one that encrypts, the old one stays readable", values)
        self._up("The application encrypts with the new key")

    def _change_login(self) -> None:
        """The new key is tried before anything rests on it, and again before the old one is removed."""
        from components.observation import converge
        from components.rotation import new_key, old_key

        settings = self._settings()
        assert settings.rotation
        if settings.rotation.pending:
            old, new = settings.ssh_private_key, settings.rotation.pending
            with self._steps.step("login", "The new key is added where the old one logs in, and tried"):
                unit = new_key(settings, old.get_secret_value(), new.get_secret_value())
                _run(converge(self._endpoint(settings), [unit], settings.owner))
                self._require_login(settings, new.get_secret_value())
            values = {
                self._secret: new.get_secret_value(),
                "rotation": {"of": self._of, "previous": old.get_secret_value()},
            }
            self._store("The new key becomes the stack's", values)
            settings = self._settings()
        if previous := settings.previous("ssh"):
            self._up("Everything goes over the new key")
            with self._steps.step("login", "The old key is removed"):
                _run(converge(self._endpoint(settings), [old_key(settings, previous)], settings.owner))
                self._require_login(settings, settings.ssh_private_key.get_secret_value())

    def _endpoint(self, settings: Settings, key: str | None = None) -> Endpoint:
        from dataclasses import replace

        from components.observation import Endpoint

        endpoint = Endpoint.of(settings)
        return replace(endpoint, private_key=key) if key else endpoint

    def _require_login(self, settings: Settings, key: str) -> None:
        from components.observation import observe
        from components.unit import Unit

        _run(observe(self._endpoint(settings, key), [Unit("rotation/login", "probe_owner", "", "")]))

    def _done(self) -> str:
        changed = f"{self._secret} of stack {self._name} is a new one; the old one"
        if self._of != "app-key":
            return f"{changed} is worth nothing any more"
        return "\n".join(
            [
                f"{changed} only reads what it encrypted. When the application has encrypted all of it anew:",
                f"  pulumi config set --stack {self._name} --secret itqan:{OLD_KEYS} ''",
                f"  ./itqan up --stack {self._name}",
            ]
        )


def _run(task: Coroutine[Any, Any, Any]) -> Any:
    """Raises OperationError when the host cannot be reached or refuses."""
    from components.observation import Unreachable

    try:
        return asyncio.run(task)
    except Unreachable as error:
        raise OperationError(str(error)) from None

"""`init`: points a stack at a real server: host key, connection, secrets, and what is still missing."""

from __future__ import annotations

import asyncio
import json
import secrets as randomness
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from settings import at, laid

from . import hosts
from .engine import Engine
from .errors import ConfigurationError, OperationError
from .machine import ready_engine
from .paths import stack_file
from .questions import OF_RFC2136, QUESTIONS, Question
from .stack import (
    PRODUCTION,
    endpoint_of,
    merged_configuration,
    missing_settings,
    open_state,
    own_configuration,
    set_values,
    store_secrets,
)
from .steps import Steps
from .terminal import ask, ask_secret, ask_word

# Seconds until a host that does not show its key counts as unreachable.
PATIENCE = 15
# The kinds that Pulumi's plugin can pin, the preferred one first.
HOST_KEYS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
LOGIN_KEY, TSIG, HOST = "sshPrivateKey", "tsigSecret", "connection.host"
# The secret that a provider of DNS asks for.
DNS_SECRETS = {"rfc2136": TSIG, "hostinger": "hostingerToken"}


@dataclass(frozen=True)
class Request:
    """What the command line says.

    answers      values by option of QUESTIONS
    fingerprint  the host key that has to be there, SHA256:…
    key          file of the private key that logs in
    new_key      make one instead
    secrets      further secrets by name
    extends      the stack whose configuration a new one is laid over
    """

    stack: str
    answers: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str | None = None
    key: Path | None = None
    new_key: bool = False
    secrets: Mapping[str, str] = field(default_factory=dict)
    extends: str = PRODUCTION


def init_stack(request: Request, steps: Steps) -> list[str]:
    """Stores what a stack needs to reach a server; what is stored already stays, so it may be repeated.

    Returns one line for each thing that is still missing.
    Raises ConfigurationError for a stack that is no server's or a wrong answer, OperationError for a host key
    that is not the expected one.
    """
    return _Init(request, ready_engine(steps), steps).run()


def parsed_secrets(text: str) -> dict[str, str]:
    """Secrets by name from a JSON object. Raises ConfigurationError, without showing any of it."""
    from settings import SECRETS

    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise ConfigurationError('--secrets: standard input is no JSON object such as {"mailPassword": "…"}')
    unknown = sorted(given.keys() - SECRETS.keys())
    if unknown:
        raise ConfigurationError(f"--secrets: {', '.join(unknown)}: allowed: {', '.join(SECRETS)}")
    return given


class _Init:
    """One run of `init`."""

    def __init__(self, request: Request, engine: Engine, steps: Steps) -> None:
        self._request, self._engine, self._steps = request, engine, steps
        self._name = request.stack
        self._asks = sys.stdin.isatty()
        self._values: dict[str, object] | None = None

    def run(self) -> list[str]:
        """See `init_stack`."""
        self._make_file()
        open_state(self._name, self._engine, self._steps)
        if self._merged().get("target") != "host":
            raise ConfigurationError(
                f"stack {self._name} is a copy on Docker; type: ./itqan up --stack {self._name}"
            )
        answers = self._answers()
        key = self._login_key()
        host, port = self._place(answers)
        host_key = self._host_key(host, port)
        plain = {"connection.hostKey": host_key, **answers}
        if not self._merged().get("id"):
            plain["id"] = f"i{randomness.token_hex(8)}"
        set_values(self._name, self._engine, plain)
        self._store({**self._request.secrets, LOGIN_KEY: key})
        self._store({**self._generated(), **self._prompted()})
        return missing_settings(self._name, self._engine)

    def _store(self, secrets: Mapping[str, str]) -> None:
        if secrets:
            store_secrets(self._name, self._engine, secrets)
            self._values = None

    def _make_file(self) -> None:
        path = stack_file(self._name)
        if path.exists():
            return
        self._steps.say(f"▸ Writing {path.name}: a server like {self._request.extends}")
        path.write_text(
            "# What this server has of its own; everything else is as in the stack that it extends.\n"
            f"config:\n  itqan:extends: {self._request.extends}\n  itqan:server:\n    ipv6: null\n"
        )

    def _own(self) -> dict[str, object]:
        """The stack's own configuration, read anew after each change."""
        if self._values is None:
            self._values = own_configuration(self._name, self._engine)
        return self._values

    def _merged(self) -> dict[str, Any]:
        return merged_configuration(self._own())

    def _answers(self) -> dict[str, str]:
        """Values by key of the configuration: given as options, else asked for where somebody can answer.

        Raises ConfigurationError with every option that cannot be.
        """
        given, merged = self._request.answers, self._merged()
        wrong = [
            f"--{q.option}: {reason}" for q in QUESTIONS if (reason := self._wrong(q, given.get(q.option)))
        ]
        if wrong:
            raise ConfigurationError("\n  ".join(wrong))
        answers = {q.key: given[q.option] for q in QUESTIONS if q.option in given}
        if not self._asks:
            return answers
        for question in QUESTIONS:
            provider = answers.get("dns.provider", at(merged, "dns.provider"))
            if question.key in answers or (question.option in OF_RFC2136 and provider != "rfc2136"):
                continue
            # the address of the stack that this one extends is another server's
            known = at(self._own() if question.key == HOST else merged, question.key)
            text = f"{question.text}{f' [{known}]' if known else ''}"
            said = ask(text, partial(self._wrong, question))
            if said and said != str(known):
                answers[question.key] = said
        return answers

    def _wrong(self, question: Question, answer: str | None) -> str | None:
        """Why an answer cannot be taken; without one, what is configured stays."""
        from settings import problems_at

        if not answer:
            return None
        found = problems_at(laid(self._merged(), question.key, answer), question.key)
        return "; ".join(found) or None

    def _place(self, answers: Mapping[str, str]) -> tuple[str, int]:
        merged = self._merged()
        host = answers.get(HOST) or at(self._own(), HOST)
        port = int(answers.get("connection.port") or at(merged, "connection.port") or 22)
        if not host:
            raise ConfigurationError("itqan:connection.host: missing; say where the host is: --host ADDRESS")
        return str(host), port

    def _host_key(self, host: str, port: int) -> str:
        """The key that the host shows, once it is the pinned, the given or the confirmed one."""
        shown, fingerprint = _shown_host_key(host, port)
        pinned = " ".join(str(at(self._merged(), "connection.hostKey") or "").split()[:2])
        wanted = self._request.fingerprint
        if wanted is None and shown == pinned:
            self._steps.say(f"  host key of {host} port {port}: {fingerprint}, as pinned")
            return shown
        if wanted is None and self._asks:
            change = "another one than the pinned one! " if pinned else ""
            print(f"  host key of {host} port {port}: {change}{fingerprint}")
            if ask_word("Does the provider's console show the same?", "yes", "no") != "yes":
                raise OperationError("the host key was not confirmed; nothing was stored")
            return shown
        if wanted is None:
            change = "another host key than the pinned one" if pinned else "the host key"
            raise OperationError(
                f"{host} port {port} shows {change}: {fingerprint}; nothing was stored. Compare it with the "
                f"provider's console, then add: --host-key {fingerprint}"
            )
        if wanted.removeprefix("SHA256:").rstrip("=") != fingerprint.removeprefix("SHA256:"):
            raise OperationError(
                f"{host} port {port} shows the host key {fingerprint}, not {wanted}; nothing was stored. "
                "Do not go on before you know why"
            )
        self._steps.say(f"  host key of {host} port {port}: {fingerprint}, as given")
        return shown

    def _login_key(self) -> str:
        """The private key that logs in: a file's, a new one, or the one that is stored already."""
        from settings import SECRETS

        stored = self._merged().get(LOGIN_KEY)
        file = self._request.key
        if self._request.new_key and not stored:
            make = SECRETS[LOGIN_KEY].generate
            assert make
            return make()
        if file is None and stored:
            return str(stored)
        if file is None and self._asks:
            return self._asked_key()
        if file is None:
            raise ConfigurationError("the key that logs in is missing: --key FILE, or --new-key to make one")
        return _read_key(file.expanduser())

    @staticmethod
    def _asked_key() -> str:
        """The private key of a file that somebody names."""
        default = Path.home() / ".ssh" / "id_ed25519"

        def wrong(answer: str) -> str | None:
            try:
                _read_key(Path(answer or default).expanduser())
            except ConfigurationError as error:
                return str(error)
            return None

        said = ask(f"file of the private key that logs in [{default}]", wrong)
        return _read_key(Path(said or default).expanduser())

    def _generated(self) -> dict[str, str]:
        """Secrets for a new host; one that runs the application already keeps its own."""
        from settings import SECRETS, missing_secrets

        makeable = {
            name: make for name in missing_secrets(self._merged()) if (make := SECRETS[name].generate)
        }
        if not self._is_new() or not makeable:
            return {}
        self._steps.say(f"▸ Making {', '.join(makeable)}: encrypted in {stack_file(self._name).name}")
        return {name: make() for name, make in makeable.items()}

    def _is_new(self) -> bool:
        """Whether the host was seen, and runs no application yet.

        Raises OperationError when it belongs to another stack.
        """
        from components.keys import UnreadableKey, public_key
        from components.unit import Unit, call

        merged = self._merged()
        environment = f"{at(merged, 'application.path')}/.env"
        looks = [
            Unit("init/owner", "probe_owner", "", ""),
            Unit("init/environment", call("probe_file", environment), "", ""),
        ]
        endpoint = endpoint_of(merged)
        try:
            public = public_key(endpoint.private_key)
            [[owner, application]] = hosts.look([(endpoint, looks)])
        except UnreadableKey as error:
            raise ConfigurationError(str(error)) from None
        except hosts.UnseenHost as error:
            self._steps.say(
                f"  {error}\n  This key has to log in there; on the host, as {endpoint.user}:\n"
                f"    mkdir -pm 700 ~/.ssh && echo '{public}' >>~/.ssh/authorized_keys\n"
                f"  Then again: ./itqan init {self._name}"
            )
            return False
        ours = f"owner itqan/{self._name} {merged['id']}"
        if owner.found not in ("owner none", ours):
            raise OperationError(
                f"host {endpoint.host} belongs to stack {owner.found.removeprefix('owner ')}, not to "
                f"{ours.removeprefix('owner ')}; if it is to become this one's, remove /etc/itqan/stack there"
            )
        if not application.found.endswith(" absent") and owner.found != ours:
            self._steps.say(
                f"  the host runs the application already ({environment}): its secrets are not made anew"
            )
            return False
        return True

    def _prompted(self) -> dict[str, str]:
        """Further secrets from whoever sits there, without echo; an empty answer leaves one out."""
        from settings import SECRETS

        if not self._asks:
            return {}
        names = [name for name in self._wanted_secrets() if not SECRETS[name].generate or name == TSIG]
        said = {name: ask_secret(f"{SECRETS[name].description}, empty for later") for name in names}
        return {name: value for name, value in said.items() if value}

    def _wanted_secrets(self) -> list[str]:
        from settings import missing_secrets

        merged = self._merged()
        secret = DNS_SECRETS.get(str(at(merged, "dns.provider")))
        return [*missing_secrets(merged), *([secret] if secret and not merged.get(secret) else [])]


def _shown_host_key(host: str, port: int) -> tuple[str, str]:
    """The public key that a host shows, and its SHA256 fingerprint. Raises OperationError."""
    import asyncssh

    from components.observation import network_reason

    async def ask() -> asyncssh.SSHKey | None:
        shown = asyncssh.get_server_host_key(host, port, server_host_key_algs=HOST_KEYS, config=None)
        return await asyncio.wait_for(shown, PATIENCE)

    try:
        key = asyncio.run(ask())
    except asyncio.TimeoutError:
        raise OperationError(
            f"{host} port {port} shows no host key: no answer within {PATIENCE} seconds"
        ) from None
    except (OSError, asyncssh.Error) as error:
        raise OperationError(f"{host} port {port} shows no host key: {network_reason(error)}") from None
    if key is None:
        raise OperationError(f"{host} port {port} shows no host key")
    return key.export_public_key().decode().strip(), key.get_fingerprint()


def _read_key(file: Path) -> str:
    from components.keys import UnreadableKey, public_key

    try:
        text = file.read_text()
        public_key(text)
    except OSError as error:
        raise ConfigurationError(f"--key: {file}: {error.strerror}") from None
    except (UnicodeDecodeError, UnreadableKey):
        raise ConfigurationError(
            f"--key: {file}: not a private SSH key, or one with a passphrase, which nobody could type "
            f"in a run; make one for the stack: --new-key"
        ) from None
    return text

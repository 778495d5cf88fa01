"""`adopt`: takes over the secrets of a server that already runs, so that `up` replaces none of them."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from settings import OPTIONAL_VARIABLES, at

from . import hosts
from .dotenv import UnreadableDotenv, parse
from .engine import Engine
from .errors import ConfigurationError, OperationError
from .machine import ready_engine
from .paths import stack_file
from .stack import (
    endpoint_of,
    merged_configuration,
    missing_settings,
    open_state,
    own_configuration,
    set_strings,
    set_values,
    store_secrets,
)
from .steps import Steps
from .table import grouped
from .terminal import ask_word

# A variable that the settings do not name is taken for a secret when its name or its value looks like one.
SECRET_NAME = re.compile(r"KEY|SECRET|PASS|TOKEN|CREDENTIAL|PRIVATE|SALT|DSN|WEBHOOK|SIGNATURE|AUTH")
SECRET_VALUE = re.compile(r"://[^/@\s]+@|-----BEGIN")
# Settings that a variable of .env is made from, and how.
MADE_FROM = {
    "APP_DOMAIN": ("domain", "{}"),
    "APP_URL": ("domain", "https://{}"),
    "REVERB_HOST": ("domain", "{}"),
    "DB_HOST": ("database.host", "{}"),
    "DB_PORT": ("database.port", "{}"),
    "DB_DATABASE": ("database.name", "{}"),
    "DB_USERNAME": ("database.user", "{}"),
    "REDIS_HOST": ("redis.host", "{}"),
    "REDIS_PORT": ("redis.port", "{}"),
}
# Whose value of a secret counts where host and configuration have different ones.
Choice = Literal["", "host", "stored"]
DEPLOY_KEY, KNOWN_HOSTS = "deployKey", "release.knownHosts"
# What is no key of the configuration: the commit that runs.
COMMIT = "commit"
# How `git_origin` of files/host/probes.sh shows what does not belong into a URL.
TOKEN = "(a token)"
ABSENT = "-"


@dataclass(frozen=True)
class Difference:
    """A setting that says something else than the host.

    takeable   whether the host's value can become the setting's
    lines      the whole value, where the setting is a list
    """

    group: str
    key: str
    says: str
    has: str
    takeable: bool = True
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Host:
    """What a running server says of itself.

    owner        the stack that it belongs to, or none
    variables    those of .env
    credentials  secrets of further files, by name
    facts        by key of the configuration
    known_hosts  what the checkout's owner knows of the git server's keys, as known_hosts has it
    """

    owner: str
    variables: Mapping[str, str] = field(repr=False)
    credentials: Mapping[str, str] = field(repr=False)
    facts: Mapping[str, str]
    known_hosts: Sequence[str] = ()


@dataclass(frozen=True)
class Adoption:
    """What was found and stored.

    stored       names of the secrets that were stored; `unchanged` those that were there with this value
    disputed     names of those that were stored with another value than the host's
    choice       whose value of these counts; empty: nobody has said, so nothing was done about them
    differences  between settings and host
    taken        whether the takeable ones are the settings' now
    missing      what the configuration still lacks, one line each
    """

    stack: str
    stored: list[str]
    unchanged: list[str]
    differences: list[Difference]
    taken: bool
    missing: list[str]
    disputed: Sequence[str] = ()
    choice: Choice = ""

    @property
    def is_open(self) -> bool:
        """Whether something is still to be said or stored."""
        return bool(self.missing or (self.disputed and not self.choice))

    def text(self) -> str:
        """The report: names of secrets, never a value of one."""
        lines = [f"secrets stored, encrypted in {stack_file(self.stack).name}: {_names(self.stored)}"]
        if self.unchanged:
            lines.append(f"secrets that were stored already: {_names(self.unchanged)}")
        lines += [*self._disputed(), *self._table()]
        if self.missing:
            return "\n  ".join(["\n".join([*lines, f"itqan {self.stack}: still missing:"]), *self.missing])
        lines += [
            "nothing was changed on the host; next:",
            f"  ./itqan audit {self.stack}         what `up` would change, unit by unit",
            f"  ./itqan up --stack {self.stack}",
        ]
        return "\n".join(lines)

    def _disputed(self) -> list[str]:
        if not self.disputed:
            return []
        names = _names(self.disputed)
        if self.choice == "host":
            return [f"stored with other values before, replaced by the host's: {names}"]
        if self.choice == "stored":
            return [
                f"the host has other values of these, and the stored ones stay: {names}; `up` brings them"
            ]
        return [
            f"stored with other values than the host's, and left so: {names}; say which ones count:",
            f"  ./itqan adopt {self.stack} --replace   the host's; those stored now are lost",
            f"  ./itqan adopt {self.stack} --keep      the stored ones; `up` brings them to the host",
        ]

    def _table(self) -> list[str]:
        if not self.differences:
            return ["the settings say what the host has"]
        rows = [(d.group, (d.key, d.says, d.has, self._then(d))) for d in self.differences]
        table = list(grouped(("key", "settings say", "host has", ""), rows))
        if self.taken or not any(d.takeable for d in self.differences):
            return table
        return [
            *table,
            "`up` brings the host to what the settings say; to take the host's values over instead:",
            f"  ./itqan adopt {self.stack} --take",
        ]

    def _then(self, difference: Difference) -> str:
        if difference.takeable:
            return "taken" if self.taken else ""
        return "the settings stay"


def _names(names: Sequence[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def adopt_stack(name: str, steps: Steps, *, take: bool, choice: Choice = "") -> Adoption:
    """Stores the secrets of the host that a stack points to, and compares settings with the host.

    Arguments: `take`, whether the host's plain values become the settings', and the key that its checkout is
    fetched with; `choice`, whose value of a secret counts where both have one.
    Somebody at a terminal is asked.
    Raises ConfigurationError for a stack that is no server's or that `init` has not seen, OperationError when
    the host cannot be looked at, belongs to another stack or has no .env.
    """
    return _Adopt(name, ready_engine(steps), steps, take, choice).run()


class _Adopt:
    """One run of `adopt`."""

    def __init__(self, name: str, engine: Engine, steps: Steps, take: bool, choice: Choice) -> None:
        self._name, self._engine, self._steps = name, engine, steps
        self._take, self._choice = take, choice

    def run(self) -> Adoption:
        """See `adopt_stack`."""
        if not stack_file(self._name).exists():
            raise ConfigurationError(f"stack {self._name} does not exist; type: ./itqan init {self._name}")
        open_state(self._name, self._engine, self._steps)
        own = own_configuration(self._name, self._engine)
        merged = merged_configuration(own)
        host = look_at(self._name, merged)
        differences = compare(merged, host)
        taken = self._take_over(differences)
        found = found_secrets(merged, host)
        if not taken and any(d.key == KNOWN_HOSTS for d in differences):
            found.pop(DEPLOY_KEY, None)  # the key is of no use without its server's, which was not taken
        unchanged, new, disputed = sorted_secrets(merged, found)
        if disputed and not self._choice:
            self._choice = self._chosen(disputed)
        replaced = disputed if self._choice == "host" else []
        self._store(merged, {name: found[name] for name in (*new, *replaced)})
        return Adoption(
            self._name,
            new,
            unchanged,
            differences,
            taken,
            missing_settings(self._name, self._engine),
            disputed,
            self._choice,
        )

    def _store(self, merged: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        """Stores secrets in one call of the engine."""
        from settings import SECRETS, VARIABLES

        single = {name: value for name, value in secrets.items() if name in SECRETS}
        variables = {name: value for name, value in secrets.items() if name not in SECRETS}
        together = {VARIABLES: {**(merged.get(VARIABLES) or {}), **variables}} if variables else {}
        if secrets:
            store_secrets(self._name, self._engine, {**single, **together})

    @staticmethod
    def _chosen(disputed: Sequence[str]) -> Choice:
        """What somebody at a terminal says of secrets that have two values."""
        if not sys.stdin.isatty():
            return ""
        question = (
            f"stored with other values than the host's: {_names(disputed)}. Which ones count? `host` loses "
            "those stored now, `stored` lets `up` change the host."
        )
        said = ask_word(question, "host", "stored", "neither")
        return "host" if said == "host" else "stored" if said == "stored" else ""

    def _take_over(self, differences: list[Difference]) -> bool:
        """The host's values into the stack's own configuration, where that was asked for."""
        takeable = [d for d in differences if d.takeable]
        if not takeable or not (self._take or self._confirmed(differences)):
            return False
        variables = {d.key: d.has for d in takeable if d.key.startswith("environment.")}
        lists = {f"{d.key}[{at}]": line for d in takeable for at, line in enumerate(d.lines)}
        set_strings(self._name, self._engine, {**variables, **lists})
        rest = {d.key: d.has for d in takeable if d.key not in variables and not d.lines}
        if rest:
            set_values(self._name, self._engine, rest)
        return True

    def _confirmed(self, differences: list[Difference]) -> bool:
        if not sys.stdin.isatty():
            return False
        for difference in differences:
            print(f"  {difference.key}: settings say {difference.says}, host has {difference.has}")
        question = f"Take the host's values over into {stack_file(self._name).name}?"
        return ask_word(question, "yes", "no") == "yes"


def sorted_secrets(
    merged: Mapping[str, Any], found: Mapping[str, str]
) -> tuple[list[str], list[str], list[str]]:
    """Names of the host's secrets: those that are stored with its value, with none, with another one."""
    from settings import VARIABLES

    known = {**merged, **(merged.get(VARIABLES) or {})}
    same = [name for name, value in found.items() if _same_secret(known.get(name), value)]
    new = [name for name in found if not known.get(name)]
    return same, new, [name for name in found if name not in same and name not in new]


def _same_secret(stored: object, found: str) -> bool:
    """Whether two secrets are one; the last newline of a key is lost where it is typed."""
    return str(stored).rstrip("\n") == found.rstrip("\n")


def look_at(name: str, merged: Mapping[str, Any]) -> Host:
    """What the host of a stack says of itself, over one connection that pins its key. See `adopt_stack`."""
    from components.adoption import looks

    if merged.get("target") != "host":
        raise ConfigurationError(
            f"stack {name} is a copy on Docker, which is made anew; adopt is for servers: ./itqan adopt prod"
        )
    connection = merged.get("connection") or {}
    if not (connection.get("host") and connection.get("hostKey") and merged.get("sshPrivateKey")):
        raise ConfigurationError(f"stack {name} does not know its server yet; type: ./itqan init {name}")
    [states] = hosts.look([(endpoint_of(merged), looks(merged))])
    return _host(name, merged, {state.unit.name: state.found for state in states})


def _host(name: str, merged: Mapping[str, Any], found: Mapping[str, str]) -> Host:
    from components.adoption import CREDENTIALS, ENVIRONMENT, FACTS, GIT_KEY, KNOWN_HOSTS, OWNER

    owner = found[OWNER].removeprefix("owner ")
    if owner not in ("none", f"itqan/{name} {merged.get('id')}"):
        raise OperationError(f"the host belongs to stack {owner}; nothing was stored")
    path = f"{at(merged, 'application.path')}/.env"
    if not found[ENVIRONMENT]:
        raise OperationError(
            f"{path}: the host has none, so there is nothing to adopt; for a new server: ./itqan init {name}"
        )
    try:
        variables = parse(base64.b64decode(found[ENVIRONMENT]).decode())
    except UnicodeDecodeError:
        raise OperationError(f"{path} on the host: not UTF-8; nothing was stored") from None
    except UnreadableDotenv as error:
        raise OperationError(f"{path} on the host, {error}; nothing was stored") from None
    facts, credentials = _pairs(found[FACTS]), _pairs(found[CREDENTIALS])
    if found[GIT_KEY]:
        credentials[DEPLOY_KEY] = _usable_key(base64.b64decode(found[GIT_KEY]).decode(errors="replace"))
    return Host(owner, variables, credentials, facts, found[KNOWN_HOSTS].splitlines())


def _usable_key(text: str) -> str:
    """A private key without a passphrase; nothing in the place of another one."""
    from components.keys import UnreadableKey, public_key

    try:
        public_key(text)
    except UnreadableKey:
        return ""
    return text


def _pairs(found: str) -> dict[str, str]:
    """Lines `key=value`, without those that have no value."""
    pairs = (line.split("=", 1) for line in found.splitlines())
    return {key: value for key, value in pairs if value}


def found_secrets(merged: Mapping[str, Any], host: Host) -> dict[str, str]:
    """Secrets of the host: those of the settings by their name, others by the variable's."""
    from settings import SECRET_VARIABLES

    named = {
        SECRET_VARIABLES[name]: value
        for name, value in host.variables.items()
        if name in SECRET_VARIABLES and not _is_no_secret(name, value)
    }
    further = {
        name: value for name, value in host.variables.items() if _is_further_secret(merged, name, value)
    }
    return {name: value for name, value in {**named, **host.credentials, **further}.items() if value}


def _is_no_secret(name: str, value: str) -> bool:
    """Laravel's own .env.example has REDIS_PASSWORD=null, which its env() takes for none."""
    return name in OPTIONAL_VARIABLES and value in ("null", "(null)")


def _is_further_secret(merged: Mapping[str, Any], name: str, value: str) -> bool:
    from settings import SECRET_VARIABLES, VARIABLES

    if name in SECRET_VARIABLES or name in MADE_FROM or name in (merged.get("environment") or {}):
        return False
    looks_so = SECRET_NAME.search(name.upper()) or SECRET_VALUE.search(value)
    return bool(looks_so) or name in (merged.get(VARIABLES) or {})


def compare(merged: Mapping[str, Any], host: Host) -> list[Difference]:
    """Where plain settings and the host differ."""
    return [
        *_compare_made(merged, host),
        *_compare_variables(merged, host),
        *_compare_facts(merged, host),
        *_compare_known_hosts(merged, host),
    ]


def _compare_made(merged: Mapping[str, Any], host: Host) -> list[Difference]:
    """Variables that other settings decide; one that only follows another can not be taken by itself."""
    found = []
    for name, (key, form) in MADE_FROM.items():
        says, has = form.format(at(merged, key)), host.variables.get(name, ABSENT)
        if says == has:
            continue
        takeable = form == "{}" and name != "REVERB_HOST" and has not in ("", ABSENT)
        found.append(Difference(".env", key if takeable else f"{name} (from {key})", says, has, takeable))
    return found


def _compare_variables(merged: Mapping[str, Any], host: Host) -> list[Difference]:
    from settings import SECRET_VARIABLES

    says: Mapping[str, str] = merged.get("environment") or {}
    secret = {*SECRET_VARIABLES, *MADE_FROM, "DB_CONNECTION"}
    secret -= {name for name, value in host.variables.items() if _is_no_secret(name, value)}
    secret |= {name for name, value in host.variables.items() if _is_further_secret(merged, name, value)}
    names = sorted((says.keys() | host.variables.keys()) - secret)
    return [
        Difference(
            ".env",
            f"environment.{name}",
            str(says.get(name, ABSENT)),
            host.variables.get(name, ABSENT),
            takeable=name in host.variables,
        )
        for name in names
        if says.get(name) != host.variables.get(name)
    ]


def _compare_facts(merged: Mapping[str, Any], host: Host) -> list[Difference]:
    """Where the host itself differs; a branch and the commit that is checked out of it say the same."""
    facts = {key: value for key, value in host.facts.items() if key != COMMIT}
    if host.facts.get(COMMIT) == at(merged, "release.ref"):
        facts.pop("release.ref", None)
    return [
        Difference("host", key, ABSENT if says is None else str(says), has, takeable=TOKEN not in has)
        for key, has in facts.items()
        if str(says := at(merged, key)) != has
    ]


def _compare_known_hosts(merged: Mapping[str, Any], host: Host) -> list[Difference]:
    """The git server's keys that the host knows and the settings do not, whatever the server is called."""
    from components.surroundings import fingerprint

    says: Sequence[str] = at(merged, KNOWN_HOSTS) or []
    known = {_key_words(line) for line in says}
    further = [line for line in host.known_hosts if _key_words(line) not in known]
    if not further:
        return []
    has = ", ".join(f"{kind} {fingerprint(key)}" for kind, key in map(_key_words, further))
    text = f"{len(says)} lines" if says else ABSENT
    return [Difference("host", KNOWN_HOSTS, text, has, lines=[*says, *further])]


def _key_words(line: str) -> tuple[str, str]:
    """Kind and key of a line of known_hosts, whose name may be a digest."""
    words = line.split()
    kind, key = words[2:4] if line.startswith("@") else words[1:3]
    return kind, key

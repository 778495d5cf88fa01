"""Surroundings: what stands on the host and belongs to no unit, seen by the same observation."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from settings import Settings
from settings.fields import Surroundings

from . import backups
from .keys import public_key
from .observation import OBSERVER, State
from .platform import Platform
from .unit import Unit, call

PREFIX = "surroundings/"
# `itqan:accepted`: patterns of lines that are right as they are, by surrounding.
Accepted = Mapping[Surroundings, Sequence[str]]
# Where this stack's software is configured: what no package and no unit accounts for is somebody's work.
FOLDERS = (
    *(f"/etc/{name}" for name in ("nginx", "php", "supervisor", "mysql", "redis")),
    *(f"/etc/cron.{name}" for name in ("d", "hourly", "daily", "weekly", "monthly")),
)
# What distributions bring themselves, beside what dpkg and ucf know (patterns of fnmatch).
OWN_FILES = (
    "file /etc/mysql/debian.cnf *",
    # what the unit database/address writes where the server listened on other addresses too
    "file /etc/mysql/*.conf.d/99-itqan.cnf of no package",
    "link /etc/mysql/my.cnf -> /etc/alternatives/my.cnf",
    "link /etc/nginx/modules-enabled/*.conf -> /usr/share/nginx/modules-available/*",
    "link /etc/php/*/conf.d/*.ini -> /etc/php/*/mods-available/*.ini",
)
OWN_SUDO = (
    "sudo /etc/sudoers Defaults env_reset",
    "sudo /etc/sudoers Defaults mail_badpass",
    "sudo /etc/sudoers Defaults secure_path=*",
    "sudo /etc/sudoers Defaults use_pty",
    "sudo /etc/sudoers root ALL=(ALL:ALL) ALL",
    "sudo /etc/sudoers %admin ALL=(ALL) ALL",
    "sudo /etc/sudoers %sudo ALL=(ALL:ALL) ALL",
)
OWN_ACCOUNTS = (
    "account PUBLIC@*",
    "account root@localhost*",
    "account debian-sys-maint@localhost*",
    "account mariadb.sys@localhost",
    "account mysql@localhost*",
    "account mysql.*@localhost*",
)
# Services of the distribution on loopback, DHCP and time.
OWN_SOCKETS = (
    "socket * 127.*",
    "socket * [[]::1]:*",
    "socket udp *:68*",
    "socket udp *:546*",
    "socket udp *:323*",
)
# The drop-in that files/staging/Dockerfile makes, without which Redis does not start in a container.
OWN_UNITS_OF_COPY = ("unit /etc/systemd/system/redis-server.service.d/container.conf",)


@dataclass(frozen=True)
class Surrounding:
    """A kind of thing on the host that no unit owns.

    name          unique: logins, keys, sockets, …
    probe         read-only bash that prints one line for each such thing
    known         patterns (fnmatch) of lines that the settings, the units and the packages account for
    judged        whether preview and audit tell a line beyond these; else it only counts between two hosts
    by_platform   whether two platforms differ in it by themselves
    """

    name: Surroundings
    probe: str
    known: tuple[str, ...] = ()
    judged: bool = True
    by_platform: bool = False

    @property
    def unit(self) -> Unit:
        """As the observation takes it; nothing is expected and nothing can be applied."""
        return Unit(f"{PREFIX}{self.name}", self.probe, expect="", apply="")


@dataclass(frozen=True)
class Unknown:
    """Lines of a surrounding that nothing accounts for."""

    surrounding: Surrounding
    lines: tuple[str, ...]

    @property
    def name(self) -> str:
        """As in tables, beside the names of units."""
        return self.surrounding.unit.name

    def more(self, told: int) -> str:
        """Words for the lines beyond the first `told`."""
        rest = len(self.lines) - told
        return f"; and {rest} more" if rest > 0 else ""


def judged(settings: Settings, units: Sequence[Unit]) -> list[Surrounding]:
    """What preview, up and audit look at beyond the units."""
    return [
        Surrounding("logins", "look_logins", _logins(settings)),
        Surrounding("keys", "look_keys", _keys(settings)),
        Surrounding("sudo", "look_sudo", _sudo(settings)),
        Surrounding("crontabs", "look_crontabs", (f"crontab {settings.server.web_user} *",)),
        Surrounding("files", call("look_files", *FOLDERS), (*OWN_FILES, *_owned_files(units))),
        Surrounding("sockets", "look_sockets", (*OWN_SOCKETS, *_sockets(settings))),
        Surrounding("units", "look_units", (*_own_units(settings), *_owned_units(units))),
        Surrounding("database", "look_database", (*OWN_ACCOUNTS, *_database_accounts(settings))),
    ]


def compared(settings: Settings, platform: Platform) -> list[Surrounding]:
    """What only means something beside another host."""
    strict = platform.strict_packages if settings.is_strict else []
    names = [package.name for package in (*platform.wanted(settings), *strict)]
    wanted = tuple(f"package {name}" for name in (*names, *backups.package_names(settings)))
    timers = (f"enabled {backups.TIMER}",) if settings.backup else ()
    redis = call("look_redis", settings.redis.host, settings.redis.port)
    php = call("look_php", settings.php.version)
    return [
        Surrounding("packages", "look_packages", wanted, judged=False, by_platform=True),
        Surrounding("enabled", "look_enabled", timers, judged=False, by_platform=True),
        Surrounding("php", php, _php(settings), judged=False, by_platform=True),
        Surrounding("variables", "look_variables", judged=False, by_platform=True),
        Surrounding("redis", redis, judged=False, by_platform=True),
        Surrounding("sshd", "look_sshd", judged=False, by_platform=True),
        Surrounding("system", "look_system", judged=False),
    ]


def unknown(
    surroundings: Sequence[Surrounding], states: Iterable[State], accepted: Accepted
) -> list[Unknown]:
    """The surroundings with lines that neither they nor what is `accepted` account for."""
    found = {state.unit.name: state.found for state in states}
    made = []
    for surrounding in surroundings:
        lines = accounted(surrounding, found.get(surrounding.unit.name, ""), accepted)
        rest = tuple(line for line, is_accepted in lines if not is_accepted)
        if rest:
            made.append(Unknown(surrounding, rest))
    return made


def accounted(surrounding: Surrounding, found: str, accepted: Accepted) -> list[tuple[str, bool]]:
    """The lines that the surrounding itself does not account for, and whether each is accepted."""
    patterns = accepted.get(surrounding.name, ())
    rest = [line for line in found.splitlines() if not _matches(line, surrounding.known)]
    return [(line, _matches(line, patterns)) for line in rest]


def _matches(line: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(line, pattern) for pattern in patterns)


def normalised(line: str, settings: Settings) -> str:
    """A line without the stack's own names, so that two hosts can be compared."""
    names = {
        settings.domain: "DOMAIN",
        str(settings.server_address): "ADDRESS",
        settings.server.hostname: "HOSTNAME",
    }
    for name, word in names.items():
        line = line.replace(name, word)
    return line


def acceptance(set_command: str, accepted: Accepted, item: Unknown) -> str:
    """The line to type when an unknown thing is right as it is."""
    name = item.surrounding.name
    at = len(accepted.get(name, ()))
    line = item.lines[0].replace("'", "'\\''")
    return f"{set_command} --path 'itqan:accepted.{name}[{at}]' '{_literal(line)}'"


def _literal(line: str) -> str:
    """A line as a pattern that only it matches."""
    return re.sub(r"([*?[])", r"[\1]", line)


def _logins(settings: Settings) -> tuple[str, ...]:
    names = ["root", settings.server.deploy_user]
    if settings.connection:
        names.append(settings.connection.user)
    if settings.observer:
        names.append(OBSERVER)
    return tuple(f"login {name} uid {'0' if name == 'root' else '[1-9]*'} *" for name in dict.fromkeys(names))


def _keys(settings: Settings) -> tuple[str, ...]:
    """The key that this stack logs in with, and those that the settings authorise for the deploy user."""
    deploy = settings.server.deploy_user
    user = settings.connection.user if settings.connection else "root"
    stack_key = fingerprint(public_key(settings.ssh_private_key.get_secret_value()))
    # root's too: the first `up` of a bare server logs in as root
    made = [f"key {name} * {stack_key}" for name in dict.fromkeys((user, deploy, "root"))]
    made += [f"key {deploy} * {fingerprint(key)}" for key in settings.server.authorized_keys]
    if settings.observer:
        made.append(f"key {OBSERVER} * {fingerprint(settings.observer.key)}")
    if settings.rotation and settings.rotation.of == "ssh":  # the other key of a change that is under way
        changing = settings.rotation.previous or settings.rotation.pending
        made += [f"key * {fingerprint(public_key(changing.get_secret_value()))}"] if changing else []
    return tuple(_brackets(line) for line in made)


def _brackets(line: str) -> str:
    return line.replace("[", "[[]")


def fingerprint(key: str) -> str:
    """The fingerprint of a line of authorized_keys, as ssh-keygen prints it."""
    blob = next((word for word in key.split() if word.startswith("AAAA")), "")
    digest = hashlib.sha256(base64.b64decode(blob + "=" * (-len(blob) % 4))).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def _sudo(settings: Settings) -> tuple[str, ...]:
    """The rules of host/sudo and observer/sudo; the deploy user may also be in the distribution's group."""
    user = settings.server.deploy_user
    made = (*OWN_SUDO, f"sudo /etc/sudoers.d/{user} *", f"group sudo {user}")
    return (*made, f"sudo /etc/sudoers.d/{OBSERVER} *") if settings.observer else made


def _owned_files(units: Iterable[Unit]) -> tuple[str, ...]:
    """Paths that units look at, and folders whose entries they know: what is right there is theirs to say."""
    expected = "\n".join(unit.expect for unit in units)
    paths = set(re.findall(r"^(file|link) (/\S+) ", expected, re.MULTILINE))
    folders = set(re.findall(r"^(?:entries|unknown) (/\S+) ", expected, re.MULTILINE))
    made = [f"{kind} {path} *" for kind, path in sorted(paths)]
    return (*made, *(f"{kind} {folder}/* *" for folder in sorted(folders) for kind in ("file", "link")))


def _own_units(settings: Settings) -> tuple[str, ...]:
    return OWN_UNITS_OF_COPY if settings.target == "docker" else ()


def _owned_units(units: Iterable[Unit]) -> tuple[str, ...]:
    """Drop-ins that units look at."""
    pattern = r"^file (/etc/systemd/system/\S+) "
    return tuple(f"unit {path}" for u in units for path in re.findall(pattern, u.expect, re.MULTILINE))


def _sockets(settings: Settings) -> tuple[str, ...]:
    """sshd, nginx, and Reverb's port; the others are on loopback only, which their units see to."""
    made = [f"socket tcp *:{port} *" for port in (settings.ssh_port, 80, 443)]
    return (*made, f"socket tcp {_brackets(settings.reverb_host)}:8080 *")


def _database_accounts(settings: Settings) -> tuple[str, ...]:
    """The application's account; what it may do is the unit's to say."""
    database = settings.database
    return tuple(f"account {database.user}@{host}*" for host in (database.host, "localhost"))


def _php(settings: Settings) -> tuple[str, ...]:
    """What the units php/cli-limits and php/fpm-limits set, and what is another thing in every process."""
    limits = ("memory_limit", "upload_max_filesize", "post_max_size")
    return tuple(f"ini {sapi} {name} *" for sapi in ("cli", "fpm") for name in limits)

"""Findings: what the document asks for, or the host shows, and what deserves a second thought."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from settings import Program, Settings

from . import deployment, hardening
from .observation import State
from .platform import load_platform
from .release import LOG
from .unit import Unit, call, lines

# What Laravel's env() and a cast to bool take for false (Illuminate\Support\Env).
FALSE = frozenset({"false", "(false)", "0", "", "empty", "(empty)", "null", "(null)"})
# The value of APP_DEBUG without quotes and comment, for sed.
DEBUG_LINE = """s/^(export )?APP_DEBUG=["']?([^"' #]*).*/\\2/p"""
REVERB = re.compile(r"php artisan reverb:start\b")
HOST_OPTION = re.compile(r"--host[= ](\S+)")
# Epoch, and what the distribution adds to a version.
UPSTREAM = re.compile(r"^\d+:|[-+~].*$")
EVERY_ADDRESS = frozenset({"0.0.0.0", "::", "[::]"})
FIREWALL, PROCESSES, DEBUG, CONFERENCE, VERSIONS, WITHHELD, DEPLOYMENT, RUNNING = (
    "audit/firewall",
    "audit/processes",
    "audit/debug",
    "audit/conference",
    "audit/versions",
    "audit/withheld",
    "audit/deployment",
    "audit/running",
)


@dataclass(frozen=True)
class Finding:
    """A finding.

    section   of the server's document
    text      what is so, and why it deserves a second thought
    line      the one line that settles it: a command, or a line of the stack's configuration
    """

    section: str
    text: str
    line: str


def findings(settings: Settings, states: Iterable[State] = ()) -> list[Finding]:
    """All findings.

    Arguments: `states`, the stack's units and `probes` as they were seen; without them the settings alone
    count.
    """
    found = {state.unit.name: state.found for state in states}
    return [
        *_versions(settings, found),
        *_withheld(found),
        *_rotation(settings),
        *_environment(settings),
        *_debug(settings, found),
        *_reverb(settings, found),
        *_background(settings, found),
        *_backups(settings, found),
        *_conference(settings, found),
        *_by_hand(settings, found),
        *_scripts(settings, found),
    ]


def probes(settings: Settings) -> list[Unit]:
    """What findings need to know of the host beyond the units; nothing is expected of it."""
    followed = sorted(
        package.name for package in load_platform(settings.platform).packages if package.follows
    )
    probe = {
        VERSIONS: call("probe_versions", *followed),
        WITHHELD: call("probe_withheld", *followed),
        # Rules are not listed: that would load the kernel's modules for them.
        FIREWALL: lines(
            "if grep -qs '^ENABLED=yes' /etc/ufw/ufw.conf; then echo ufw; fi",
            f"systemctl is-active {hardening.FIREWALL} nftables firewalld | grep -x active",
        ),
        # arguments of other programs are nobody's business, and may hold what is secret
        PROCESSES: 'ps --ppid "$(pgrep -d, -x supervisord || echo 0)" -o user:32=,args= | grep -w artisan',
        DEBUG: call("sed", "-nE", DEBUG_LINE, f"{settings.application.path}/.env"),
        DEPLOYMENT: deployment.tracked_probe(settings),
        RUNNING: call("probe_running", settings.application.path, LOG),
    }
    if settings.dns.conference == "external":
        name = f"conference.{settings.domain}"
        probe[CONFERENCE] = call("probe_records", settings.name_server or "", name, "A")
    return [Unit(name, text, expect="", apply="") for name, text in probe.items()]


def _rotation(settings: Settings) -> list[Finding]:
    """A change of a secret that was begun and not ended: until then two values are valid."""
    if settings.rotation is None:
        return []
    of = settings.rotation.of
    return [
        Finding(
            "Environment Configuration (.env)",
            f"a change of a secret ({of}) is under way; until its end the old one may be valid too",
            f"./itqan rotate {settings.stack} {of}",
        )
    ]


def _versions(settings: Settings, found: Mapping[str, str]) -> list[Finding]:
    """Versions that differ from the document's within what the pins allow."""
    platform = load_platform(settings.platform)
    if platform.substitutions:  # the platform's file says so itself
        return []
    products = {package.name: package.follows for package in platform.packages if package.follows}
    seen = {}
    for line in found.get(VERSIONS, "").splitlines():
        name, version = line.split()
        seen[products.get(name, name)] = UPSTREAM.sub("", version)
    return [
        Finding(
            "Software Stack",
            f"{product} is {version}, the document says {documented}: sources drop old patch levels, and its "
            "minor version is what is pinned",
            _set(settings, f"--path --type string itqan:software.{product} {version}"),
        )
        for product, version in sorted(seen.items())
        if version != (documented := str(getattr(settings.software, product)))
    ]


def _withheld(found: Mapping[str, str]) -> list[Finding]:
    """Updates within the pinned version that `apt upgrade` and unattended-upgrades skip."""
    rows = [line.split() for line in found.get(WITHHELD, "").splitlines()]
    if not rows:
        return []
    names = " ".join(name for name, _ in rows)
    updates = ", ".join(f"{name} {newer}" for name, newer in rows)
    text = f"held packages get no updates by themselves, security updates neither; waiting: {updates}"
    # apt lets go of what it is told to change
    update = f"sudo apt-get install --only-upgrade --allow-change-held-packages {names}"
    return [Finding("Software Stack", text, f"{update} && sudo apt-mark hold {names}")]


def _environment(settings: Settings) -> list[Finding]:
    mode = settings.environment_mode.mode
    if not int(mode[-1]) & 4:
        return []
    text = f".env has mode {mode}: every local user can read the application's secrets"
    return [Finding("File Permissions", text, _strict(settings))]


def _debug(settings: Settings, found: Mapping[str, str]) -> list[Finding]:
    section, harm = "Environment Configuration (.env)", "error pages show source code and variables"
    asked = settings.environment.get("APP_DEBUG", "false")
    if _is_on(asked):
        line = _set(settings, "--path --type string itqan:environment.APP_DEBUG false")
        return [Finding(section, f"APP_DEBUG is {asked}: {harm}", line)]
    seen = found.get(DEBUG, "")
    if _is_on(seen):
        return [Finding(section, f"APP_DEBUG is {seen} in .env on the host: {harm}", _heal(settings))]
    return []


def _is_on(value: str) -> bool:
    return value.lower() not in FALSE


def _reverb(settings: Settings, found: Mapping[str, str]) -> list[Finding]:
    """The document names no firewall; only nginx, on the same host, has to reach Reverb."""
    if found.get(FIREWALL):
        return []
    section = "Background Processes (Supervisor)"
    return [
        Finding(section, _exposed(program), _settle_reverb(settings, program))
        for program in settings.programs
        if REVERB.match(program.command) and _listens_on(settings, program) in EVERY_ADDRESS
    ]


def _listens_on(settings: Settings, program: Program) -> str:
    option = HOST_OPTION.search(program.command.replace("{reverb_host}", settings.reverb_host))
    return option[1] if option else "0.0.0.0"  # Reverb's own default


def _exposed(program: Program) -> str:
    return (
        f"program {program.name} listens on every address and no firewall was found: everyone reaches Reverb "
        "past nginx, without TLS"
    )


def _settle_reverb(settings: Settings, program: Program) -> str:
    """`hardening: strict`, where the command leaves the address to it; else the command with loopback."""
    if "{reverb_host}" in program.command:
        return _strict(settings)
    start = REVERB.match(program.command)
    assert start
    rest = HOST_OPTION.sub("", program.command[start.end() :]).split()
    command = " ".join([start[0], "--host=127.0.0.1", *rest])
    return f"itqan:programs, {program.name}, command: {command}"


def _background(settings: Settings, found: Mapping[str, str]) -> list[Finding]:
    """Supervisor's programs as they run: the document names no user, and a scheduler program beside cron."""
    rows = [line.split(None, 1) for line in found.get(PROCESSES, "").splitlines()]
    running = [(row[0], row[1]) for row in rows if len(row) == 2 and "artisan" in row[1].split()]
    as_root = sorted({command for user, command in running if user == "root"})
    made = [
        Finding(
            "Background Processes (Supervisor)",
            f"`{command}` runs as root: a program without user= does",
            _heal(settings),
        )
        for command in as_root
    ]
    scheduled = any("schedule:" in command for _, command in running)
    in_cron = re.search(r"^crontabs run the scheduler [1-9]", found.get("cron/scheduler", ""), re.MULTILINE)
    if scheduled and in_cron:
        text = "cron and a program of Supervisor both run the scheduler: every task runs twice"
        made.append(Finding("Cron Jobs", text, _heal(settings)))
    return made


def _backups(settings: Settings, found: Mapping[str, str]) -> list[Finding]:
    return [*_no_backups(settings), *_open_backups(settings, found)]


def _no_backups(settings: Settings) -> list[Finding]:
    """The document has a command for backups and nobody who types it."""
    if settings.backup is not None or settings.target == "docker":
        return []
    text = "nothing makes backups: without a public key to encrypt to, none is made"
    return [Finding("Backup", text, f"./itqan backup key {settings.stack} FILE")]


def _open_backups(settings: Settings, found: Mapping[str, str]) -> list[Finding]:
    path = settings.application.backups
    seen = re.search(
        rf"^directory {re.escape(path)} \S+ (\d+)$", found.get("host/directories", ""), re.MULTILINE
    )
    if not seen or not int(seen[1][-1]):
        return []
    text = f"{path} has mode {seen[1]}: every local user gets at the dumps of the database"
    return [Finding("Backup", text, _heal(settings))]


def _conference(settings: Settings, found: Mapping[str, str]) -> list[Finding]:
    """LiveKit is on another server; without a record of its own the wildcard answers for its name."""
    if f" A {settings.server_address}" not in found.get(CONFERENCE, ""):
        return []
    text = f"conference.{settings.domain} points to this server, and LiveKit is on another one"
    return [Finding("Key URLs", text, _set(settings, "--path itqan:dns.conference ADDRESS_OF_LIVEKIT"))]


def _by_hand(settings: Settings, found: Mapping[str, str]) -> list[Finding]:
    """A commit that no release brought: `git pull` by hand, as in the document's "Quick Deploy"."""
    head, _, log = found.get(RUNNING, "").partition("\n")
    running, released = head.removeprefix("running "), _released(log)
    if not running or not released or running == released:
        return []
    text = (
        f"commit {running[:12]} was checked out by hand, the last release was {released[:12]}: whether it "
        "lacks migrations, dependencies or assets was not checked, Reverb may run older code, and nothing "
        "takes it back"
    )
    if settings.branch:
        line = "on the host: sudo itqan-release pull"
    else:
        line = f"./itqan deploy {settings.stack} --full"
    return [Finding("Deployment Procedures", text, line)]


def _released(log: str) -> str:
    """The commit that the newest lines of the log of releases leave running; empty where they do not say."""
    for line in reversed(log.splitlines()):
        try:
            entry = json.loads(line)
            return str(entry["commit"] if entry["result"] == "released" else entry["from"])
        except (ValueError, KeyError, TypeError):
            continue  # cut by a loss of power
    return ""


def _scripts(settings: Settings, found: Mapping[str, str]) -> list[Finding]:
    """The application's own files for a deployment by hand, where they are other ones than this stack's."""
    rows = [line.split(None, 1) for line in found.get(DEPLOYMENT, "").splitlines()]
    line = f"./itqan deployment {settings.stack} FOLDER_OF_THE_APPLICATION, then commit what it wrote"
    unlocked = [path for word, path in rows if word == "unlocked"]
    differing = [path for word, path in rows if word == "differs"]
    made = []
    if unlocked:
        text = f"the repository's {', '.join(unlocked)} takes no lock, checks nothing and takes nothing back"
        made.append(Finding("Deployment Procedures", text, line))
    if differing:
        text = f"the repository's {', '.join(differing)} says something else than what this stack runs"
        made.append(Finding("Deployment Procedures", text, line))
    return made


def _strict(settings: Settings) -> str:
    return _set(settings, "itqan:hardening strict")


def _set(settings: Settings, rest: str) -> str:
    return f"{settings.set_command} {rest}"


def _heal(settings: Settings) -> str:
    return f"./itqan up --stack {settings.stack}"

"""Removes copies that nobody needs any more, and what interrupted runs left; nothing that is no branch's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from .branches import backend_digest, derive, docker_id, forget_branch
from .copies import Copy, age_words, found_copies
from .daemon import Daemon
from .docker_hosts import has_login, project_hosts
from .down import take_down
from .edge import tidy
from .engine import Engine
from .errors import ConfigurationError, OperationError
from .labels import BACKEND_KEY, STACK_KEY
from .machine import ready_engine
from .paths import BRANCHES, ROOT
from .stack import own_configuration
from .steps import Steps
from .tunnel import tunnels
from .waiting import is_taken, lock_file, one_at_a_time

# Seconds that a state may be without containers: a run makes the state first.
GRACE = 600.0
KINDS = (("containers", "?force=1&v=1"), ("networks", ""), ("volumes", ""))


@dataclass(frozen=True)
class Removal:
    """Something to remove, why, and how."""

    what: str
    why: str
    remove: Callable[[], None]


@dataclass(frozen=True)
class Sweep:
    """What a sweep removes, what it leaves although it looks like something to remove, and where."""

    removals: Sequence[Removal]
    left: Sequence[str]
    daemons: Sequence[Daemon] = ()


def look(steps: Steps) -> Sweep:
    """What there is to remove; changes nothing.

    Raises ConfigurationError when the repository does not answer or has no branch at all, DockerError when
    Docker does not.
    """
    engine = ready_engine(steps)
    reached = _reached(steps)
    # Docker first: what a run makes after this look has its state in the next one.
    label = f"{BACKEND_KEY}={backend_digest(engine)}"
    objects = [found for daemon in reached.daemons.values() for found in _objects(daemon, label)]
    copies = found_copies(engine)
    removals, left = _copies(copies, objects, engine, reached, steps)
    known = {copy.stack for copy in copies}
    orphans = [_orphan(found) for found in objects if found.stack not in known]
    return Sweep([*removals, *orphans, *_files(known)], left, list(reached.daemons.values()))


@dataclass(frozen=True)
class _Reached:
    """The Docker daemons that answer, by what they call themselves, and the addresses of further hosts."""

    daemons: Mapping[str, Daemon]
    addresses: frozenset[str]


def _reached(steps: Steps) -> _Reached:
    """What there is to sweep: this machine's Docker, and that of the further hosts that answer.

    Where copies are on further hosts only, this machine needs none. Says which hosts do not answer. A machine
    that has never worked with those hosts has no login yet: `branch list` or `branch up` gets it.
    """
    hosts = project_hosts()
    if hosts and not has_login():
        steps.say("  further Docker hosts are not swept: type ./itqan branch list first, which logs in there")
        hosts = []
    found, silent = tunnels(hosts)
    for error in silent:
        steps.say(f"  not swept: {error}")
    here = Daemon()
    daemons = [one.daemon for one in found]
    if not found or here.answers():
        daemons.append(here)
    return _Reached(
        {docker_id(daemon): daemon for daemon in daemons}, frozenset(one.host.address for one in found)
    )


def carry_out(sweep: Sweep, steps: Steps) -> list[str]:
    """Removes it all; one that cannot be removed does not stop the rest. Returns a line for each such."""
    failed = []
    for removal in sweep.removals:
        steps.say(f"▸ Removing {removal.what}: {removal.why}")
        try:
            removal.remove()
        except OperationError as error:
            failed.append(f"{removal.what}: {error}")
    for daemon in sweep.daemons:
        tidy(daemon, steps)
    return failed


@dataclass(frozen=True)
class _Object:
    """A thing of Docker's that is of a branch's copy."""

    kind: str
    options: str
    id: str
    name: str
    stack: str
    daemon: Daemon


def _objects(daemon: Daemon, label: str) -> list[_Object]:
    return [
        _Object(
            kind, options, found.get("Id") or found["Name"], _name(found), found["Labels"][STACK_KEY], daemon
        )
        for kind, options in KINDS
        for found in daemon.objects(kind, label)
    ]


def _name(found: Mapping[str, Any]) -> str:
    return str(found.get("Name") or found["Names"][0].lstrip("/"))


def _orphan(found: _Object) -> Removal:
    def remove() -> None:
        found.daemon.checked("DELETE", f"/{found.kind}/{quote(found.id)}{found.options}")

    return Removal(f"{found.kind[:-1]} {found.name}", f"no state knows stack {found.stack}", remove)


def _copies(
    copies: Sequence[Copy], objects: Sequence[_Object], engine: Engine, reached: _Reached, steps: Steps
) -> tuple[list[Removal], list[str]]:
    """The copies to remove, and those that are left alone for a reason."""
    known = [copy for copy in copies if copy.branch]
    left = [f"stack {copy.stack}: its state names no branch" for copy in copies if not copy.branch]
    silent = [copy for copy in known if copy.host and copy.host not in reached.addresses]
    left += [f"stack {copy.stack}: its Docker host {copy.host} is not reached" for copy in silent]
    known = [copy for copy in known if copy not in silent]
    if not known:
        return [], left
    ttl, heads = _rules(known[0], engine, steps)
    running = {found.stack for found in objects if found.kind == "containers"}
    removals = []
    for copy in known:
        why = _why(copy, heads, ttl, has_containers=copy.stack in running)
        if not why:
            continue
        if copy.docker not in (None, *reached.daemons):
            left.append(f"stack {copy.stack} ({why}): it is on another Docker host, daemon {copy.docker}")
        elif is_taken(copy.stack):
            left.append(f"stack {copy.stack} ({why}): a run works on it")
        else:
            removals.append(
                Removal(f"the copy of {copy.branch}, {copy.stack}", why, _down(copy, engine, steps))
            )
    return removals, left


def _rules(copy: Copy, engine: Engine, steps: Steps) -> tuple[float | None, Mapping[str, str]]:
    """How old copies may get, in seconds, and the branches of the repository: the same for all copies."""
    from components.repository import branches
    from settings import SettingsError, load

    derive(copy.stack, str(copy.branch), engine, steps)
    try:
        settings = load(copy.stack, own_configuration(copy.stack, engine), ROOT)
        heads = branches(settings)
    except SettingsError as error:
        raise ConfigurationError(f"nothing was swept: {error}") from None
    if not heads:
        repository = settings.release.repository
        raise ConfigurationError(
            f"nothing was swept: {repository} has no branch at all, which is hardly meant"
        )
    return settings.staging.ttl_seconds, heads


def _why(copy: Copy, heads: Mapping[str, str], ttl: float | None, *, has_containers: bool) -> str | None:
    """Why a copy is to go; None if it stays."""
    if copy.branch not in heads:
        return "its branch is gone"
    if ttl is not None and copy.age > ttl:
        return f"last brought up {age_words(copy.age)} ago, longer than itqan:staging.ttl"
    if not has_containers and copy.age > GRACE:
        return "Docker has no container of it"
    return None


def _down(copy: Copy, engine: Engine, steps: Steps) -> Callable[[], None]:
    def remove() -> None:
        with one_at_a_time(copy.stack, steps, f"another run works on {copy.stack}"):
            derive(copy.stack, str(copy.branch), engine, steps)
            take_down(copy.stack, steps, images=False)
            lock_file(copy.stack).unlink(missing_ok=True)

    return remove


def _files(known: set[str]) -> Iterator[Removal]:
    """Configurations that were derived for stacks that are gone."""
    for path in sorted(BRANCHES.glob("Pulumi.*.yaml")):
        stack = path.stem.removeprefix("Pulumi.")
        if stack not in known and not is_taken(stack):
            yield Removal(f".itqan/branches/{path.name}", "there is no such stack", _forget(stack))


def _forget(stack: str) -> Callable[[], None]:
    def remove() -> None:
        forget_branch(stack)
        lock_file(stack).unlink(missing_ok=True)

    return remove

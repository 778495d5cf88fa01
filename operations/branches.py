"""The stack of a branch's copy made ready: its state with its marks, its configuration derived anew.

No file of the project is a branch's. What a copy is follows from Pulumi.staging.yaml, the branch's name and
marks (tags) of its state: any machine with that file, the passphrase and the backend can work on it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from .authority import shared_authority
from .backend import VARIABLE, place_of
from .daemon import Daemon
from .derived import derived_staging, derived_values, file_document, file_values
from .docker_hosts import (
    choose_host,
    daemon_of,
    daemon_on,
    ensure_login,
    forget_words,
    named_host,
    project_hosts,
)
from .engine import Engine
from .errors import ConfigurationError, DockerError, EngineError, NoSuchStack
from .interrupted import recover
from .labels import stack_label
from .paths import BRANCHES, ROOT, branch_file, is_derived, own_file
from .stack import (
    STAGING,
    Stack,
    forget_stack,
    image_is_there,
    may_be_branch,
    own_configuration,
    prepare_copy,
    prepared_stamp,
    state_stamp,
    unusable,
)
from .steps import Steps
from .subnets import free_subnet, subnets_of, taken_subnets
from .waiting import one_at_a_time

if TYPE_CHECKING:
    from settings import DockerHost

# Marks of a state: the branch, the Docker daemon that the copy is on, and how that one's host is reached if
# it is not this machine.
BRANCH_TAG, DOCKER_TAG, HOST_TAG = "itqan:branch", "itqan:docker", "itqan:host"
BASE = own_file(STAGING)
# What only the state of a copy decides, whatever the base's file says.
PLACE = ("dockerHost", "dockerCgroups")


@dataclass(frozen=True)
class Marks:
    """What a state says of the copy that it is of; None where it says nothing."""

    branch: str | None
    docker: str | None
    host: str | None = None


def read_marks(stack: str, engine: Engine) -> Marks:
    """The marks of a stack's state. Raises NoSuchStack when there is none."""
    tags = json.loads(engine.call("stack", "tag", "ls", "--json", "--stack", stack))
    return Marks(tags.get(BRANCH_TAG), tags.get(DOCKER_TAG), tags.get(HOST_TAG))


def branch_of(stack: str, engine: Engine) -> str | None:
    """The branch whose copy a stack is: by the file that was derived here, else by its state; else None."""
    if not may_be_branch(stack):
        return None
    if branch := derived_values(stack).get("itqan:branch"):
        return str(branch)
    try:
        return read_marks(stack, engine).branch
    except NoSuchStack:
        return None


def derive_if_branch(stack: str, engine: Engine, steps: Steps) -> str | None:
    """Derives the configuration if the stack is a branch's: for whoever only reads it or removes it.

    Returns that branch.
    """
    branch = branch_of(stack, engine)
    if branch:
        derive(stack, branch, engine, steps)
    return branch


def ready_branch(branch: str, engine: Engine, steps: Steps) -> Stack:
    """The stack of a branch's copy, ready to run; only looks that nothing is missing if nothing has changed.

    Raises ConfigurationError when the repository has no such branch, or the name is taken; else as
    `ready_stack`.
    """
    from settings import stack_of

    stack = stack_of(branch)
    _require_free_name(stack, branch)
    facts = prepared_stamp(stack).read()
    if not (facts and is_derived(stack) and _keeps_place(stack, engine) and _has_image(facts, stack)):
        facts = _prepare(stack, branch, engine, steps)
        prepared_stamp(stack).write(facts)
    recover(stack, engine, steps)
    return Stack(stack, engine, facts["target"])


def _has_image(facts: Mapping[str, str], stack: str) -> bool:
    return image_is_there(facts, daemon_of(stack))


def require_of_branch(stack: str, branch: str, engine: Engine, steps: Steps) -> None:
    """Raises ConfigurationError when a stack is something else than a branch's copy, or on another host."""
    _require_free_name(stack, branch)
    try:
        marks = read_marks(stack, engine)
    except NoSuchStack:
        return
    ensure_login(stack, engine, steps)
    _require_marks(marks, stack, branch, engine)


def _require_free_name(stack: str, branch: str) -> None:
    if own_file(stack).exists():
        raise ConfigurationError(
            f"branch {branch}: its copy would be stack {stack}, and that is a copy of its own: "
            f"{own_file(stack).name}"
        )


def forget_branch(stack: str) -> None:
    """Removes what this machine keeps of a branch's copy."""
    forget_stack(stack)
    branch_file(stack).unlink(missing_ok=True)


def backend_digest(engine: Engine) -> str:
    """The backend of the states, as the labels of copies name it."""
    return hashlib.sha256(place_of(engine.environment[VARIABLE]).encode()).hexdigest()[:12]


def _prepare(stack: str, branch: str, engine: Engine, steps: Steps) -> dict[str, str]:
    from components.repository import branch_commit
    from settings import SettingsError, load

    from .prepare.docker import ensure_docker

    if not project_hosts():
        ensure_docker(steps)
    derive(stack, branch, engine, steps)
    is_new = _open_state(stack, branch, engine, steps)
    # anew: the copy's place is known now, and the network has to be free there
    derive(stack, branch, engine, steps)
    image = _complete_base(stack, engine, steps)
    derive(stack, branch, engine, steps)
    try:
        settings = load(stack, own_configuration(stack, engine), ROOT)
    except SettingsError as error:
        raise unusable(stack, error.problems) from None
    try:
        branch_commit(settings)
    except SettingsError as error:
        if is_new:
            engine.call("stack", "rm", "--yes", "--preserve-config", "--stack", stack)
            forget_branch(stack)
        raise ConfigurationError(str(error)) from None
    return {"target": settings.target, "image": image}


def _open_state(stack: str, branch: str, engine: Engine, steps: Steps) -> bool:
    """Makes the state and its marks, unless they are known to be there. Returns whether it was made now.

    Raises ConfigurationError when the state is of something else, or of a copy on another Docker host.
    """
    stamp = state_stamp(stack)
    if stamp.read() is not None:
        return False
    with steps.step("stack", f"Opening the state of stack {stack}"):
        # In a folder of its own: the engine writes the stack's file beside Pulumi.yaml.
        shutil.copyfile(ROOT / "Pulumi.yaml", BRANCHES / "Pulumi.yaml")
        is_new = _is_made(stack, engine)
        _mark(stack, branch, engine, is_new, steps)
    stamp.write({})
    return is_new


def _is_made(stack: str, engine: Engine) -> bool:
    """Makes the state; False when it was there."""
    try:
        engine.call("stack", "init", "--no-select", "--stack", stack, directory=BRANCHES)
    except EngineError as error:
        if "already exists" not in str(error):
            raise
        return False
    return True


def _mark(stack: str, branch: str, engine: Engine, is_new: bool, steps: Steps) -> None:
    marks = Marks(None, None) if is_new else read_marks(stack, engine)
    ensure_login(stack, engine, steps)
    if not is_new:
        _require_marks(marks, stack, branch, engine)
    host = _place(marks, steps)
    for tag, value, found in (
        (HOST_TAG, host.address if host else None, marks.host),
        (DOCKER_TAG, docker_id(daemon_on(host)), marks.docker),
        (BRANCH_TAG, branch, marks.branch),
    ):
        if found != value:
            engine.call("stack", "tag", "set", tag, str(value), "--stack", stack)


def _place(marks: Marks, steps: Steps) -> DockerHost | None:
    """The Docker host of a copy: where it is, else the one with the most free memory; None: this machine."""
    if marks.host or marks.docker:
        return named_host(marks.host)
    hosts = project_hosts()
    return choose_host(hosts, steps) if hosts else None


def _require_marks(marks: Marks, stack: str, branch: str, engine: Engine) -> None:
    """Raises ConfigurationError when a state is of something else, or of a copy on another Docker host.

    A state without marks and without resources is what a run left that was killed right after making it.
    """
    if marks.branch not in (None, branch):
        raise ConfigurationError(f"branch {branch}: stack {stack} is the copy of branch {marks.branch}")
    if marks.branch is None and _has_resources(stack, engine):
        raise ConfigurationError(f"branch {branch}: stack {stack} is a copy of its own, and no branch's")
    if marks.docker not in (None, found := docker_id(daemon_on(named_host(marks.host)))):
        anew = f"{marks.host} is now daemon {found}. If it was made anew: {forget_words(stack)}"
        told = anew if marks.host else "set DOCKER_HOST to that one"
        raise ConfigurationError(
            f"branch {branch}: its copy is on another Docker host (daemon {marks.docker}); {told}"
        )


def docker_id(daemon: Daemon) -> str:
    """What a Docker daemon calls itself. Raises DockerError when none answers."""
    if not daemon.answers():
        raise DockerError(f"no Docker daemon answers at {daemon.host}, where the copies of branches are")
    return str(daemon.checked("GET", "/info").json()["ID"])


def _has_resources(stack: str, engine: Engine) -> bool:
    exported = json.loads(engine.call("stack", "export", "--stack", stack))
    return bool(exported["deployment"].get("resources"))


def _complete_base(stack: str, engine: Engine, steps: Steps) -> str:
    """Notes in the base's file what all copies share and it lacks: platform, images, seed, authority.

    Returns the server's image.
    """
    from settings import BRANCH_SEED, SECRETS

    with one_at_a_time("base", steps, f"another run completes {BASE.name}"):
        image = prepare_copy(stack, engine, steps, BASE, daemon_of(stack))
        if f"itqan:{BRANCH_SEED}" not in file_values(BASE):
            _require_no_copies(engine)
            make = SECRETS[BRANCH_SEED].generate
            assert make is not None
            text = f"Making itqan:{BRANCH_SEED}, encrypted in {BASE.name}"
            with steps.step("secrets", f"{text}; other machines need that file as it is then"):
                options = ["--secret", "--raw", "--config-file", str(BASE), "--stack", stack]
                engine.call("config", "set", *options, f"itqan:{BRANCH_SEED}", stdin=make())
    shared_authority(STAGING, stack, engine, steps)
    return image


def _require_no_copies(engine: Engine) -> None:
    """Raises ConfigurationError when copies exist whose secrets came from a seed that this file lacks."""
    listed = json.loads(engine.call("stack", "ls", "--json"))
    made = [entry["name"] for entry in listed if entry["resourceCount"]]
    copies = [name for name in made if may_be_branch(name) and read_marks(name, engine).branch]
    if copies:
        raise ConfigurationError(
            f"{BASE.name} has no itqan:branchSeed, yet there are {', '.join(copies)}; take over that file "
            "from the machine that brought them up"
        )


def derive(stack: str, branch: str, engine: Engine, steps: Steps) -> None:
    """Writes the configuration of a branch's copy: that of the base, the branch, Docker host and network.

    Raises ConfigurationError, HostUnreachable when the copy is on a Docker host that does not answer.
    """
    import yaml

    host = _host_by_state(stack, engine, steps)
    with one_at_a_time("subnets", steps, "another run chooses its network"):
        document = file_document(BASE)
        values = document.get("config") or {}
        staging = {
            **{key: value for key, value in (values.get("itqan:staging") or {}).items() if key not in PLACE},
            **_host_values(host),
            "subnet": str(_subnet(stack, daemon_on(host))),
            "backend": backend_digest(engine),
        }
        document["config"] = {**values, "itqan:staging": staging, "itqan:branch": branch}
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)
        head = f"# Derived from {BASE.name} by each run; what is changed here is lost.\n"
        _write(branch_file(stack), head + text)


def _host_by_state(stack: str, engine: Engine, steps: Steps) -> DockerHost | None:
    """The Docker host that a copy is on, as its state says, which another machine may have changed."""
    if not project_hosts() and not derived_staging(stack).get("dockerHost"):
        return None
    try:
        address = read_marks(stack, engine).host
    except NoSuchStack:
        return None
    if address:
        ensure_login(stack, engine, steps)
    return named_host(address)


def _host_values(host: DockerHost | None) -> dict[str, object]:
    """What the program has to know of the Docker host and cannot see from here."""
    if host is None:
        return {}
    information = daemon_on(host).checked("GET", "/info").json()
    return {"dockerHost": host.address, "dockerCgroups": int(information.get("CgroupVersion") or 1)}


def _write(path: Path, text: str) -> None:
    """In one rename: another command may be reading it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.read_text() == text:
        return
    partial = path.with_suffix(".partial")
    partial.touch(mode=0o600)
    partial.write_text(text)
    partial.replace(path)


def _subnet(stack: str, daemon: Daemon) -> IPv4Network:
    """The network that the copy has; else the one that was chosen before, the usual or the first free one.

    What other derived files name is taken too: their networks may be about to be made.
    """
    from settings import usual_subnet

    if not daemon.answers():
        return _chosen(stack) or usual_subnet(stack)
    if there := _network(daemon, stack):
        return there
    others = [path.stem.removeprefix("Pulumi.") for path in BRANCHES.glob("Pulumi.*.yaml")]
    reserved = [subnet for other in others if other != stack and (subnet := _chosen(other))]
    taken = [*taken_subnets(daemon, stack), *reserved]
    for candidate in (_chosen(stack), usual_subnet(stack)):
        if candidate and not any(candidate.overlaps(other) for other in taken):
            return candidate
    return free_subnet(taken)


def _network(daemon: Daemon, stack: str) -> IPv4Network | None:
    """The network of a copy that is up."""
    networks = daemon.objects("networks", stack_label(stack))
    return next((subnet for network in networks for subnet in subnets_of(network)), None)


def _keeps_place(stack: str, engine: Engine) -> bool:
    """Whether the copy, which another machine may have made, is where its configuration says.

    On that Docker host, and in that network.
    """
    host = derived_staging(stack).get("dockerHost")
    try:
        if (host or project_hosts()) and read_marks(stack, engine).host != host:
            return False
    except NoSuchStack:
        # another machine took it down
        state_stamp(stack).remove()
        return False
    there = _network(daemon_of(stack), stack)
    return there in (None, _chosen(stack))


def _chosen(stack: str) -> IPv4Network | None:
    """The network in a derived configuration."""
    subnet = derived_staging(stack).get("subnet")
    return IPv4Network(subnet) if subnet else None

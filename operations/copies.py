"""The copies of branches: which there are by the state backend, and how they are by Docker and over HTTPS."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .branches import BRANCH_TAG, DOCKER_TAG, HOST_TAG
from .daemon import Daemon
from .docker_hosts import daemon_on, ensure_login, project_hosts
from .engine import Engine
from .errors import NoSuchStack
from .labels import stack_label
from .paths import own_file
from .stack import STAGING
from .steps import Steps
from .table import grouped
from .tunnel import dial, tunnels

if TYPE_CHECKING:
    from settings import DockerHost

# Questions to the engine or to copies at a time.
SIDE_BY_SIDE = 8
# Seconds that a page gets.
PATIENCE = 5.0
# The Docker host that needs no address.
HERE = "here"
MEGABYTE = 1_000_000
UNITS_OF_TIME = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


@dataclass(frozen=True)
class Copy:
    """A branch's copy as its state tells of it.

    branch    None for a state that names none
    docker    the Docker daemon that it is on
    host      how that one's host is reached, ssh://USER@HOST; None: it is this machine's
    updated   when it was last worked on, in seconds since 1970
    outputs   empty before the first `up` has come to its end
    """

    stack: str
    branch: str | None
    docker: str | None
    updated: float
    outputs: Mapping[str, Any]
    host: str | None = None

    @property
    def age(self) -> float:
        """Seconds since the last `up`."""
        return time.time() - self.updated


@dataclass(frozen=True)
class Row:
    """A copy in the list.

    host    its Docker host: ssh://USER@HOST, or `here`
    memory  of both containers, in megabytes of 10^6; None where Docker has none
    """

    branch: str
    stack: str
    commit: str
    age: float
    health: str
    address: str
    memory: int | None
    host: str = HERE


def found_copies(engine: Engine) -> list[Copy]:
    """The copies of branches that the backend knows, and stacks that are only named like one."""
    listed = json.loads(engine.call("stack", "ls", "--json"))
    likely = [s for s in listed if s["name"].startswith(f"{STAGING}-") and not own_file(s["name"]).exists()]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as beside:
        return [copy for copy in beside.map(lambda stack: _copy(stack, engine), likely) if copy]


def _copy(listed: Mapping[str, Any], engine: Engine) -> Copy | None:
    """One of them; None if it was removed meanwhile."""
    name = listed["name"]
    try:
        tags = json.loads(engine.call("stack", "tag", "ls", "--json", "--stack", name))
        outputs = json.loads(engine.call("stack", "output", "--json", "--stack", name))
    except NoSuchStack:
        return None
    updated = datetime.fromisoformat(listed["lastUpdate"].replace("Z", "+00:00")).timestamp()
    return Copy(
        stack=name,
        branch=tags.get(BRANCH_TAG),
        docker=tags.get(DOCKER_TAG),
        host=tags.get(HOST_TAG),
        updated=updated,
        outputs=outputs,
    )


def rows(copies: list[Copy], engine: Engine, steps: Steps) -> list[Row]:
    """The list, by branch; says which Docker hosts do not answer."""
    known = [copy for copy in copies if copy.branch]
    reached = reach({copy.host for copy in known}, known[0].stack, engine, steps) if known else {}
    with ThreadPoolExecutor(SIDE_BY_SIDE) as beside:
        found = list(beside.map(lambda copy: _row(copy, reached.get(copy.host)), known))
    return sorted(found, key=lambda row: row.branch)


def reach(
    addresses: set[str | None], stack: str, engine: Engine, steps: Steps
) -> dict[str | None, DockerHost | None]:
    """Those of several Docker hosts that answer, by address (None: this machine); says why others do not.

    Arguments: `stack`, one that has a state (`ensure_login`).
    """
    reached: dict[str | None, DockerHost | None] = {None: None}
    if not addresses - {None}:
        return reached
    ensure_login(stack, engine, steps)
    found, silent = tunnels([host for host in project_hosts() if host.address in addresses])
    unknown = addresses - {None} - {host.address for host in project_hosts()}
    lines = [f"Docker host {address}: itqan:staging.docker names it no more" for address in unknown]
    for line in [*map(str, silent), *sorted(lines)]:
        steps.say(f"  {line}")
    return {**reached, **{one.host.address: one.host for one in found}}


def _row(copy: Copy, host: DockerHost | None) -> Row:
    """Arguments: `host`, the copy's if it is another one than this machine and answers."""
    is_reached = host is not None or copy.host is None
    return Row(
        branch=copy.branch or "",
        stack=copy.stack,
        commit=copy.outputs.get("release", ""),
        age=copy.age,
        health=_health(copy, host) if is_reached else "its Docker host does not answer",
        address=copy.outputs.get("url", ""),
        memory=_memory(copy.stack, daemon_on(host)) if is_reached else None,
        host=copy.host or HERE,
    )


def _health(copy: Copy, host: DockerHost | None) -> str:
    """`ok` when its page answers with 200 over verified HTTPS, else what is the matter, in a word or two."""
    outputs = copy.outputs
    if not outputs.get("rootCertificate"):
        return "not up yet"
    context = ssl.create_default_context(cadata=outputs["rootCertificate"])
    try:
        address = (outputs["address"], 443)
        plain = dial(host, *address) if host else socket.create_connection(address, PATIENCE)
        with plain, context.wrap_socket(plain, server_hostname=outputs["domain"]) as secure:
            secure.sendall(f"GET / HTTP/1.0\r\nHost: {outputs['domain']}\r\n\r\n".encode())
            answer = http.client.HTTPResponse(secure)
            answer.begin()
    except ssl.SSLError as error:
        return f"TLS: {error.reason or error}"
    except (OSError, http.client.HTTPException) as error:
        return getattr(error, "strerror", None) or type(error).__name__
    return "ok" if answer.status == 200 else f"HTTP {answer.status}"


def _memory(stack: str, daemon: Daemon) -> int | None:
    """Megabytes of all its containers that run; None where there are none, or no daemon answers."""
    if not daemon.answers():
        return None
    running = [c["Id"] for c in daemon.objects("containers", stack_label(stack)) if c["State"] == "running"]
    if not running:
        return None
    return round(sum(_bytes(daemon, quote(container)) for container in running) / MEGABYTE)


def _bytes(daemon: Daemon, container: str) -> int:
    """As `docker stats` counts it: without the files that the kernel keeps only because there is room.

    Where the daemon does not see the container's control group (one that itself runs in a container),
    what its processes have resident.
    """
    answer = daemon.checked("GET", f"/containers/{container}/stats?stream=false&one-shot=true").json()
    memory = answer.get("memory_stats") or {}
    if "usage" not in memory:
        listed = daemon.checked("GET", f"/containers/{container}/top?ps_args=-eo%20pid,rss").json()
        return sum(int(resident) * 1024 for _, resident in listed["Processes"])
    detail = memory.get("stats") or {}
    return int(memory["usage"]) - int(detail.get("total_inactive_file", detail.get("inactive_file", 0)))


def table(listed: list[Row]) -> str:
    """The list as text."""
    if not listed:
        return "no branch has a copy; ./itqan branch up BRANCH makes one"
    head = ("branch", "commit", "age", "health", "address", "host", "memory")
    lines = [
        ("", (r.branch, r.commit[:12], age_words(r.age), r.health, r.address, r.host, _megabytes(r.memory)))
        for r in listed
    ]
    return "\n".join(line for line in grouped(head, lines) if line)


def to_json(listed: list[Row]) -> str:
    """The list as JSON: ages in seconds, memory in megabytes."""
    return json.dumps(
        [{**asdict(row), "age": round(row.age)} for row in listed], indent=2, ensure_ascii=False
    )


def age_words(seconds: float) -> str:
    """An age in its largest unit, such as 3 h."""
    name, size = next((unit for unit in UNITS_OF_TIME if seconds >= unit[1]), UNITS_OF_TIME[-1])
    return f"{int(seconds // size)} {name}"


def _megabytes(memory: int | None) -> str:
    return "-" if memory is None else f"{memory} MB"

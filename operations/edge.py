"""The edge of a Docker host: one nginx that leads browsers to its copies, by TLS server name.

What it routes is computed as a whole from the containers that run, by whoever brings a copy up or takes one
down, and loaded without dropping a connection. TLS does not end here: each copy shows its own certificate.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from tempfile import TemporaryFile
from typing import Any
from urllib.parse import quote

from .daemon import Answer, Daemon
from .docker_hosts import daemon_of
from .errors import DockerError, OperationError
from .labels import PROJECT_LABEL, STACK_KEY
from .steps import Steps

NAME = "itqan-edge"
IMAGE_FILES = ("edge/Dockerfile", "edge/edge.sh")
DOMAIN = "ITQAN_DOMAIN="
# A label and an address, as they may stand in nginx's configuration.
PLAIN_DOMAIN, PLAIN_ADDRESS = re.compile(r"[a-z0-9.-]+"), re.compile(r"[0-9.]+")
# nginx: a port below 1024, workers of another user that a master tells when to go.
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")
# Seconds between two looks at a container that another run makes.
PAUSE = 0.2
# How often another run may come in between.
ATTEMPTS = 20


class EdgeError(OperationError):
    """The copy is up, and browsers do not reach it through the edge."""


@dataclass(frozen=True, order=True)
class Route:
    """A copy that runs: its domain, with every name below it, and its server's address."""

    domain: str
    address: str
    stack: str


def register(stack: str, outputs: Mapping[str, Any], steps: Steps) -> None:
    """Leads browsers to the copy, if its outputs say that it is behind an edge; makes the edge if need be.

    Nothing that passes through the edge is interrupted, and nothing is done when all is as it should be.
    Raises EdgeError or DockerError when browsers do not get there; the copy itself is untouched.
    """
    listen = outputs.get("edge")
    if not listen:
        return
    daemon = daemon_of(stack)
    _ensure_runs(daemon, stack, steps)
    before = _listens(daemon)
    if before and before != listen:
        steps.say(f"▸ The edge moves from {before} to {listen}: the other copies need ./itqan up, too")
    routes = _converge(daemon, str(listen), without=None)
    other = next((r.stack for r in routes if r.domain == outputs["domain"] and r.stack != stack), None)
    if other:
        raise EdgeError(
            f"{outputs['domain']} leads to stack {other}, which was there first; give this one its "
            f"own domain: pulumi config set --stack {stack} itqan:domain NAME"
        )


def unregister(stack: str, daemon: Daemon, steps: Steps) -> None:
    """Leads nobody to the copy any more: before it goes, and once more after. Without an edge, nothing.

    A failure is told and nothing more, for a copy has to go whatever state the edge is in.
    """
    try:
        _renew(daemon, without=stack)
    except (OperationError, OSError) as error:
        steps.say(f"  the edge may still lead to stack {stack}: {error}")


def tidy(daemon: Daemon, steps: Steps) -> None:
    """Leads nobody to copies that are gone, and removes the edge when none is left on the Docker host.

    Raises EdgeError or DockerError, OSError when no daemon answers.
    """
    containers = daemon.objects("containers", PROJECT_LABEL)
    if any(STACK_KEY in container["Labels"] for container in containers):
        _renew(daemon, without=None)
    elif _state(daemon) is not None:
        with steps.step("edge", f"Removing {NAME}: no copy is left"):
            _remove(daemon)


def routes_of(daemon: Daemon) -> list[Route]:
    """A route for each copy that runs; where two have the same domain, the older one has it.

    The domain is that of the copy's name server, which serves nothing else.
    """
    servers = [c for c in daemon.objects("containers", PROJECT_LABEL) if _is_running_server(c)]
    found: dict[str, Route] = {}
    for server in sorted(servers, key=lambda server: (server["Created"], server["Id"])):
        stack = server["Labels"][STACK_KEY]
        domain, address = _domain(daemon, stack), _address(server, stack)
        if domain and address:
            found.setdefault(domain, Route(domain, address, stack))
    return sorted(found.values())


def configuration(routes: list[Route], listen: str) -> tuple[str, str]:
    """nginx's configuration for routes, and the digest by which it is known."""
    from components.render import render

    pairs = [(route.domain, route.address) for route in routes]
    bare = render("edge/nginx.conf.j2", routes=pairs, listen=listen, digest="")
    digest = hashlib.sha256(bare.encode()).hexdigest()[:16]
    return render("edge/nginx.conf.j2", routes=pairs, listen=listen, digest=digest), digest


def _is_running_server(container: Mapping[str, Any]) -> bool:
    stack = container["Labels"].get(STACK_KEY)
    return container["State"] == "running" and f"/itqan-{stack}-server" in container["Names"]


def _domain(daemon: Daemon, stack: str) -> str | None:
    answer = daemon.request("GET", f"/containers/{quote(f'itqan-{stack}-registrar')}/json")
    if answer.status != 200:
        return None
    variables = answer.json()["Config"]["Env"] or []
    domain = next((v.removeprefix(DOMAIN) for v in variables if v.startswith(DOMAIN)), "")
    return domain if PLAIN_DOMAIN.fullmatch(domain) else None


def _address(server: Mapping[str, Any], stack: str) -> str | None:
    network = server["NetworkSettings"]["Networks"].get(f"itqan-{stack}") or {}
    address = network.get("IPAddress", "")
    return address if PLAIN_ADDRESS.fullmatch(address) else None


def _renew(daemon: Daemon, without: str | None) -> None:
    """The routes anew, where there is an edge and it runs."""
    if daemon.answers() and _state(daemon) == "running" and (listen := _listens(daemon)):
        _converge(daemon, listen, without)


def _converge(daemon: Daemon, listen: str, without: str | None) -> list[Route]:
    """Gives the edge its routes until they are those of the containers: another run may be at it, too.

    Whoever writes last looks once more after it, so that the last word is never an old one.
    """
    for _ in range(ATTEMPTS):
        routes = [route for route in routes_of(daemon) if route.stack != without]
        text, digest = configuration(routes, listen)
        status, said = daemon.execute(NAME, "edge", "configure", digest, text)
        if status:
            raise EdgeError(_explained(said, listen))
        if [route for route in routes_of(daemon) if route.stack != without] == routes:
            return routes
    raise EdgeError(f"copies come and go faster than {NAME} learns of it; type the command again")


def _explained(said: str, listen: str) -> str:
    if "Address already in use" not in said:
        return f"{NAME}: {said}; see: docker logs {NAME}"
    port = listen.rpartition(":")[2]
    return (
        f"itqan:staging.edge: {listen} is in use by another program (ss -ltnp 'sport = :{port}' shows it); "
        "stop that, or choose another port: "
        "pulumi config set --stack staging --path itqan:staging.edge 127.0.0.1:PORT"
    )


def _listens(daemon: Daemon) -> str:
    """ADDRESS:PORT where browsers are answered now; empty when the edge is new."""
    status, said = daemon.execute(NAME, "edge", "listens")
    return "" if status else said


def _state(daemon: Daemon) -> str | None:
    """The edge container's state in Docker's words; None when there is none."""
    answer = daemon.request("GET", f"/containers/{NAME}/json")
    return None if answer.status == 404 else str(answer.json()["State"]["Status"])


def _ensure_runs(daemon: Daemon, stack: str, steps: Steps) -> None:
    """The edge, of the image that this checkout describes, runs.

    One of another image, one that was killed while it was made, one that cannot start: made anew.
    """
    image, files = _image()
    for attempt in range(ATTEMPTS):
        answer = daemon.request("GET", f"/containers/{NAME}/json")
        if answer.status == 200:
            found = answer.json()
            is_ours, state = found["Config"]["Image"] == image, found["State"]["Status"]
            if is_ours and state == "running":
                return
            if state == "created" and attempt < ATTEMPTS // 2:
                # another run is about to start it, unless that was killed
                time.sleep(PAUSE)
                continue
            reason = "it does not run" if is_ours else "it is of another version"
            steps.say(f"▸ Replacing {NAME}: {reason}; connections through it end")
            _remove(daemon)
        if not daemon.has_image(image):
            with steps.step("edge", f"Building {image}, once for this Docker host"):
                _build(daemon, image, files, _base(stack, steps))
        _create(daemon, image)
    raise EdgeError(f"{NAME} does not stay up; see: docker logs {NAME}")


def _build(daemon: Daemon, image: str, files: Mapping[str, bytes], base: str) -> None:
    with TemporaryFile() as context:
        with tarfile.open(fileobj=context, mode="w") as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, BytesIO(content))
        context.seek(0)
        daemon.build(context, image, {"EDGE_BASE": base})


def _image() -> tuple[str, dict[str, bytes]]:
    """The image's name, which is its content, and the files that it is built of."""
    from components.render import text

    files = {name.partition("/")[2]: text(name).encode() for name in IMAGE_FILES}
    digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:12]
    return f"{NAME}:{digest}", files


def _base(stack: str, steps: Steps) -> str:
    """The image that the copy's registrar is made from."""
    from settings.parts import Staging

    from .machine import ready_engine
    from .stack import merged_configuration, own_configuration

    merged = merged_configuration(own_configuration(stack, ready_engine(steps)))
    return str((merged.get("staging") or {}).get("registrarImage") or Staging().registrar_image)


def _create(daemon: Daemon, image: str) -> None:
    """Makes and starts the container; nothing when another run was faster."""
    key, _, value = PROJECT_LABEL.partition("=")
    # In the host's own network: it listens where the settings say, and reaches every copy's network.
    host = {
        "NetworkMode": "host",
        "RestartPolicy": {"Name": "unless-stopped"},
        "CapDrop": ["ALL"],
        "CapAdd": CAPABILITIES,
    }
    wanted = {"Image": image, "Labels": {key: value}, "HostConfig": host}
    body = json.dumps(wanted).encode()
    if _accepted(daemon.request("POST", f"/containers/create?name={NAME}", body), "make"):
        _accepted(daemon.request("POST", f"/containers/{NAME}/start"), "start")


def _remove(daemon: Daemon) -> None:
    _accepted(daemon.request("DELETE", f"/containers/{NAME}?force=1"), "remove")


def _accepted(answer: Answer, what: str) -> bool:
    """Whether Docker did it; not when another run has just made or removed the container, or is at it.

    Raises DockerError with the daemon's words for anything else.
    """
    if answer.status in (404, 409):
        return False
    if answer.status >= 400:
        raise DockerError(f"Docker refused to {what} {NAME}: {answer.body.strip()}")
    return True

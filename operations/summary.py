"""The closing words of `up`: what is where, what to type, how long each part took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .events import Record
from .opening import forward_line
from .paths import HOME
from .run import RunFailed
from .stack import Stack
from .steps import Steps
from .trace import write_trace

# Parts that took less are not worth a place in the summary.
SHOWN_SECONDS = 0.5


def root_certificate_file(stack: str) -> Path:
    """Where the certificate of the authority that signed a stack's site is kept."""
    return HOME / f"{stack}-root.pem"


def write_root_certificate(stack: str, outputs: Mapping[str, Any]) -> None:
    """Keeps the authority's certificate as a file that curl and browsers can be given."""
    path, text = root_certificate_file(stack), outputs.get("rootCertificate")
    if text and not (path.exists() and path.read_text() == text):
        path.write_text(text)
        path.chmod(0o644)


@contextmanager
def close_run(steps: Steps, start: float, trace: Path | None) -> Iterator[Callable[[Stack, Record], None]]:
    """Gives the body what to call at the end of its run: keeps the authority's root, prints the summary.

    Arguments: `start`, when the command began (time.monotonic); `trace`, where the run's timings go, those of
    one that failed too.
    """

    def closing(stack: Stack, record: Record) -> None:
        write_root_certificate(stack.name, record.outputs)
        _trace(trace, steps, record)
        try:
            if stack.is_copy:
                lead_browsers_to(stack.name, record.outputs, steps)
        finally:
            print(summary(stack, record, steps.durations, time.monotonic() - start))

    try:
        yield closing
    except RunFailed as error:
        _trace(trace, steps, error.record)
        raise


def lead_browsers_to(stack: str, outputs: Mapping[str, Any], steps: Steps) -> None:
    """Keeps the certificate to trust, and registers a copy with the edge. Raises EdgeError, DockerError."""
    from .edge import register
    from .opening import keep_authority

    keep_authority(outputs)
    register(stack, outputs, steps)


def _trace(path: Path | None, steps: Steps, record: Record) -> None:
    if path:
        write_trace(path, steps.spans, [*record.changes, *record.stayed])


def summary(stack: Stack, record: Record, preparation: Mapping[str, float], seconds: float) -> str:
    """The text of the summary.

    Arguments: `preparation`, seconds of each step before the engine; `seconds`, those of the whole command.
    """
    rows = [*_places(stack, record.outputs), *_durations(record, preparation)]
    changed = f"{record.changed} changed, " if record.changed else "nothing to do, "
    head = f"itqan {stack.name} is up: {changed}{record.unchanged} as they were, {seconds:.1f} s"
    return "\n".join([head, *(f"  {name:<12} {value}" for name, value in rows)])


def _places(stack: Stack, outputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    ssh = outputs.get("ssh") or {}
    rows = [
        ("open", outputs.get("url")),
        ("through", forward_line(outputs)),
        ("address", outputs.get("address")),
        ("ssh", f"ssh {_jump(outputs)}-p {ssh['port']} {ssh['user']}@{ssh['host']}" if ssh else None),
        ("container", outputs.get("container")),
        ("log in", _log_in(outputs)),
        ("release", outputs.get("release")),
        ("authority", root_certificate_file(stack.name) if outputs.get("rootCertificate") else None),
        ("try", curl_line(stack.name, outputs) if stack.is_copy else None),
        ("next", _without_root(stack, outputs)),
    ]
    return [(name, str(value)) for name, value in rows if value]


def curl_line(stack: str, outputs: Mapping[str, Any]) -> str | None:
    """The line that fetches a copy's page and verifies it; None before there is one."""
    if not (outputs.get("url") and outputs.get("rootCertificate")):
        return None
    address, _, port = (outputs.get("edge") or f"{outputs['address']}:443").partition(":")
    return (
        f"curl --cacert {root_certificate_file(stack)} "
        f"--resolve {outputs['domain']}:{port}:{_reached(address, outputs)} {outputs['url']}"
    )


def _reached(address: str, outputs: Mapping[str, Any]) -> str:
    """Where this machine reaches what listens at an address of the copy's Docker host."""
    host = outputs.get("dockerHost")
    if host and forward_line(outputs):
        return "127.0.0.1"
    every = str(host).rpartition("@")[2].partition(":")[0] if host else "127.0.0.1"
    return address.replace("0.0.0.0", every)


def _without_root(stack: Stack, outputs: Mapping[str, Any]) -> str | None:
    """A real server was brought up as root; from now on its deploy user can do it."""
    if stack.is_copy or (outputs.get("ssh") or {}).get("user") != "root":
        return None
    line = f"pulumi config set --stack {stack.name} --path itqan:connection.user {outputs['deployUser']}"
    return f"log in without root from now on: {line}"


def _jump(outputs: Mapping[str, Any]) -> str:
    """ssh's option for a copy that is reached through its Docker host."""
    host = outputs.get("dockerHost")
    return f"-J {str(host).removeprefix('ssh://')} " if host else ""


def _log_in(outputs: Mapping[str, Any]) -> str | None:
    if not outputs.get("container"):
        return None
    host = f"-H {outputs['dockerHost']} " if outputs.get("dockerHost") else ""
    return f"docker {host}exec -it {outputs['container']} bash"


def _durations(record: Record, preparation: Mapping[str, float]) -> list[tuple[str, str]]:
    rows = (("prepared", preparation), ("worked", record.part_seconds()))
    texts = ((name, _listed(seconds)) for name, seconds in rows)
    return [(name, text) for name, text in texts if text]


def _listed(seconds: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {taken:.1f} s" for name, taken in seconds.items() if taken >= SHOWN_SECONDS)

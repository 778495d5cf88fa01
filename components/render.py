"""Templates of files/: an undefined variable is an error, and every file says where it comes from."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

FILES = Path(__file__).resolve().parent.parent / "files"


@cache
def template_environment(
    autoescape: bool = False, finalize: Callable[[object], object] | None = None
) -> Environment:
    """The templates of files/.

    Arguments: `autoescape` for HTML; `finalize`, what each value passes through.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(FILES),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=autoescape,
        finalize=finalize,
    )


def managed(source: str) -> str:
    """The first line of every file that the stack writes, without the comment sign."""
    return f"managed by itqan, {source}: changes here are drift"


def render(template: str, **values: object) -> str:
    """The text of files/`template` with `values`.

    Raises jinja2.UndefinedError for a variable without a value, jinja2.TemplateNotFound for a wrong name.
    """
    found = template_environment().get_template(template)
    return found.render(managed=managed(f"files/{template}"), **values)


def text(name: str) -> str:
    """The text of files/`name` as it is."""
    return (FILES / name).read_text()


# What observations need, and what the runner needs beyond that.
PROBES = ("host/packages.sh", "host/facts.sh", "host/probes.sh", "host/owner.sh", "host/preflight.sh")
LIBRARY = (*PROBES, "host/base.sh", "host/apt.sh", "host/applies.sh", "host/hardening.sh")
# What a program is made of beyond the library, each file about one thing.
PARTS = {
    "release/release.sh": tuple(
        f"release/{part}.sh"
        for part in (
            *("steps", "access", "git", "contents", "checks", "plan", "breaking", "backup", "build"),
            *("permissions", "folders", "layout", "database", "caches", "processes", "opcache", "log"),
            *("undo", "restore", "pull"),
        )
    ),
    "session/session.sh": ("release/log.sh",),
    "data/data.sh": ("release/steps.sh",),
    "backup/backup.sh": (
        *(f"release/{part}.sh" for part in ("steps", "backup", "folders", "caches")),
        *(f"release/{part}.sh" for part in ("processes", "opcache", "log")),
        *(f"backup/{part}.sh" for part in ("make", "place", "obtain", "restore", "binlog")),
    ),
}


def probe_library() -> str:
    """Everything that looks at a host and changes nothing."""
    return "\n".join(text(part) for part in PROBES)


def host_script(name: str) -> str:
    """A program of files/ for the host: the library, the program's parts if it has any, then the program."""
    body = "\n".join(text(part) for part in (*LIBRARY, *PARTS.get(name, ()), name))
    return f"#!/bin/bash\n# {managed(f'files/{name}')}\n{body}"

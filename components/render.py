"""Templates of files/: an undefined variable is an error, and every file says where it comes from."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

FILES = Path(__file__).resolve().parent.parent / "files"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(FILES),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )


def render(template: str, **values: object) -> str:
    """The text of files/`template` with `values`.

    Raises jinja2.UndefinedError for a variable without a value, jinja2.TemplateNotFound for a wrong name.
    """
    header = f"managed by itqan, files/{template}: changes here are drift"
    return _environment().get_template(template).render(managed=header, **values)


def text(name: str) -> str:
    """The text of files/`name` as it is."""
    return (FILES / name).read_text()


LIBRARY = ("host/probes.sh", "host/base.sh", "host/apt.sh", "host/applies.sh")


def host_script(name: str) -> str:
    """A program of files/ for the host: the library, then the program."""
    return "#!/bin/bash\n" + "\n".join(text(part) for part in (*LIBRARY, name))

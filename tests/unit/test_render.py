"""Templates: an undefined variable is fatal, every file says where it comes from."""

from __future__ import annotations

import pytest
from jinja2 import TemplateNotFound, UndefinedError

from components import render

TEMPLATES = sorted(path.relative_to(render.FILES).as_posix() for path in render.FILES.glob("*/*.j2"))
WITHOUT = ("certificates/nginx.sh.j2", "hardening/52itqan-upgrades.j2")
WITH_VARIABLES = [name for name in TEMPLATES if name not in WITHOUT]


@pytest.mark.parametrize("template", WITH_VARIABLES)
def test_an_undefined_variable_is_fatal(template: str) -> None:
    with pytest.raises(UndefinedError, match="is undefined"):
        render.render(template)


def test_an_undefined_attribute_is_fatal() -> None:
    with pytest.raises(UndefinedError, match="has no attribute 'upload_max_filesize'"):
        render.render("php/limits.ini.j2", limits=type("Limits", (), {"memory_limit": "1M"})())


def test_a_wrong_name_is_fatal() -> None:
    with pytest.raises(TemplateNotFound):
        render.render("nginx/gone.j2")


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_says_where_it_comes_from(template: str) -> None:
    head = (render.FILES / template).read_text().splitlines()[:2]
    assert any("{{ managed }}" in line for line in head)
    assert (
        render.managed(f"files/{template}") == f"managed by itqan, files/{template}: changes here are drift"
    )


def test_values_are_not_escaped_as_html() -> None:
    text = render.render("release/env.j2", variables={"A": '"<&>\'"'})
    assert text.splitlines()[1] == 'A="<&>\'"'
    assert text.endswith("\n")


def test_a_program_for_the_host_is_the_library_and_the_program() -> None:
    script = render.host_script("host/converge.sh")
    parts = [render.text(part) for part in (*render.LIBRARY, "host/converge.sh")]
    positions = [script.index(part) for part in parts]
    assert positions == sorted(positions)
    assert script.startswith("#!/bin/bash\n# managed by itqan, files/host/converge.sh")

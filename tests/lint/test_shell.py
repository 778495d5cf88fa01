"""Every line of shell passes shellcheck: programs, fragments with their library, what units carry."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from components.health import probes
from components.platform import load_platform
from components.render import FILES, LIBRARY, PARTS, PROBES, host_script, text
from components.runbooks import looks, runbooks
from components.staging import context_files
from components.unit import Unit
from settings import Settings
from tests.conftest import OBSERVER_KEY

SHEBANG = re.compile(rb"#! ?(/usr)?/bin/(env )?(ba)?sh\b")
# Functions are called by what comes later; names in capitals are assigned by release.conf.
ELSEWHERE = "SC2317,SC2329,SC2153"
HEALTH = {f"health/{path.name}" for path in (FILES / "health").glob("*.sh")}
FIX = {f"fix/{path.name}" for path in (FILES / "fix").glob("*.sh")}
OTHERS = {"host/surroundings.sh", "host/observe.sh", "host/limit.sh"}
FRAGMENTS = {*LIBRARY, *sum(PARTS.values(), ()), *OTHERS, *HEALTH, *FIX}
PROGRAMS = {
    "host/converge.sh",
    "release/release.sh",
    "session/session.sh",
    "backup/backup.sh",
    "data/data.sh",
}


def tracked(root: Path) -> list[Path]:
    """The files of the checkout: what git tracks or would."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for name in listed.stdout.split("\0") if name and (path := root / name).is_file()]


def shellcheck(*paths: Path, exclude: str = "") -> str:
    """What shellcheck says of the files; nothing is what is wanted."""
    program = shutil.which(
        "shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    assert program, "shellcheck is missing: pip install -r requirements.txt"
    options = ["--severity=style", "--format=gcc", *([f"--exclude={exclude}"] if exclude else [])]
    done = subprocess.run([program, *options, *map(str, paths)], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_programs_of_the_checkout(root: Path) -> None:
    programs = [
        path for path in tracked(root) if SHEBANG.match(path.read_bytes()[:40]) and path.suffix != ".j2"
    ]
    assert root / "itqan" in programs
    assert shellcheck(*programs) == ""


def test_every_shell_file_is_a_program_or_a_known_fragment(root: Path) -> None:
    files = [
        path for path in tracked(root) if path.suffix == ".sh" and not SHEBANG.match(path.read_bytes()[:40])
    ]
    names = {path.relative_to(FILES).as_posix() for path in files if path.is_relative_to(FILES)}
    assert names == FRAGMENTS | PROGRAMS


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_programs_call_no_function_that_is_not_theirs(name: str) -> None:
    """shellcheck takes an unknown word for a program; none that hosts have is called with an underscore."""
    program = host_script(name)
    functions = set(re.findall(r"(?m)^([a-z]+_[a-z_]+)\(\)", program))
    called = set(re.findall(r"(?m)^ *(?:if |! |\{ )?([a-z]+_[a-z_]+)(?=[ ;]|$)", program))
    assert called
    assert called - functions == set()


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_programs_for_the_host(tmp_path: Path, name: str) -> None:
    path = tmp_path / "program.sh"
    path.write_text(host_script(name))
    assert shellcheck(path, exclude=ELSEWHERE) == ""


def test_templates_of_programs(tmp_path: Path, staging_units: dict[str, Unit]) -> None:
    path = tmp_path / "hook.sh"
    path.write_text(staging_units["certificates/hook"].payload or "")
    assert shellcheck(path) == ""


@pytest.mark.parametrize("name", ["observer/shell", "observer/program"])
def test_programs_of_the_observer(
    tmp_path: Path,
    stack: Callable[..., Settings],
    units_of: Callable[[Settings], dict[str, Unit]],
    name: str,
) -> None:
    path = tmp_path / "program.sh"
    path.write_text(units_of(stack("prod", observer={"key": OBSERVER_KEY}))[name].payload or "")
    assert shellcheck(path, exclude=ELSEWHERE) == ""


def test_the_observation(tmp_path: Path) -> None:
    path = tmp_path / "observation.sh"
    path.write_text("\n".join(("#!/bin/bash", *map(text, (*PROBES, "host/observe.sh", "host/limit.sh")))))
    assert shellcheck(path, exclude=ELSEWHERE) == ""


@pytest.mark.parametrize("name", ["prod", "staging"])
def test_probes_of_health(tmp_path: Path, stack: Callable[..., Settings], name: str) -> None:
    """As the host gets them: arguments, then the text, after the library."""
    settings = stack(name)
    asked = probes(settings, load_platform(settings.platform), "nobody")
    assert {f"{unit.name}.sh" for unit in asked} == HEALTH
    functions = "\n".join(f"{unit.slug.replace('-', '_')}() {{\n{unit.probe}\n}}" for unit in asked)
    path = tmp_path / "health.sh"
    path.write_text("\n".join(("#!/bin/bash", *map(text, PROBES), functions)))
    assert shellcheck(path, exclude=ELSEWHERE) == ""


@pytest.mark.parametrize("name", ["prod", "staging"])
def test_runbooks(tmp_path: Path, stack: Callable[..., Settings], name: str) -> None:
    """As the host gets them: the looks after the observation's library, the cures after the runner's."""
    settings = stack(name)
    books = runbooks(settings, load_platform(settings.platform), retry=True)
    asked = {unit.name: unit for book in books for unit in looks(books, book)}
    assert {f"{look}.sh" for look in asked} | {"fix/cures.sh", "fix/garbage.sh"} == FIX
    cures = {step.cure for book in books.values() for step in book.steps if step.cure}
    path = tmp_path / "fix.sh"
    observation = "\n".join(("#!/bin/bash", *map(text, PROBES)))
    runner = f"{host_script('host/converge.sh')}\n{text('fix/cures.sh')}"
    for library, bodies in ((observation, [unit.probe for unit in asked.values()]), (runner, sorted(cures))):
        functions = (f"function_{number}() {{\n{body}\n}}" for number, body in enumerate(bodies))
        path.write_text("\n".join((library, *functions)))
        assert shellcheck(path, exclude=ELSEWHERE) == ""


@pytest.mark.parametrize("platform", ["ubuntu-22.04", "debian-13"])
def test_the_script_that_builds_the_image(
    stack: Callable[..., Settings],
    units_of: Callable[[Settings], dict[str, Unit]],
    tmp_path: Path,
    platform: str,
) -> None:
    files = context_files(list(units_of(stack("staging", platform=platform)).values()))
    library, program = (files[f"packages/{name}.sh"].decode() for name in ("lib", "apply"))
    path = tmp_path / "packages.sh"
    path.write_text(program.replace('. "$(dirname "$0")/lib.sh"', library))
    assert library in path.read_text()
    assert shellcheck(path, exclude=ELSEWHERE) == ""


def test_every_unit(every_variant: list[list[Unit]], tmp_path: Path) -> None:
    """Each text of each unit as a function after the library, as the runner evaluates it."""
    bodies = {
        body: f"{unit.slug}.{kind}"
        for units in every_variant
        for unit in units
        for kind in ("probe", "apply", "remove", "output")
        if (body := getattr(unit, kind))
    }
    functions = "\n".join(
        f"# {name}\nunit_{number}() {{\n{body}\n}}" for number, (body, name) in enumerate(bodies.items())
    )
    path = tmp_path / "units.sh"
    path.write_text(f"{host_script('host/converge.sh')}\n{functions}\n")
    assert len(bodies) > 80
    assert shellcheck(path, exclude=ELSEWHERE) == ""

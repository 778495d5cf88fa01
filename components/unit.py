"""The unit: how to see a piece of state on the host, what should be seen, how to get there."""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import dataclass

from .render import text

CONVERGE = "/usr/local/sbin/itqan-converge"


@dataclass(frozen=True)
class Unit:
    """A piece of state on the host.

    name     unique in the stack: `part/thing`
    probe    read-only bash; prints the state in canonical lines, never fails, under a second
    expect   exactly what the probe prints when the host is right; computed from the settings
    apply    idempotent bash, run as root under `set -euo pipefail`
    payload  standard input of apply
    secret   the payload is a secret: never in argv, environment, logs, previews or plain state
    remove   bash for a unit that leaves the program; none: the state stays
    output   bash that prints, after success, what the program wants to know
    """

    name: str
    probe: str
    expect: str
    apply: str
    payload: str | None = None
    secret: bool = False
    remove: str | None = None
    output: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9-]+/[a-z0-9.-]+", self.name):
            raise ValueError(f"unit {self.name!r}: a name is part/thing")

    @property
    def part(self) -> str:
        """The component that the unit belongs to."""
        return self.name.partition("/")[0]

    @property
    def slug(self) -> str:
        """The name as a resource name."""
        return self.name.replace("/", "-")


def call(function: str, *arguments: object) -> str:
    """A line of bash that calls `function` of files/host/lib.sh with quoted arguments."""
    return shlex.join([function, *map(str, arguments)])


def lines(*parts: str) -> str:
    """Several lines as one text; empty ones left out."""
    return "\n".join(part for part in parts if part)


def digest(content: str) -> str:
    """A content's digest as `probe_file` prints it."""
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


def file_line(path: str, owner: str, mode: str, content: str) -> str:
    """What `probe_file` prints for a file that is right."""
    return f"file {path} {owner} {mode} {digest(content)}"


def secret_file_line(path: str, owner: str, mode: str, content: str, key: str) -> str:
    """What `probe_secret_file` prints for a file that is right; `key`, what the file of the key says."""
    return f"file {path} {owner} {mode} keyed-{digest(key + content)}"


def file_unit(
    name: str,
    path: str,
    content: str,
    *,
    owner: str = "root:root",
    mode: str = "644",
    test: tuple[str, ...] = (),
    before: str = "",
    then: str = "",
    probe: str = "",
    expect: str = "",
    secret: bool = False,
    key: str | None = None,
    removable: bool = True,
) -> Unit:
    """A unit that is one whole file.

    Arguments: `test`, a command that must accept the file before it stays (the old one comes back if not);
    `before`, bash that may refuse it; `then`, bash that makes it take effect;
    `removable`, whether the host can do without it when the unit is gone;
    `probe` and `expect`, further state that belongs to the file;
    `secret`, whether the content is one; `key`, what its digest is made with (components/digests.py).
    """
    if key is None:
        looked, line = "probe_file", file_line(path, owner, mode, content)
    else:
        looked, line = "probe_secret_file", secret_file_line(path, owner, mode, content, key)
    return Unit(
        name=name,
        probe=lines(call(looked, path), probe),
        expect=lines(line, expect),
        apply=lines(before, call("place", path, owner, mode, *test), then),
        payload=content,
        secret=secret or key is not None,
        remove=call("rm", "-f", path) if removable else None,
    )


def create_text(unit: Unit, owner: str, sudo: bool) -> str:
    """The command that converges a unit: readable, line by line, so that a preview's diff is too.

    Arguments: `owner`, the stack that the host must belong to; `sudo`, whether that takes sudo.
    """
    texts = [("PROBE", unit.probe), ("EXPECT", unit.expect), ("APPLY", unit.apply)]
    if unit.output:
        texts.append(("OUTPUT", unit.output))
    length = len((unit.payload or "").encode())
    return " \\\n".join(
        [f"{_runner(unit, owner, sudo)} {length}", *(_here(word, text) for word, text in texts)]
    )


def install_text(runner: Unit, owner: str, sudo: bool) -> str:
    """The command that installs the runner from its payload; the comment makes its changes visible.

    A connection that ends early looks like the end of the payload, so the whole of it is known by its digest.
    """
    new = f"{CONVERGE}.itqan-new"
    wanted = digest(runner.payload or "").removeprefix("sha256:")
    install = lines(
        text("host/owner.sh").rstrip("\n"),
        call("require_owner", owner),
        "program=$(cat)",
        f"""if [ "$(printf '%s\\n' "$program" | sha256sum)" != '{wanted}  -' ]; then""",
        "    echo 'itqan: host/runner: the connection ended too early; nothing was changed' >&2",
        "    exit 1",
        "fi",
        f"""if [ "$(stat -c '%U:%G %a' {CONVERGE} 2>/dev/null)" != 'root:root 755' ] ||""",
        f"""    ! printf '%s\\n' "$program" | cmp -s - {CONVERGE}; then""",
        f"""    printf '%s\\n' "$program" | install -D -o root -g root -m 755 /dev/stdin {new}""",
        f"""    mv -f {new} {CONVERGE}""",
        "fi",
    )
    return f"{_sudo(sudo)}bash -euo pipefail -c {_here('INSTALL', install)}\n# {runner.expect}"


def remove_text(unit: Unit, owner: str, sudo: bool) -> str | None:
    """The command that removes a unit, as root under the same rules as apply."""
    if unit.remove is None:
        return None
    return f"{_runner(unit, owner, sudo)} --remove {_here('REMOVE', unit.remove)}"


def _runner(unit: Unit, owner: str, sudo: bool) -> str:
    return f"{_sudo(sudo)}{CONVERGE} {shlex.quote(owner)} {unit.name}"


def _sudo(sudo: bool) -> str:
    return "sudo -n " if sudo else ""


def _here(word: str, text: str) -> str:
    """`text` as one argument of the shell, each of its lines a line of its own."""
    if re.search(rf"^{word}$", text, re.MULTILINE):
        raise ValueError(f"a line of the text is {word}, which ends the here-document")
    return f"\"$(cat <<'{word}'\n{text}\n{word}\n)\""

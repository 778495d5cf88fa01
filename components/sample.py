"""The sample application as a git repository: one commit, computed from the files alone."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .render import FILES

BRANCH = "main"
MESSAGE = "The sample application\n"
# Fixed, so that the same files are the same commit on every machine.
SIGNATURE = "Itqan <itqan@localhost> 1767225600 +0000"


@dataclass(frozen=True)
class Repository:
    """`commit`, its id; `stream`, the input of `git fast-import` that makes it."""

    commit: str
    stream: str


@cache
def sample_repository(folder: Path = FILES / "sample-app") -> Repository:
    """The files below `folder` as one commit. Raises UnicodeDecodeError for a file that is not text."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(_tracked(folder))}
    contents = {name: path.read_bytes() for name, path in files.items()}
    modes = {name: "100755" if path.stat().st_mode & 0o100 else "100644" for name, path in files.items()}
    return Repository(_commit_id(contents, modes), _stream(contents, modes))


def _tracked(folder: Path) -> list[Path]:
    """What git would track here; without git, or outside a checkout, every file."""
    command = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "."]
    if shutil.which("git"):
        listed = subprocess.run(command, capture_output=True, text=True, check=False)
        if listed.returncode == 0:
            return [path for name in listed.stdout.split("\0") if name and (path := folder / name).is_file()]
    return [path for path in folder.rglob("*") if path.is_file()]


def _stream(contents: dict[str, bytes], modes: dict[str, str]) -> str:
    """git-fast-import(1): one commit on BRANCH that is these files and nothing else."""
    message = f"data {len(MESSAGE.encode())}\n{MESSAGE}"
    head = f"commit refs/heads/{BRANCH}\nauthor {SIGNATURE}\ncommitter {SIGNATURE}\n{message}deleteall\n"
    body = "".join(
        f"M {modes[name]} inline {name}\ndata {len(content)}\n{content.decode()}\n"
        for name, content in contents.items()
    )
    return f"{head}{body}done\n"


def _commit_id(contents: dict[str, bytes], modes: dict[str, str]) -> str:
    root: dict[str, Any] = {}
    for name, content in contents.items():
        *folders, leaf = name.split("/")
        node = root
        for folder in folders:
            node = node.setdefault(folder, {})
        node[leaf] = (modes[name], _object("blob", content))
    text = f"tree {_tree(root)}\nauthor {SIGNATURE}\ncommitter {SIGNATURE}\n\n{MESSAGE}"
    return _object("commit", text.encode())


def _tree(node: dict[str, Any]) -> str:
    """A tree's id; git sorts folders as if their names ended in a slash."""
    entries = []
    for name, child in node.items():
        if isinstance(child, dict):
            entries.append((f"{name}/", b"40000 " + name.encode(), _tree(child)))
        else:
            mode, blob = child
            entries.append((name, f"{mode} {name}".encode(), blob))
    body = b"".join(head + b"\0" + bytes.fromhex(object_id) for _, head, object_id in sorted(entries))
    return _object("tree", body)


def _object(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()

"""The build context of an image: what is in it, its digest, and the archive that goes to the daemon."""

import hashlib
import io
import os
import re
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

DEFAULT_DOCKERFILE = "Dockerfile"

_FLAGS = ((stat.S_ISUID, "u"), (stat.S_ISGID, "g"), (stat.S_ISVTX, "t"))
_TYPES = {stat.S_IFLNK: "L", stat.S_IFIFO: "p", stat.S_IFSOCK: "S", stat.S_IFBLK: "D", stat.S_IFCHR: "Dc"}


@dataclass(frozen=True)
class BuildContext:
    """A folder with a Dockerfile.

    Args:
        folder: the context, relative to the working directory or absolute.
        dockerfile: path of the Dockerfile, likewise; it may be outside of the folder.
    """

    folder: str
    dockerfile: str

    @property
    def dockerfile_in_folder(self) -> str:
        """The Dockerfile's path relative to the context; begins with ../ if it is outside."""
        return os.path.relpath(self.dockerfile, self.folder)

    @cached_property
    def _ignored(self) -> "_IgnoreFile":
        name = Path(self.dockerfile).name
        file = ".dockerignore" if name == DEFAULT_DOCKERFILE else f"{name}.dockerignore"
        try:
            text = Path(self.folder, file).read_text(encoding="utf-8")
        except FileNotFoundError:
            text = ""
        return _IgnoreFile(text)

    def digest(self) -> str:
        """Return a hash of the names, modes and contents of everything in the context.

        Computed as the official plugin does (hashContext), except that a symbolic link counts as the text
        of the link and not as the path on this machine that it leads to.
        """
        total = hashlib.sha256()

        def add(name: str, mode: str, content: bytes) -> None:
            total.update(os.fsencode(name) + mode.encode() + content + b"\0")

        # The Dockerfile's own name and mode do not matter to the builder.
        add(DEFAULT_DOCKERFILE, "----------", _file_hash(self.dockerfile))
        for name, entry in self._entries(self.folder, ""):
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                add(name, mode_text(mode), hashlib.sha256(bytes(Path(entry.path).readlink())).digest())
            elif stat.S_ISREG(mode):
                add(name, mode_text(mode), _file_hash(entry.path))
        return total.hexdigest()

    def archive(self, target: IO[bytes]) -> str:
        """Write the context as a compressed tar archive.

        Returns:
            The Dockerfile's path in the archive.
        """
        dockerfile = self.dockerfile_in_folder
        # Compressed also because the builder knows an archive by its first bytes, and Python's tar may begin
        # with a header that it does not know.
        with tarfile.open(fileobj=target, mode="w:gz", compresslevel=1) as archive:
            for name, entry in self._entries(self.folder, "", keep=(dockerfile, ".dockerignore")):
                info = archive.gettarinfo(entry.path, name)
                if info is None:  # a socket
                    continue
                _add(archive, info, entry.path)
            if dockerfile.startswith("../"):
                dockerfile = ".dockerfile.outside"
                content = Path(self.dockerfile).read_bytes()
                info = tarfile.TarInfo(dockerfile)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return dockerfile

    def _entries(
        self, folder: str, prefix: str, keep: tuple[str, ...] = ()
    ) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
        """Yield what is not ignored: its path in the context, and the entry; in the order of names."""
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
        for entry in entries:
            name = prefix + entry.name
            ignored = self._ignored.matches(name) and name not in keep
            if not ignored:
                yield name, entry
            if entry.is_dir(follow_symlinks=False) and not (ignored and self._ignored.is_simple and not keep):
                yield from self._entries(entry.path, f"{name}/", keep)


def _add(archive: tarfile.TarFile, info: tarfile.TarInfo, path: str) -> None:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    if info.isreg():
        with Path(path).open("rb") as content:
            archive.addfile(info, content)
    else:
        archive.addfile(info)


def _file_hash(path: str) -> bytes:
    content = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            content.update(block)
    return content.digest()


def mode_text(mode: int) -> str:
    """Return a file's mode the way Go prints it, for instance `-rw-r--r--` or `Lrwxrwxrwx`."""
    letters = _TYPES.get(stat.S_IFMT(mode), "") + "".join(letter for bit, letter in _FLAGS if mode & bit)
    bits = "".join(letter if mode & (1 << (8 - index)) else "-" for index, letter in enumerate("rwxrwxrwx"))
    return (letters or "-") + bits


class _IgnoreFile:
    """The rules of a .dockerignore file; the last one that matches a path or a folder above it counts.

    Args:
        text: the file's content (https://docs.docker.com/build/concepts/context/#dockerignore-files).
    """

    def __init__(self, text: str) -> None:
        lines = [
            line.strip() for line in text.removeprefix("\ufeff").splitlines() if not line.startswith("#")
        ]
        self._rules = [
            (not line.startswith("!"), _pattern(line.removeprefix("!").strip()))
            for line in lines
            if line.removeprefix("!").strip()
        ]

    @property
    def is_simple(self) -> bool:
        """Whether nothing below an ignored folder can be taken back in."""
        return all(ignores for ignores, _ in self._rules)

    def matches(self, path: str) -> bool:
        """Tell whether a path, relative to the context, is ignored."""
        result = False
        for ignores, pattern in self._rules:
            if pattern.match(path):
                result = ignores
        return result


def _pattern(text: str) -> re.Pattern[str]:
    """Return a rule as a regular expression that matches the path itself and everything below it."""
    text = os.path.normpath(text).lstrip("/")
    expression = ""
    position = 0
    while position < len(text):
        rest = text[position:]
        if rest.startswith("**/"):
            expression, step = expression + "(?:.*/)?", 3
        elif rest.startswith("**"):
            expression, step = expression + ".*", 2
        elif rest[0] == "*":
            expression, step = expression + "[^/]*", 1
        elif rest[0] == "?":
            expression, step = expression + "[^/]", 1
        elif found := re.match(r"\[\^?[^\]]+\]", rest):
            expression, step = expression + found[0], len(found[0])
        elif rest[0] == "\\" and len(rest) > 1:
            expression, step = expression + re.escape(rest[1]), 2
        else:
            expression, step = expression + re.escape(rest[0]), 1
        position += step
    return re.compile(f"(?:{expression})(?:/.*)?\\Z", re.DOTALL)

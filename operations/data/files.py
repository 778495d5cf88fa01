"""The files of tenants on their way into a copy: each by the rule of its path."""

from __future__ import annotations

import base64
import io
import tarfile
from dataclasses import dataclass
from typing import IO

from .rules import Rules

# A picture of one pixel, whatever its name says: browsers and PHP's gd look at the content.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".ico")
# A page with nothing on it.
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)
PLACEHOLDER = b"This file is a placeholder: the original stayed in production.\n"


@dataclass
class Count:
    """How many files came through as they are, as placeholders, and not at all."""

    kept: int = 0
    replaced: int = 0
    dropped: int = 0

    @property
    def words(self) -> str:
        """As in a sentence."""
        return f"{self.kept} kept, {self.replaced} placeholders, {self.dropped} left behind"


def placeholder(path: str) -> bytes:
    """What stands in the place of a file, by the ending of its name."""
    name = path.lower()
    if name.endswith(PICTURES):
        return PIXEL
    return PDF if name.endswith(".pdf") else PLACEHOLDER


def anonymous_files(archive: IO[bytes], rules: Rules, made: IO[bytes]) -> Count:
    """Copies the tar stream of the tenants' files, without what the rules do not let through.

    Only regular files: a link could lead out of the folder, and nothing else is an upload.
    Arguments: `archive`, names in it are those that rules have; `made`, where the new tar stream goes.
    Raises tarfile.TarError when it is none, or not whole.
    """
    count = Count()
    with tarfile.open(fileobj=archive, mode="r|") as source, tarfile.open(fileobj=made, mode="w|") as target:
        for member in source:
            path = member.name.removeprefix("./")
            if not member.isfile():
                continue
            kind = rules.file_kind(path) if _is_inside(path) else "drop"
            if kind == "drop":
                count.dropped += 1
                continue
            content = source.extractfile(member)
            assert content is not None
            header = tarfile.TarInfo(path)
            header.mtime, header.size = member.mtime, member.size
            if kind == "placeholder":
                content = io.BytesIO(placeholder(path))
                header.size = len(placeholder(path))
                count.replaced += 1
            else:
                count.kept += 1
            target.addfile(header, content)
    return count


def _is_inside(path: str) -> bool:
    return not path.startswith("/") and ".." not in path.split("/")

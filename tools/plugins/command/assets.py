"""The files that local.Command returns for `assetPaths`."""

import hashlib
import re
from pathlib import Path

from tools.plugins.common.values import ASSET, SIGNATURE, Properties


def collect(patterns: list[str], directory: str | None) -> Properties:
    """Return the files below a directory that the patterns choose, as assets by relative path.

    Args:
        patterns: globs; `*` stays within a folder, `**` does not, `!` in front takes files out again;
            the last pattern that fits a file decides.
        directory: to search, None for the plugin's own.
    """
    rules = [(not text.startswith("!"), re.compile(_expression(text.removeprefix("!")))) for text in patterns]
    root = Path(directory) if directory else Path.cwd()
    assets: Properties = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        chosen = [wanted for wanted, rule in rules if rule.fullmatch(name)]
        if chosen and chosen[-1] and path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            assets[name] = {SIGNATURE: ASSET, "hash": digest, "path": str(path)}
    return assets


def _expression(glob: str) -> str:
    """Translate a glob: * ** ? [abc] [!abc] {one,two}."""
    parts = re.split(r"(\*\*|\*|\?|\[!?[^\]]+\]|\{[^}]*\})", glob)
    return "".join(_part(part) for part in parts)


def _part(part: str) -> str:
    if part == "**":
        return ".*"
    if part in ("*", "?"):
        return "[^/]" + part.replace("?", "")
    if part.startswith("["):
        return part.replace("[!", "[^", 1)
    if part.startswith("{"):
        return f"(?:{'|'.join(_expression(word) for word in part[1:-1].split(','))})"
    return re.escape(part)

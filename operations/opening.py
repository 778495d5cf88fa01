"""How a person opens a copy in a browser: the address, and the one authority to trust."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .paths import HOME

# The same certificate for all copies; Windows and update-ca-certificates go by the ending.
AUTHORITY_FILE = HOME / "itqan-test-authority.crt"
NICKNAME = "Itqan test authority"


def keep_authority(outputs: Mapping[str, Any]) -> None:
    """Keeps the certificate of the authority that signs for a copy as a file to trust."""
    text = outputs.get("rootCertificate")
    if text and not (AUTHORITY_FILE.exists() and AUTHORITY_FILE.read_text() == text):
        AUTHORITY_FILE.write_text(text)
        AUTHORITY_FILE.chmod(0o644)


def opening_words(outputs: Mapping[str, Any], file: Path = AUTHORITY_FILE) -> str:
    """The address to open, and how a browser is told once to trust the certificates of copies.

    Arguments: `outputs`, the copy's; `file`, the certificate.
    """
    ways = "\n".join(
        f"  {where}:\n" + "\n".join(f"    {line}" for line in lines) for where, lines in trust(file).items()
    )
    return (
        f"{outputs['url']}\n\n{_way(outputs)}"
        "To trust the certificates of all copies, once (the authority can sign only for names below "
        f".localhost and .test):\n{ways}"
    )


def _way(outputs: Mapping[str, Any]) -> str:
    """How a browser on this machine gets to a copy on another Docker host; empty where it just does."""
    line = forward_line(outputs)
    return (
        f"While this runs, typed in the project's folder (the copy is on another Docker host):\n  {line}\n\n"
        if line
        else ""
    )


def forward_line(outputs: Mapping[str, Any]) -> str | None:
    """The line that leads a port of this machine to the edge of a copy's Docker host.

    None for a copy that is reached without: on this machine, or behind an edge that listens for others.
    """
    host, listen = outputs.get("dockerHost"), outputs.get("edge")
    if not host or (listen and not str(listen).startswith("127.")):
        return None
    from components.docker_host import SSH_OPTIONS

    way = listen or f"127.0.0.1:443:{outputs['address']}:443"
    forward = f"{way}:{way}" if listen else way
    user, _, where = str(host).removeprefix("ssh://").partition("@")
    name, _, port = where.partition(":")
    return " ".join(["ssh -N", *SSH_OPTIONS, "-L", forward, "-p", port or "22", f"{user}@{name}"])


def trust(file: Path) -> dict[str, list[str]]:
    """The lines to type on each system, by whom they are for.

    NSS's shared database is Chromium's on Linux:
    https://chromium.googlesource.com/chromium/src/+/main/docs/linux/cert_management.md
    """
    add = f"-A -t C,, -n '{NICKNAME}' -i {file}"
    return {
        "Linux, Chrome and Chromium (certutil is in the package libnss3-tools)": [
            'mkdir -p "$HOME/.pki/nssdb"',
            f'certutil -d sql:"$HOME/.pki/nssdb" {add}',
        ],
        "Linux, Firefox, after it was closed": [
            f'for found in ~/.mozilla/firefox/*/cert9.db; do certutil -d sql:"${{found%/*}}" {add}; done',
        ],
        "Linux, curl and what else uses the system's store": [
            f"sudo cp {file} /usr/local/share/ca-certificates/ && sudo update-ca-certificates",
        ],
        "macOS": [
            f"sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {file}",
        ],
        "Windows, as administrator": [f'certutil -addstore Root "{file}"'],
    }

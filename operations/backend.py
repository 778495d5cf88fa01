"""Where the states are kept: what the environment says, else Pulumi.yaml, else `.itqan/state`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from .errors import ConfigurationError
from .paths import ROOT, STATE

VARIABLE = "PULUMI_BACKEND_URL"
PROJECT = ROOT / "Pulumi.yaml"
# Without the attributes that gocloud.dev's fileblob would keep beside each file: they are written in place,
# and a program that reads its own stack's outputs then would find none ("failed to load checkpoint: EOF").
OWN_BACKEND = f"{STATE.as_uri()}?metadata=skip"
# https://www.pulumi.com/docs/iac/concepts/state-and-backends/
SCHEMES = ("file", "s3", "gs", "azblob", "postgres", "https", "http")
ALLOWED = (
    "file:///FOLDER, s3://BUCKET, gs://BUCKET, azblob://CONTAINER, postgres://USER@HOST/DATABASE, "
    "https://api.pulumi.com (docs/backends.md)"
)


def chosen_backend(environment: Mapping[str, str], project: Path = PROJECT) -> str | None:
    """The backend that the environment or the project names; None: neither does, and it is `.itqan/state`.

    Raises ConfigurationError for an address that no backend has.
    """
    if url := environment.get(VARIABLE):
        return _checked(url, VARIABLE)
    if url := _of_project(project):
        return _checked(url, f"{project.name}: backend.url")
    return None


def place_of(url: str) -> str:
    """A backend's address without what says how a folder is used."""
    return url.partition("?")[0] if url.startswith("file:") else url


def _of_project(project: Path) -> str | None:
    text = project.read_text()
    if "backend" not in text:
        return None
    import yaml  # only who has written something there pays for it

    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{project.name}: not valid YAML: {' '.join(str(error).split())}") from None
    backend = document.get("backend") if isinstance(document, dict) else None
    if backend is None:
        return None
    url = backend.get("url") if isinstance(backend, dict) else backend
    if not isinstance(url, str) or not isinstance(backend, dict):
        raise ConfigurationError(f"{project.name}: backend: {backend!r}: allowed: url: and one of {ALLOWED}")
    return url


def _checked(url: str, where: str) -> str:
    if urlsplit(url).scheme not in SCHEMES:
        # a password may stand in it
        raise ConfigurationError(f"{where}: {url.partition(':')[0]}:…: allowed: {ALLOWED}")
    return url

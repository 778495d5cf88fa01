"""The folder `deployment` of the application, for whoever deploys by hand: section "Directory Structure"."""

from __future__ import annotations

import shlex

from settings import Settings

from .render import managed, text
from .supervisor import templates
from .unit import Unit, call, digest, file_unit, lines

FOLDER = "deployment"
SCRIPT = f"{FOLDER}/deploy.sh"
REF = "/etc/itqan/release.ref"


def files(settings: Settings) -> dict[str, str]:
    """The texts of deploy.sh and of the templates for Supervisor, by their path in the application."""
    programs = {f"{FOLDER}/supervisor/{name}": content for name, content in templates(settings).items()}
    return {SCRIPT: text("deployment/deploy.sh"), **programs}


def units(settings: Settings) -> list[Unit]:
    """What a deployment by hand needs on the host."""
    return [_ref(settings), _folder(settings)]


def tracked_probe(settings: Settings) -> str:
    """Which of the files the repository tracks, and in another form than that of any hardening.

    One repository serves stacks of both: what a host of this stack has is not asked here.
    """
    kinds = [settings.model_copy(update={"hardening": kind}) for kind in ("documented", "strict")]
    pairs = dict.fromkeys(pair for kind in kinds for pair in _digests(kind))
    return call("probe_tracked_deployment", settings.application.path, *pairs)


def _ref(settings: Settings) -> Unit:
    """What deploy.sh follows. No part of the tool's settings: a release of another ref begins without it."""
    head = f"# {managed('components/deployment.py')}\n"
    values = {"REF": settings.release.ref, "STACK": settings.stack}
    assignments = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    return file_unit("release/ref", REF, head + assignments)


def _folder(settings: Settings) -> Unit:
    """The files where git does not track them; those of the application's own repository are its own.

    To write over these would be a local change, which the next release refuses.
    """
    root, row = settings.application.path, settings.permissions.application
    place = [
        f"{call('place_deployment', root, path, row.owner, row.mode)} <<'END'\n{content}END"
        for path, content in files(settings).items()
    ]
    return Unit(
        name="release/deployment",
        probe=call("probe_deployment", root, *_digests(settings)),
        expect="deployment as rendered",
        apply=lines(*place),
    )


def _digests(settings: Settings) -> list[str]:
    """Each file with the digest of its text, PATH=DIGEST."""
    return [f"{path}={digest(content).removeprefix('sha256:')}" for path, content in files(settings).items()]

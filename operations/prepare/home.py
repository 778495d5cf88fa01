"""`.itqan/`: the engine's home, state and passphrase, unless the user's environment names them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from ..backend import OWN_BACKEND, VARIABLE, chosen_backend
from ..paths import HOME, STATE

OWN_PULUMI_HOME = HOME / "pulumi"
# The engine records every message to and from its plugins: megabytes and 0.2 s of computing per run, with no
# option against it. It goes without when it cannot make the folder.
NO_LOGS = "This file stands in for a folder, so that the engine keeps no logs (operations/prepare/home.py).\n"


def engine_environment(current: Mapping[str, str]) -> dict[str, str]:
    """The variables that the engine needs beyond `current`, without touching the disk.

    What the user's environment already says of the backend, the passphrase and Pulumi's home stays; a backend
    in Pulumi.yaml counts where the environment names none. Raises ConfigurationError for one that cannot be.
    """
    variables = {
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # Plugins are prepared here, from where this machine can have them.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }
    if "PULUMI_HOME" not in current:
        variables["PULUMI_HOME"] = str(OWN_PULUMI_HOME)
    named = chosen_backend(current)
    if VARIABLE not in current:
        # for Pulumi.yaml's too, as the variable goes before what `pulumi login` has stored
        variables[VARIABLE] = named or OWN_BACKEND
    if named is None:
        # The history keeps every state, and a backup would be one more each. Not compressed: the engine looks
        # for a compressed state in the folder's list, and where a file goes meanwhile (another state is
        # written) it takes the stack for unknown (diyBackend.stackPath, pkg/backend/diy/state.go).
        variables["PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS"] = "true"
    if not {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & set(current):
        variables["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(HOME / "passphrase")
    return variables


def make_home(environment: Mapping[str, str]) -> None:
    """Makes the folders and the passphrase that `environment` names inside `.itqan/`; what exists stays."""
    for folder in (HOME, OWN_PULUMI_HOME, STATE):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_once(OWN_PULUMI_HOME / "logs", NO_LOGS)
    passphrase = HOME / "passphrase"
    if environment.get("PULUMI_CONFIG_PASSPHRASE_FILE") == str(passphrase):
        _write_once(passphrase, secrets.token_urlsafe(32))


def _write_once(path: Path, text: str) -> None:
    """Writes a file that only its owner may read, unless it exists."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)

"""Secrets that all copies of a project share, such as the test authority's: kept with the stack `staging`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .engine import Engine
from .paths import own_file
from .steps import Steps
from .waiting import one_at_a_time


def shared_authority(base: str, stack: str, engine: Engine, steps: Steps) -> str:
    """The key, from the file of the stack `base`; made there if it has none. PEM text. As `shared_secret`."""
    from settings import AUTHORITY

    return shared_secret(AUTHORITY, "the test authority of all copies", base, stack, engine, steps)


def shared_secret(secret: str, what: str, base: str, stack: str, engine: Engine, steps: Steps) -> str:
    """A secret of the file of the stack `base`; made there if it has none.

    Arguments: `what`, the secret in words; `stack`, one that has a state already, as the engine reads a
    configuration for a stack only.
    Raises EngineError when the file cannot be decrypted.
    """
    from settings import SECRETS

    file = own_file(base)
    options = ["--config-file", str(file), "--stack", stack]
    # two runs that both make the key would each know another one
    with one_at_a_time("base", steps, f"another run completes {file.name}"):
        found = _plain(json.loads(engine.call("config", "--json", "--show-secrets", *options)))
        if value := found.get(secret):
            return str(value)
        make = SECRETS[secret].generate
        assert make is not None
        made = make()
        with steps.step("authority", f"Making {what}, encrypted in {file.name}"):
            engine.call("config", "set", "--secret", "--raw", *options, f"itqan:{secret}", stdin=made)
        return made


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as `pulumi config --json` shows it, the bundle of secrets as single values."""
    from settings import BUNDLE

    values = {name.removeprefix("itqan:"): entry.get("value") for name, entry in config.items()}
    return {**json.loads(values.pop(BUNDLE, None) or "{}"), **values}

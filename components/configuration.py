"""Settings of the stack that runs, from the engine's configuration."""

from __future__ import annotations

from pathlib import Path

import pulumi
from pulumi.runtime import config as engine_config

from settings import NAMESPACE, Settings, SettingsError, load

ROOT = Path(__file__).resolve().parent.parent


def stack_settings() -> Settings:
    """The validated settings of this stack.

    Raises pulumi.RunError with every mistake, one line each; nothing was touched by then.
    """
    prefix = f"{NAMESPACE}:"
    values = {**engine_config.get_config_env(), **engine_config.CONFIG.get()}
    own = {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}
    stack = pulumi.get_stack()
    try:
        return load(stack, own, ROOT)
    except SettingsError as error:
        raise pulumi.RunError(f"the configuration of stack {stack} is not usable:\n{error}") from None

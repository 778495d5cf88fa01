"""Everything the server's document says, as one typed model read from Pulumi's configuration."""

from .loading import SettingsError, load, merged_config, problems_at, stack_file_config
from .model import Settings
from .parts import OwnerMode, Program
from .rules import NAMESPACE, at, laid
from .secrets import BUNDLE, SECRET_VARIABLES, SECRETS, VARIABLES, Secret, missing_secrets

__all__ = [
    "BUNDLE",
    "NAMESPACE",
    "SECRETS",
    "SECRET_VARIABLES",
    "VARIABLES",
    "OwnerMode",
    "Program",
    "Secret",
    "Settings",
    "SettingsError",
    "at",
    "laid",
    "load",
    "merged_config",
    "missing_secrets",
    "problems_at",
    "stack_file_config",
]

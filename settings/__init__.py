"""Everything the server's document says, as one typed model read from Pulumi's configuration."""

from .branches import slug, source_of, stack_of
from .loading import SettingsError, load, merged_config, problems_at, stack_file_config
from .model import Settings, usual_subnet
from .parts import OwnerMode, Program
from .rules import NAMESPACE, at, laid
from .secrets import (
    AUTHORITY,
    BRANCH_SEED,
    BUNDLE,
    OPTIONAL_VARIABLES,
    ROTATION,
    SECRET_VARIABLES,
    SECRETS,
    VARIABLES,
    Secret,
    missing_secrets,
    p256_key,
)

__all__ = [
    "AUTHORITY",
    "BRANCH_SEED",
    "BUNDLE",
    "NAMESPACE",
    "OPTIONAL_VARIABLES",
    "ROTATION",
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
    "p256_key",
    "problems_at",
    "slug",
    "source_of",
    "stack_file_config",
    "stack_of",
    "usual_subnet",
]

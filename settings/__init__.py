"""Everything the server's document says, as one typed model read from Pulumi's configuration."""

from .backup import SecondPlace, backup_folder
from .branches import slug, source_of, stack_of
from .loading import SettingsError, docker_hosts, load, merged_config, problems_at, stack_file_config
from .model import Settings, usual_subnet
from .parts import DockerHost, OwnerMode, Program
from .repositories import Address, address_of
from .rules import NAMESPACE, at, laid
from .secrets import (
    AUTHORITY,
    BACKUP_MAC,
    BRANCH_SEED,
    BUNDLE,
    DOCKER_KEY,
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
    "BACKUP_MAC",
    "BRANCH_SEED",
    "BUNDLE",
    "DOCKER_KEY",
    "NAMESPACE",
    "OPTIONAL_VARIABLES",
    "ROTATION",
    "SECRETS",
    "SECRET_VARIABLES",
    "VARIABLES",
    "Address",
    "DockerHost",
    "OwnerMode",
    "Program",
    "SecondPlace",
    "Secret",
    "Settings",
    "SettingsError",
    "address_of",
    "at",
    "backup_folder",
    "docker_hosts",
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

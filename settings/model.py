"""The whole configuration of one stack as one validated model."""

from __future__ import annotations

import hashlib
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, SecretStr

from .backup import Backup
from .fields import (
    BRANCH,
    BranchName,
    Domain,
    EnvironmentName,
    PackageName,
    PrivateKey,
    SecretValue,
    SingleLine,
    StackId,
    Surroundings,
    Token,
)
from .parts import (
    Application,
    Certificate,
    ConnectionSettings,
    Database,
    Dns,
    DockerHost,
    Nginx,
    Observer,
    OwnerMode,
    Part,
    Permissions,
    Php,
    Program,
    Redis,
    Release,
    Rotation,
    Server,
    Software,
    Staging,
)
from .rules import lies_in, signed_domains
from .secrets import OPTIONAL_VARIABLES, SECRET_VARIABLES

# Of a copy below `localhost` that says nothing else; every user may listen there.
EDGE = "127.0.0.1:8443"

# Variables of .env that other settings decide; writing them in `environment` too would be a second truth.
DERIVED_VARIABLES = (frozenset(SECRET_VARIABLES) - OPTIONAL_VARIABLES) | {
    "APP_URL",
    "APP_DOMAIN",
    "DB_CONNECTION",
    "DB_HOST",
    "DB_PORT",
    "DB_DATABASE",
    "DB_USERNAME",
    "REDIS_HOST",
    "REDIS_PORT",
    "REVERB_HOST",
}

Variables = TypeVar("Variables", bound=dict[str, Any])


def _not_derived(variables: Variables) -> Variables:
    twice = sorted(DERIVED_VARIABLES & variables.keys())
    if twice:
        raise ValueError(f"{', '.join(twice)} come from other settings and secrets; remove them here")
    return variables


def usual_subnet(stack: str) -> IPv4Network:
    """The network of a copy where nothing else is said: a /26 of 10.213.0.0/16 chosen by the stack's name."""
    number = int.from_bytes(hashlib.sha256(stack.encode()).digest()[:2], "big") % 1024
    return IPv4Network((0x0AD50000 + number * 64, 26))


class Settings(Part):
    """The whole configuration of one stack."""

    stack: str
    extends: str | None = None
    id: StackId | None = None
    branch: BranchName | None = Field(None, description=BRANCH)
    target: Literal["host", "docker"]
    platform: Literal["ubuntu-22.04", "debian-13"]
    hardening: Literal["documented", "strict"] = "documented"
    observe: bool | Literal["observer"] = Field(True, description="true, false, or observer")
    allow_destroy: bool = Field(False, description="true or false: whether a server may be destroyed")
    domain: Domain
    server: Server
    connection: ConnectionSettings | None = None
    observer: Observer | None = None
    software: Software
    further_packages: list[PackageName] = Field(
        [], description="a list of the distribution's packages that the application needs in addition"
    )
    application: Application = Application()
    environment: Annotated[dict[EnvironmentName, SingleLine], AfterValidator(_not_derived)]
    environment_secrets: Annotated[dict[EnvironmentName, SecretValue], AfterValidator(_not_derived)] = Field(
        {}, description="secret variables of .env that no other secret of the settings is"
    )
    nginx: Nginx
    php: Php
    programs: list[Program]
    scheduler: Literal["cron", "supervisor"]
    permissions: Permissions
    database: Database
    redis: Redis
    certificate: Certificate
    dns: Dns
    release: Release
    backup: Backup | None = None
    staging: Staging = Staging()
    accepted: dict[Surroundings, list[SingleLine]] = Field(
        {}, description="lists of what stands on the host beside this stack, by the names that audit shows"
    )

    ssh_private_key: PrivateKey
    observer_private_key: PrivateKey | None = None
    ssh_host_private_key: PrivateKey | None = None
    registrar_private_key: PrivateKey | None = None
    authority_private_key: PrivateKey | None = None
    tsig_secret: SecretValue | None = None
    hostinger_token: Token | None = None
    app_key: SecretValue
    previous_app_keys: SecretValue | None = None
    database_password: SecretValue
    redis_password: SecretValue | None = None
    reverb_app_id: SecretValue
    reverb_app_key: SecretValue
    reverb_app_secret: SecretValue
    mail_username: SecretValue | None = None
    mail_password: SecretValue | None = None
    livekit_api_key: SecretValue | None = None
    livekit_api_secret: SecretValue | None = None
    deploy_key: PrivateKey | None = None
    repository_token: Token | None = None
    docker_private_key: PrivateKey | None = None
    backup_private_key: PrivateKey | None = None
    backup_access_key: SecretValue | None = None
    backup_secret_key: SecretValue | None = None
    backup_mac_key: SecretValue | None = None
    rotation: Rotation | None = None
    branch_seed: SecretValue | None = None

    def secret(self, name: str) -> SecretStr | None:
        """A secret by its name in the configuration."""
        fields = type(self).model_fields.items()
        value: SecretStr | None = getattr(self, next(key for key, field in fields if field.alias == name))
        return value

    def previous(self, name: str) -> str | None:
        """The old value of a secret that is being changed, while the host still accepts it."""
        rotation = self.rotation
        if rotation is None or rotation.of != name or rotation.previous is None:
            return None
        return rotation.previous.get_secret_value()

    @property
    def is_rotating(self) -> bool:
        """Whether processes of the application have to take up a new value while the old one still works."""
        return self.rotation is not None and self.rotation.of != "ssh" and self.rotation.is_open

    @property
    def readable_app_keys(self) -> str | None:
        """APP_PREVIOUS_KEYS: keys that read and do not write; first the one that is to write next."""
        rotation, older = self.rotation, self.previous_app_keys
        pending = rotation.pending if rotation and rotation.of == "app-key" else None
        keys = [key.get_secret_value() for key in (pending, older) if key]
        return ",".join(keys) or None

    @property
    def set_command(self) -> str:
        """What to type before a key and a value; the copies of branches share a file."""
        file = "--config-file Pulumi.staging.yaml " if self.branch else ""
        return f"pulumi config set {file}--stack {self.stack}"

    @property
    def owner(self) -> str:
        """The stack as its host names it; a copy has a container of its own, so its name is enough."""
        return f"itqan/{self.stack} {self.id or 'copy'}"

    @cached_property
    def subnet(self) -> IPv4Network:
        """The network of a copy: as configured, else a /26 of 10.213.0.0/16 chosen by the stack's name."""
        if self.staging.subnet:
            return self.staging.subnet
        return usual_subnet(self.stack)

    @property
    def server_address(self) -> IPv4Address:
        """The IPv4 address of the domain: the host's, or the copy's container's."""
        return self.server.ipv4 if self.target == "host" else self.subnet[10]  # type: ignore[return-value]

    @property
    def registrar_address(self) -> IPv4Address:
        """The address of a copy's registrar container."""
        return self.subnet[5]

    @property
    def authority_domains(self) -> list[str]:
        """What the project's test authority may sign for: the same for all copies."""
        return list(signed_domains(self.staging.domain))

    @property
    def edge(self) -> str | None:
        """Where the edge of the copy's Docker host listens, ADDRESS:PORT; None: the copy is not behind one.

        Browsers and resolvers know that every name below `localhost` is this machine (RFC 6761, section 6.3).
        """
        if self.target != "docker":
            return None
        return self.staging.edge or (EDGE if lies_in(self.domain, "localhost") else None)

    @property
    def edge_port(self) -> int:
        """The port in a browser's address."""
        return int(self.edge.rpartition(":")[2]) if self.edge else 443

    @property
    def url(self) -> str:
        """The site's address as a browser takes it."""
        return f"https://{self.domain}" + (f":{self.edge_port}" if self.edge_port != 443 else "")

    @property
    def application_packages(self) -> list[str]:
        """Packages beside those of the platform, each once; `zstd` unpacks a dump."""
        unpacks = ["zstd"] if (self.staging.database or "").partition("?")[0].endswith(".zst") else []
        return list(dict.fromkeys([*self.further_packages, *unpacks]))

    @property
    def docker_host(self) -> DockerHost | None:
        """The Docker host that a copy is on; None: this machine."""
        return self.staging.chosen if self.target == "docker" else None

    @property
    def mounted_repository(self) -> str | None:
        """The folder of the Docker host that a copy's release comes from, if it comes from one."""
        repository = self.release.repository
        return repository if self.target == "docker" and repository.startswith("/") else None

    @property
    def mounted_dump(self) -> str | None:
        """The file of the Docker host that a copy's database is loaded from, if it is one of its files."""
        dump = self.staging.database
        return dump if self.target == "docker" and dump and dump.startswith("/") else None

    @property
    def zone(self) -> str:
        """The zone that holds the domain's records; the domain itself if nothing else is said."""
        return self.dns.zone or self.domain

    @property
    def name_server(self) -> IPv4Address | None:
        """Where records are asked for and updated; None: what the host's own resolver says."""
        return self.registrar_address if self.target == "docker" else self.dns.server

    @property
    def ssh_port(self) -> int:
        """Where sshd listens."""
        return self.connection.port if self.connection else 22

    @property
    def is_strict(self) -> bool:
        """Whether the host is as we recommend, and not only as documented."""
        return self.hardening == "strict"

    @property
    def is_atomic(self) -> bool:
        """Whether each release is a folder of its own, and the application's path a link to what runs."""
        return self.release.strategy == "atomic"

    @property
    def folders(self) -> str:
        """Where the releases of the strategy `atomic` are: beside the application's path, hidden."""
        parent, _, name = self.application.path.rpartition("/")
        return f"{parent}/.{name}"

    @property
    def shared_paths(self) -> list[str]:
        """What the web user writes and all releases have; caches, below `bootstrap`, are each one's own."""
        paths = self.permissions.writable.paths
        return [path for path in paths if path.partition("/")[0] != "bootstrap"]

    @property
    def environment_mode(self) -> OwnerMode:
        """Owner and mode of .env: as documented, or 640 so that only deploy and the web user read it."""
        if not self.is_strict:
            return self.permissions.environment
        return OwnerMode(owner=f"{self.server.deploy_user}:{self.server.web_user}", mode="640")

    @property
    def reverb_host(self) -> str:
        """Where Reverb listens: every address as documented, loopback when strict (only nginx asks it)."""
        return "127.0.0.1" if self.is_strict else "0.0.0.0"

"""The parts of the configuration, one model for each section of the server's document."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from .fields import (
    DOCKER_ADDRESS,
    DUMP,
    DURATION,
    AbsolutePath,
    AccountName,
    Command,
    DockerAddress,
    Domain,
    Dump,
    Duration,
    Email,
    FileName,
    GitRef,
    HeaderName,
    HeaderValue,
    HostKey,
    Hostname,
    HttpsUrl,
    IniSize,
    KeyName,
    Listener,
    LoginKey,
    Mode,
    Owner,
    Port,
    RelativePath,
    SingleLine,
    SqlName,
    Version,
    text,
)


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


class Part(BaseModel):
    """A part of the configuration; keys are written in camelCase, unknown ones are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_camel)


class Server(Part):
    """Section "Server Overview" of the document."""

    hostname: Hostname
    ipv4: IPv4Address | None = Field(None, description="an IPv4 address, such as 72.62.92.156")
    ipv6: IPv6Address | None = Field(None, description="an IPv6 address, such as 2a02:4780:41:52de::1")
    deploy_user: AccountName = "deploy"
    web_user: AccountName = "www-data"
    minimum_disk_gb: int = Field(ge=1, description="gigabytes (10^9), 1 or more")
    minimum_memory_gb: int = Field(ge=1, description="gigabytes (10^9), 1 or more")
    authorized_keys: list[SingleLine] = Field([], description="a list of public SSH keys for the deploy user")


class ConnectionSettings(Part):
    """How the host is reached; the host key is always pinned."""

    host: str = text(r"[A-Za-z0-9.:-]+", "a host name or an address")
    port: Port = 22
    user: AccountName = "deploy"
    host_key: HostKey


class Observer(Part):
    """An account whose key can look at the host, and do nothing else (docs/observer.md)."""

    key: LoginKey


class Software(Part):
    """Section "Software Stack": the versions the document names."""

    nginx: Version
    php: Version
    mysql: Version
    redis: Version
    node: Version
    npm: Version
    composer: Version


class Application(Part):
    """Section "Directory Structure"."""

    path: AbsolutePath = "/var/www/itqan-platform"
    backups: AbsolutePath = "/home/deploy/backups"


class Nginx(Part):
    """Section "Nginx Configuration"."""

    site: str = text(r"[A-Za-z0-9_-]+", "a file name of letters, digits, dashes")
    headers: dict[HeaderName, HeaderValue] = {}


class Pool(Part):
    """Section "PHP-FPM Configuration": the pool www."""

    process_manager: Literal["dynamic", "static", "ondemand"] = "dynamic"
    max_children: int = Field(ge=1, le=1000, description="1 to 1000")
    start_servers: int = Field(ge=1, description="1 or more")
    min_spare_servers: int = Field(ge=1, description="1 or more")
    max_spare_servers: int = Field(ge=1, description="1 or more")

    @model_validator(mode="after")
    def _php_fpm_accepts_it(self) -> Pool:
        """The rule php-fpm itself checks at start for pm = dynamic (fpm_conf.c)."""
        if self.process_manager != "dynamic":
            return self
        if not self.min_spare_servers <= self.start_servers <= self.max_spare_servers <= self.max_children:
            raise ValueError(
                "minSpareServers <= startServers <= maxSpareServers <= maxChildren does not hold"
            )
        return self


class Limits(Part):
    """Limits of php.ini."""

    memory_limit: IniSize
    upload_max_filesize: IniSize
    post_max_size: IniSize


class Php(Part):
    """Section "PHP-FPM Configuration"."""

    version: str = text(r"8\.4", 'the version whose packages the platforms name, in quotes: "8.4"')
    also_installed: list[Version] = []
    pool: Pool
    fpm: Limits
    cli: Limits


class Program(Part):
    """A Supervisor program: section "Background Processes"."""

    name: str = text(r"[a-z][a-z0-9-]*", "lower case letters, digits, dashes")
    file: FileName
    command: Command
    processes: int = Field(1, ge=1, le=64, description="1 to 64")
    log: RelativePath
    stop_wait_seconds: int = Field(10, ge=1, le=86400, description="seconds, 1 to 86400")


class OwnerMode(Part):
    """A row of the table "File Permissions"."""

    owner: Owner
    mode: Mode


class WritableRow(OwnerMode):
    """The rows of the table that the web user writes to."""

    paths: list[RelativePath]


class Permissions(Part):
    """Section "File Permissions"."""

    application: OwnerMode
    writable: WritableRow
    environment: OwnerMode


class Database(Part):
    """Section "Database"."""

    name: SqlName
    user: SqlName
    host: IPv4Address = Field(description="the IPv4 address that the application connects to")
    port: Port = 3306
    charset: str = text(r"[a-z0-9]+", "a character set of MySQL")


class Redis(Part):
    """Redis as the application reaches it."""

    host: IPv4Address = Field(description="an IPv4 address")
    port: Port = 6379


class Certificate(Part):
    """The wildcard certificate: section "Nginx Configuration", "SSL Certificate"."""

    lineage: str = text(r"[A-Za-z0-9.-]+", "a certbot lineage name")
    email: Email
    directory: HttpsUrl | None = Field(None, description="the ACME directory, https://…; a copy has its own")


class Rotation(Part):
    """A change of one secret that is under way (operations/rotate.py); the configuration has the new one.

    of        which secret
    previous  the old one, while the host still accepts it
    pending   the new one, while the host is only made to accept it
    """

    of: Literal["db", "app-key", "redis", "ssh"]
    previous: SecretStr | None = None
    pending: SecretStr | None = None

    @property
    def is_open(self) -> bool:
        """Whether the host has to accept two values."""
        return bool(self.previous or self.pending)


class Dns(Part):
    """The records of the domain."""

    provider: Literal["manual", "rfc2136", "hostinger"]
    zone: Domain | None = Field(None, description="the zone as its provider keeps it, such as itqanway.com")
    server: IPv4Address | None = Field(
        None, description="IPv4 address of the zone's primary (rfc2136), or who knows its name servers"
    )
    key_name: KeyName | None = Field(None, description="name of the TSIG key (rfc2136)")
    conference: IPv4Address | Literal["external"] = Field(description="an IPv4 address, or external")
    ttl: int = Field(60, ge=1, le=86400, description="seconds, 1 to 86400")
    api: HttpsUrl = Field(
        "https://developers.hostinger.com", description="the address of Hostinger's API, https://…"
    )
    wait: int = Field(600, ge=0, le=3600, description="seconds, 0 to 3600")


class Release(Part):
    """What is deployed: section "Deployment Procedures"."""

    repository: str = text(
        r"sample|https://\S+|ssh://\S+|[\w.-]+@[\w.-]+:\S+|/[\w./-]+",
        "`sample`, or a git URL (https://…, ssh://…, git@host:path, /path on the host)",
    )
    ref: GitRef = "main"
    known_hosts: list[SingleLine] = Field([], description="lines of ssh-keyscan for the repository's host")
    keep_backups: int = Field(10, ge=1, le=1000, description="1 to 1000")
    token_user: str = text(
        r"[A-Za-z0-9._+@-]+", "the user name that belongs to itqan:repositoryToken", "x-access-token"
    )
    strategy: Literal["in-place", "atomic"] = Field("in-place", description="in-place or atomic")
    keep_releases: int = Field(3, ge=1, le=100, description="1 to 100: of atomic, beside the one that runs")

    @field_validator("repository", mode="before")
    @classmethod
    def _no_token_in_it(cls, repository: object) -> object:
        """A URL stands in plain in configuration, state, messages, and in git's own files on the host."""
        if re.match(r"https?://[^/]*@|ssh://[^/@]*:[^/@]*@", str(repository)):
            raise ValueError(
                "(a URL with a password or token in it): allowed: the URL without it; the token was in plain "
                "sight, so revoke it, and store a new one as a secret: "
                "pulumi config set --secret itqan:repositoryToken (or git@host:owner/name.git and a key)"
            )
        return repository


SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


DOCKER_HOSTS = f'a list of {{address: {DOCKER_ADDRESS}, hostKey: "ssh-ed25519 …"}}, one for each Docker host'


class DockerHost(Part):
    """A Docker host that is reached over SSH (docs/hosts.md); the host key is always pinned."""

    address: DockerAddress
    host_key: HostKey

    @property
    def user(self) -> str:
        """Who logs in."""
        return self.address.removeprefix("ssh://").partition("@")[0]

    @property
    def name(self) -> str:
        """The host's name or address."""
        return self.address.rpartition("@")[2].partition(":")[0]

    @property
    def port(self) -> int:
        """Where sshd listens."""
        return int(self.address.rpartition("@")[2].partition(":")[2] or 22)


class Staging(Part):
    """A copy on Docker."""

    image: Annotated[str, text(r"[A-Za-z0-9][\w./:-]*", "a Docker image")] = "ubuntu:22.04"
    registrar_image: Annotated[str, text(r"[A-Za-z0-9][\w./:-]*", "a Docker image")] = "debian:13-slim"
    subnet: IPv4Network | None = Field(None, description="a free IPv4 network of Docker's, /24 to /28")
    edge: Listener | None = None
    backend: str | None = text(
        r"[0-9a-f]{12}", "a digest of the backend that has the state of a branch's copy", None
    )
    domain: Domain = "itqan.localhost"
    ttl: Duration | None = Field(None, description=DURATION)
    seed: bool = Field(True, description="true or false: whether a new database gets the application's seeds")
    database: Dump | None = Field(None, description=DUMP)
    docker: list[DockerHost] = Field([], description=DOCKER_HOSTS)
    docker_host: DockerAddress | None = Field(None, description=DOCKER_ADDRESS)
    docker_cgroups: Literal[1, 2] | None = Field(None, description="1 or 2: the cgroups of the Docker host")

    @property
    def ttl_seconds(self) -> float | None:
        """How old the copy of a branch may get; None: as old as its branch."""
        return None if self.ttl is None else float(self.ttl[:-1]) * SECONDS[self.ttl[-1]]

    @field_validator("docker")
    @classmethod
    def _each_once(cls, hosts: list[DockerHost]) -> list[DockerHost]:
        addresses = [host.address for host in hosts]
        if twice := sorted({address for address in addresses if addresses.count(address) > 1}):
            raise ValueError(f"{', '.join(twice)} stands twice; each Docker host once")
        return hosts

    @property
    def chosen(self) -> DockerHost | None:
        """The Docker host that the copy is on; None: this machine."""
        return next((host for host in self.docker if host.address == self.docker_host), None)

    @model_validator(mode="after")
    def _subnet_has_room(self) -> Staging:
        if self.subnet and not 24 <= self.subnet.prefixlen <= 28:
            raise ValueError(f"subnet {self.subnet} is not a /24 to /28")
        return self

"""Rules between parts of the configuration, checked on plain data so that they report beside wrong values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .repositories import address_of
from .secrets import BACKUP_MAC, OPTIONAL_VARIABLES, SECRET_VARIABLES

NAMESPACE = "itqan"
# Top-level domains that are nobody's (RFC 6761): what a test authority may sign for.
TEST_DOMAINS = ("localhost", "test")


def broken_rules(config: Mapping[str, Any]) -> list[str]:
    """One line for each rule between keys that the merged configuration breaks."""
    return [
        *_program_rules(config),
        *_variable_rules(config),
        *_redis_rules(config),
        *_host_rules(config),
        *_rfc2136_rules(config),
        *_zone_rules(config),
        *_observer_rules(config),
        *_authority_rules(config),
        *_docker_rules(config),
        *_repository_rules(config),
        *_backup_rules(config),
    ]


def _variable_rules(config: Mapping[str, Any]) -> list[str]:
    """A variable of .env is plain or secret."""
    plain, secret = (config.get(key) or {} for key in ("environment", "environmentSecrets"))
    return [
        _line(f"environment.{name}", "is one of itqan:environmentSecrets too; keep one of the two")
        for name in sorted(set(plain) & set(secret))
    ] + [
        _line(f"environmentSecrets.{variable}", f"is the secret itqan:{name} too; keep that one")
        for variable in sorted(OPTIONAL_VARIABLES & set(secret))
        if config.get(name := SECRET_VARIABLES[variable])
    ]


def _redis_rules(config: Mapping[str, Any]) -> list[str]:
    """The password of the settings is that of Redis' own account `default`."""
    account = at(config, "environment.REDIS_USERNAME")
    if not config.get("redisPassword") or account in (None, "default"):
        return []
    advice = "the password of another one goes into itqan:environmentSecrets, as REDIS_PASSWORD"
    return [
        _line("environment.REDIS_USERNAME", f"{account}: itqan:redisPassword is that of `default`; {advice}")
    ]


def _program_rules(config: Mapping[str, Any]) -> list[str]:
    """Names and files are unique; the scheduler runs once (the document has cron *and* a program for it)."""
    programs = [p for p in _list(config.get("programs")) if isinstance(p, dict)]
    problems = []
    for what in ("name", "file"):
        values = [str(p[what]) for p in programs if what in p]
        twice = sorted({value for value in values if values.count(value) > 1})
        problems += [
            _line("programs", f"{what} {value} stands twice; each program needs its own") for value in twice
        ]
    schedulers = [p.get("name") for p in programs if "schedule:" in str(p.get("command"))]
    scheduler = config.get("scheduler")
    return problems + [
        _line(
            "scheduler",
            f"{scheduler}, while program {name} runs it too, every task twice; keep one of the two",
        )
        for name in schedulers
    ]


def _host_rules(config: Mapping[str, Any]) -> list[str]:
    """A real server needs its address, a pinned connection, an ACME directory and a release of its own."""
    if config.get("target") != "host":
        return []
    needed = {
        "id": "any word that tells this stack from others of its name: the host will carry it",
        "connection": "host, port, user and hostKey of the server",
        "server.ipv4": "the IPv4 address that the domain's records point to",
        "certificate.directory": "the ACME directory; Let's Encrypt's stands in Pulumi.prod.yaml",
    }
    problems = [
        _line(path, f"missing; allowed: {what}") for path, what in needed.items() if not at(config, path)
    ]
    if at(config, "staging.database"):
        problems.append(_line("staging.database", "a dump is for copies; a server's database is not loaded"))
    if at(config, "release.repository") == "sample" and at(config, "environment.APP_ENV") == "production":
        problems.append(
            _line("release.repository", "sample: would replace the application of a production server")
        )
    return problems


def _rfc2136_rules(config: Mapping[str, Any]) -> list[str]:
    """Dynamic updates need a primary, a key's name and its secret (RFC 2136, RFC 8945)."""
    if config.get("target") != "host" or at(config, "dns.provider") != "rfc2136":
        return []
    needed = {"dns.server": "the zone's primary", "dns.keyName": "the TSIG key's name"}
    problems = [
        _line(path, f"missing; allowed: {what}") for path, what in needed.items() if not at(config, path)
    ]
    if not config.get("tsigSecret"):
        problems.append(f"pulumi config set --secret {NAMESPACE}:tsigSecret    # provider rfc2136 needs it")
    return problems


def _zone_rules(config: Mapping[str, Any]) -> list[str]:
    """The API needs a token; the domain lies in its zone."""
    problems = []
    if at(config, "dns.provider") == "hostinger" and not config.get("hostingerToken"):
        problems.append(
            f"pulumi config set --secret {NAMESPACE}:hostingerToken    # provider hostinger needs it, "
            "from hpanel.hostinger.com/profile/api"
        )
    domain, zone = config.get("domain"), at(config, "dns.zone")
    if zone and domain != zone and not lies_in(str(domain), str(zone)):
        problems.append(_line("dns.zone", f"{zone!r}: allowed: {domain}, or a zone that it lies in"))
    return problems


def _observer_rules(config: Mapping[str, Any]) -> list[str]:
    """Who looks as the observer needs the account on the host, and its key."""
    if config.get("observe") != "observer":
        return []
    problems = []
    if not at(config, "observer.key"):
        problems.append(_line("observe", "observer: needs itqan:observer.key, the observer's public key"))
    if not config.get("observerPrivateKey"):
        problems.append(
            f"pulumi config set --secret {NAMESPACE}:observerPrivateKey    # itqan:observe is observer"
        )
    return problems


def _authority_rules(config: Mapping[str, Any]) -> list[str]:
    """A copy's certificate comes from the project's test authority, which may not sign for everything."""
    domain = config.get("domain")
    if config.get("target") != "docker" or at(config, "certificate.directory") or not isinstance(domain, str):
        return []
    allowed = signed_domains(at(config, "staging.domain"))
    if any(lies_in(domain, test) for test in allowed):
        return []
    return [_line("domain", f"{domain!r}: allowed for a copy: {', '.join(allowed)}, or a name below them")]


def _docker_rules(config: Mapping[str, Any]) -> list[str]:
    """A copy is on one of the Docker hosts that the settings name, and there is a key that logs in."""
    chosen = at(config, "staging.dockerHost")
    if config.get("target") != "docker" or not chosen:
        return []
    known = [host.get("address") for host in _list(at(config, "staging.docker")) if isinstance(host, dict)]
    problems = []
    if chosen not in known:
        problems.append(
            _line("staging.dockerHost", f"{chosen}: the copy is there, and itqan:staging.docker names it not")
        )
    if not config.get("dockerPrivateKey"):
        problems.append(
            f"pulumi config set --secret {NAMESPACE}:dockerPrivateKey    # logs in on {chosen}; "
            "or let ./itqan branch up make one"
        )
    return problems


def _repository_rules(config: Mapping[str, Any]) -> list[str]:
    """A git server is known before it is asked; a token is for HTTPS, a key for SSH."""
    repository = at(config, "release.repository")
    if not isinstance(repository, str):
        return []
    problems, address = [], address_of(repository)
    if address.way == "ssh" and not at(config, "release.knownHosts"):
        name = address.known_name
        problems.append(
            _line(
                "release.knownHosts",
                f"missing; allowed: the host keys of {address.server}, such as `{name} ssh-ed25519 AAAA…`; "
                f"{address.host_keys}; then: pulumi config set --path '{NAMESPACE}:release.knownHosts[0]' "
                f"'{name} ssh-ed25519 AAAA…'",
            )
        )
    if config.get("repositoryToken") and address.way != "https":
        problems.append(
            f"{NAMESPACE}:repositoryToken: is for a repository at https://…, and {repository} is none; "
            f"take it away: pulumi config rm {NAMESPACE}:repositoryToken"
        )
    return problems


def _backup_rules(config: Mapping[str, Any]) -> list[str]:
    """A second place needs what lets this stack in there, and what its backups are known by."""
    mac = {BACKUP_MAC: '"$(openssl rand -hex 32)"    # what its backups are known by'}
    needed = {
        "sftp": {"backupPrivateKey": "<FILE    # private SSH key that logs in there", **mac},
        "s3": {"backupAccessKey": "# access key of the store", "backupSecretKey": "# its secret key", **mac},
    }
    kind = at(config, "backup.second.type")
    return [
        f"pulumi config set --secret {NAMESPACE}:{name} {advice}"
        for name, advice in needed.get(str(kind), {}).items()
        if not config.get(name)
    ]


def signed_domains(branches: str | None) -> tuple[str, ...]:
    """What the test authority may sign for: names that are nobody's, and those of the copies of branches."""
    if not branches or any(lies_in(branches, test) for test in TEST_DOMAINS):
        return TEST_DOMAINS
    return (*TEST_DOMAINS, branches)


def lies_in(domain: str, parent: str) -> bool:
    """Whether a domain is another one or below it."""
    return f".{domain}".endswith(f".{parent}")


def _line(path: str, text: str) -> str:
    return f"{NAMESPACE}:{path}: {text}"


def at(config: Mapping[str, Any], path: str) -> Any:
    """What a configuration has at a dotted path; None where it has nothing."""
    value: Any = config
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def laid(config: Mapping[str, Any], path: str, value: object) -> dict[str, Any]:
    """A configuration with a value at a dotted path."""
    key, _, rest = path.partition(".")
    inner = config.get(key)
    below = laid(inner if isinstance(inner, Mapping) else {}, rest, value) if rest else value
    return {**config, key: below}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []

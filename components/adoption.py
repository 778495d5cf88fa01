"""What is looked at on a server that already runs, before a stack adopts it; not units of the stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .certificates import CREDENTIALS as TSIG_FILE
from .unit import Unit, call, lines

OWNER, ENVIRONMENT, CREDENTIALS, FACTS, GIT_KEY, KNOWN_HOSTS = (
    "adopt/owner",
    "adopt/environment",
    "adopt/credentials",
    "adopt/facts",
    "adopt/git-key",
    "adopt/known-hosts",
)
# Where certbot-dns-hostinger's credentials stand when no lineage names another file.
TOKEN_FILE = "/etc/letsencrypt/hostinger.ini"
# Keys of the configuration by directive of PHP.
LIMITS = {
    "memory_limit": "memoryLimit",
    "upload_max_filesize": "uploadMaxFilesize",
    "post_max_size": "postMaxSize",
}
# Keys of the configuration by directive of PHP-FPM's pool.
POOL = {
    "pm": "processManager",
    "pm.max_children": "maxChildren",
    "pm.start_servers": "startServers",
    "pm.min_spare_servers": "minSpareServers",
    "pm.max_spare_servers": "maxSpareServers",
}


def looks(config: Mapping[str, Any]) -> list[Unit]:
    """What a host says of itself, `config` being a merged configuration that may still lack its secrets.

    Environment and git's key come as base64; credentials and facts as lines `key=value`.
    """
    root, version = config["application"]["path"], config["php"]["version"]
    lineage = config["certificate"]["lineage"]
    probes = {
        OWNER: "probe_owner",
        ENVIRONMENT: f"{call('base64', '-w0', f'{root}/.env')} || true",
        CREDENTIALS: lines(
            call("probe_plugin", lineage, "rfc2136", TSIG_FILE, "secret=tsigSecret"),
            call("probe_plugin", lineage, "hostinger", TOKEN_FILE, "api_token=hostingerToken"),
        ),
        FACTS: lines(
            "printf 'server.hostname=%s\\n' \"$(hostname)\"",
            call("probe_git_facts", root),
            call("probe_authenticator", lineage),
            call("probe_plugin", lineage, "rfc2136", TSIG_FILE, "server=dns.server", "name=dns.keyName"),
            call("probe_pool", f"php-fpm{version}", *(f"{k}=php.pool.{v}" for k, v in POOL.items())),
            call("probe_limits", f"php-fpm{version}", *(f"{k}=php.fpm.{v}" for k, v in LIMITS.items())),
            call("probe_limits", f"php{version}", *(f"{k}=php.cli.{v}" for k, v in LIMITS.items())),
        ),
        GIT_KEY: call("probe_git_key", root),
        KNOWN_HOSTS: call("probe_git_hosts", root),
    }
    return [Unit(name, probe, expect="", apply="") for name, probe in probes.items()]

"""What the archives hold: names, versions and relations as in Ubuntu 22.04, ppa:ondrej/php and NodeSource."""

from __future__ import annotations

from dataclasses import dataclass

UBUNTU = "archive.ubuntu.com/ubuntu"
PHP = "ppa.launchpadcontent.net/ondrej/php/ubuntu"
NODE = "deb.nodesource.com/node_20.x"

NGINX, NEWER_NGINX = "1.18.0-6ubuntu14.6", "1.18.0-6ubuntu14.7"
FOREIGN_NGINX = "1.26.3-1"
MYSQL, NEWER_MYSQL = "8.0.44-0ubuntu0.22.04.1", "8.0.45-0ubuntu0.22.04.1"
REDIS, FOREIGN_REDIS = "5:6.0.16-1ubuntu1.1", "5:7.4.1-1"
SUPERVISOR, NEWER_SUPERVISOR = "4.2.1-1ubuntu1", "4.2.1-1ubuntu1.1"
EXTENSIONS = ("opcache", "mysql", "mbstring", "xml", "curl", "zip", "intl", "bcmath", "gd")


@dataclass(frozen=True)
class Deb:
    """A package: its version, its source where that has another name, its relations, its files."""

    name: str
    version: str
    source: str = ""
    depends: str = ""
    more: str = ""  # further lines of its control file
    files: tuple[tuple[str, str], ...] = ()
    postinst: str = ""

    @property
    def file(self) -> str:
        """The name of its file; archives leave the epoch out."""
        return f"{self.name}_{self.version.partition(':')[2] or self.version}_all.deb"

    @property
    def control(self) -> str:
        """Its control file."""
        fields = {
            "Package": self.name,
            "Source": self.source,
            "Version": self.version,
            "Architecture": "all",
            "Maintainer": "Archive of the tests <archive@itqan.test>",
            "Depends": self.depends,
            "Description": f"stand-in for {self.name}",
        }
        return "".join(f"{key}: {value}\n" for key, value in fields.items() if value) + self.more


def nginx(version: str) -> list[Deb]:
    """The family of nginx in Ubuntu 22.04."""
    either = f"nginx-core (<< {version}.1~) | nginx-full (<< {version}.1~)"
    return [
        Deb("nginx", version, depends=f"{either}, nginx-core (>= {version}) | nginx-full (>= {version})"),
        Deb(
            "nginx-core",
            version,
            "nginx",
            f"libnginx-mod-http-geoip2 (= {version}), nginx-common (= {version})",
        ),
        Deb("nginx-full", version, "nginx", f"nginx-common (= {version})"),
        Deb("nginx-common", version, "nginx"),
        Deb("libnginx-mod-http-geoip2", version, "nginx", f"nginx-common (= {version})"),
    ]


def mysql(version: str) -> list[Deb]:
    """The family of MySQL 8.0 in Ubuntu 22.04."""
    source = "mysql-8.0"
    return [
        Deb("mysql-server", version, source, "mysql-server-8.0"),
        Deb(
            "mysql-server-8.0",
            version,
            source,
            f"mysql-client-8.0 (>= {version}), mysql-server-core-8.0 (= {version})",
        ),
        Deb("mysql-client-8.0", version, source, f"mysql-client-core-8.0 (= {version})"),
        Deb("mysql-server-core-8.0", version, source),
        Deb("mysql-client-core-8.0", version, source),
    ]


def redis(version: str) -> list[Deb]:
    """Redis as Ubuntu splits it."""
    return [
        Deb("redis-server", version, "redis", f"redis-tools (= {version})"),
        Deb("redis-tools", version, "redis"),
    ]


def sury(version: str) -> str:
    """A version as ppa:ondrej/php names its builds for Ubuntu 22.04."""
    return f"{version}-1+ubuntu22.04.1+deb.sury.org+1"


def php(upstream: str) -> list[Deb]:
    """One PHP of ppa:ondrej/php: every package depends on php*-common of the very build."""
    name, version = f"php{upstream.rpartition('.')[0]}", sury(upstream)
    common = f"{name}-common (= {version})"
    needs_cli = f"{common}, {name}-cli (= {version}), {name}-opcache (= {version})"
    return [
        Deb(f"{name}-common", version, name),
        Deb(f"{name}-cli", version, name, f"{common}, {name}-opcache (= {version})"),
        Deb(f"{name}-fpm", version, name, needs_cli),
        *(Deb(f"{name}-{extension}", version, name, common) for extension in EXTENSIONS),
    ]


def node(upstream: str, npm: str) -> Deb:
    """NodeSource's package: Node.js and its npm."""
    return Deb(
        "nodejs",
        f"{upstream}-1nodesource1",
        more="Provides: nodejs-dev, nodejs-legacy, npm\nConflicts: nodejs-dev, nodejs-legacy, npm\n",
        files=(
            ("usr/lib/node_modules/npm/package.json", f'{{\n  "version": "{npm}",\n  "name": "npm"\n}}\n'),
        ),
    )


OTHERS = {
    "supervisor": SUPERVISOR,
    "certbot": "1.21.0-1build1",
    "python3-certbot-dns-rfc2136": "1.21.0-1",
    "cron": "3.0pl1-137ubuntu3",
    "logrotate": "3.19.0-1ubuntu1.1",
    "git": "1:2.34.1-1ubuntu1.15",
    "unzip": "6.0-26ubuntu3.2",
    "bind9-dnsutils": "1:9.18.39-0ubuntu0.22.04.2",
    "procps": "2:3.3.17-6ubuntu2.1",
    "npm": "8.5.1~ds-1",
    "nodejs": "12.22.9~dfsg-1ubuntu3.6",
}
# What Ubuntu and the two sources had in the document's days.
DOCUMENTED = {
    UBUNTU: [
        *nginx(NGINX),
        *mysql(MYSQL),
        *redis(REDIS),
        *(Deb(name, version) for name, version in OTHERS.items()),
    ],
    PHP: [
        *php("8.4.16"),
        *php("8.3.29"),
        *php("8.2.30"),
        Deb("php8.4-redis", sury("6.3.0"), "php-redis", "php8.4-common"),
    ],
    NODE: [node("20.19.6", "10.8.2")],
}
# What came since: patch levels, and versions that the document does not want.
NEWER = {
    UBUNTU: [*nginx(NEWER_NGINX), *mysql(NEWER_MYSQL), Deb("supervisor", NEWER_SUPERVISOR)],
    PHP: php("8.4.17"),
    NODE: [node("20.19.7", "10.8.2")],
}
FOREIGN = {
    UBUNTU: [
        *nginx(FOREIGN_NGINX),
        *redis(FOREIGN_REDIS),
        Deb("slow", "1", postinst="#!/bin/sh\necho begun >/slow; sleep 5\n"),
    ],
    PHP: [],
    NODE: [node("20.20.0", "10.8.2"), node("22.12.0", "10.9.0")],
}

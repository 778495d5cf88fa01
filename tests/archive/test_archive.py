"""The platform ubuntu-22.04 on archives with its packages: every command of the package units, for real."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from components.findings import Finding, findings, probes
from components.host import units as host_units
from components.observation import State
from components.platform import Platform
from components.unit import Unit
from settings import Settings

from .archive import FORMER, KEYS, STRANGER, Archive
from .conftest import Units
from .contents import (
    DOCUMENTED,
    FOREIGN,
    FOREIGN_NGINX,
    MYSQL,
    NEWER,
    NEWER_SUPERVISOR,
    NGINX,
    NODE,
    PHP,
    REDIS,
    UBUNTU,
    Deb,
    node,
    sury,
)
from .host import Host

HELD = [
    "mysql-client-8.0",
    "mysql-server-8.0",
    "nginx",
    "nodejs",
    "php8.4-cli",
    "php8.4-fpm",
    "redis-server",
]
VERSIONS = {
    "nginx": NGINX,
    "nginx-core": NGINX,
    "php8.4-fpm": sury("8.4.16"),
    "php8.3-fpm": sury("8.3.29"),
    "php8.2-fpm": sury("8.2.30"),
    "mysql-server-8.0": MYSQL,
    "redis-server": REDIS,
    "redis-tools": REDIS,
    "nodejs": "20.19.6-1nodesource1",
}
SOURCES = "/etc/apt/sources.list.d"
# What somebody installed: everything but php8.4-gd, supervisor and unzip.
BY_HAND = (
    "nginx mysql-server redis-server nodejs php8.{2,3,4}-fpm "
    "php8.4-{mysql,redis,mbstring,xml,curl,zip,intl,bcmath} "
    "certbot python3-certbot-dns-rfc2136 cron logrotate git bind9-dnsutils procps"
)
Make = Callable[..., Settings]


def with_only(part: dict[str, list[Deb]], **changes: list[Deb]) -> dict[str, list[Deb]]:
    """What the archives have, one of them (`php`, `node`, `ubuntu`) with something else."""
    paths = {"php": PHP, "node": NODE, "ubuntu": UBUNTU}
    return {**part, **{paths[name]: debs for name, debs in changes.items()}}


def without(debs: list[Deb], *names: str) -> list[Deb]:
    return [deb for deb in debs if deb.name not in names]


def seen_by_the_audit(host: Host, settings: Settings) -> list[Finding]:
    """Findings about the software of a host, as `./itqan audit` makes them."""
    wanted = [unit for unit in probes(settings) if unit.name in ("audit/versions", "audit/withheld")]
    found = findings(settings, [State(unit, host.probe(unit)) for unit in wanted])
    return [finding for finding in found if finding.section == "Software Stack"]


def test_nothing_but_addresses_keys_and_the_digest_is_replaced(archive: Archive, ubuntu: Platform) -> None:
    ours, real = archive.stand_in(ubuntu).model_dump(), ubuntu.model_dump()
    for made, source in zip(ours["sources"], real["sources"], strict=True):
        made["uri"] = made["uri"].replace(archive.base, "https://")
        for key, documented in zip(made["keys"], source["keys"], strict=True):
            url = key["url"].replace(key["fingerprint"], documented["fingerprint"])
            key |= {"url": url.replace(archive.base, "https://"), "fingerprint": documented["fingerprint"]}
    ours["phar"]["url"] = ours["phar"]["url"].replace(archive.base, "https://")
    ours["phar"]["sha256"] = real["phar"]["sha256"]
    assert ours == real


def test_the_preflight_lets_a_bare_ubuntu_with_these_sources_pass(
    host: Host, stack: Make, ubuntu: Platform, archive: Archive
) -> None:
    settings = stack("prod", server={"minimumDiskGb": 1, "minimumMemoryGb": 1})
    made = host_units(settings, archive.stand_in(ubuntu))
    (preflight,) = (unit for unit in made if unit.name == "host/preflight")
    archive.broken.add("nodistro/InRelease")
    assert "this host cannot be what the settings describe" in host.refusal(preflight)
    archive.broken.clear()
    host.converge(preflight)


class TestSoftwareOfTheDocument:
    def test_from_nothing_then_nothing(self, host: Host, units: Units, prod: Settings) -> None:
        """Foreign versions in the same archives do not win; a second run finds nothing to do."""
        assert set(host.converge(*units().values()).values()) == {"changed"}
        assert {name: host.packages[name] for name in VERSIONS} == VERSIONS
        assert "npm" not in host.packages
        assert (host.held, host.bash("composer")) == (HELD, "Composer version 2.9.2")
        assert set(host.converge(*units().values()).values()) == {"unchanged"}
        assert seen_by_the_audit(host, prod) == []
        policy = host.bash("apt-cache policy nginx redis-tools nodejs")
        assert [f"{version} " in policy for version in (FOREIGN_NGINX, "22.12.0-1nodesource1")] == [True] * 2

    def test_the_right_npm_comes_with_node(self, ready: Host, prod: Settings) -> None:
        (versions,) = (unit for unit in probes(prod) if unit.name == "audit/versions")
        assert f"npm {prod.software.npm}" in ready.probe(versions).splitlines()

    def test_holds_survive_an_upgrade_and_the_audit_says_what_waits(
        self, ready: Host, archive: Archive, units: Units, prod: Settings
    ) -> None:
        before = ready.packages
        archive.publish(DOCUMENTED, NEWER)
        ready.bash("apt-get -q update && apt-get -q -y upgrade && apt-get -q -y dist-upgrade")
        assert dict(ready.packages.items() - before.items()) == {"supervisor": NEWER_SUPERVISOR}
        assert set(ready.converge(*units().values()).values()) == {"unchanged"}
        (finding,) = seen_by_the_audit(ready, prod)
        assert f"php8.4-fpm {sury('8.4.17')}" in finding.text and "security" in finding.text
        ready.bash(finding.line.replace("sudo ", "").replace(" install ", " install -y "))
        assert ready.packages["php8.4-fpm"] == ready.packages["php8.4-gd"] == sury("8.4.17")
        assert (ready.held, set(ready.converge(*units().values()).values())) == (HELD, {"unchanged"})
        settled = [
            f"pulumi config set --stack prod --path --type string itqan:software.{name} {version}"
            for name, version in (("mysql", "8.0.45"), ("node", "20.19.7"), ("php", "8.4.17"))
        ]
        assert [finding.line for finding in seen_by_the_audit(ready, prod)] == settled

    def test_another_version_in_the_settings_takes_its_own_hold_along(
        self, ready: Host, units: Units, stack: Make
    ) -> None:
        before = ready.packages
        ready.converge(*units(stack("prod", software={"node": "20.20.0"})).values())
        assert dict(ready.packages.items() - before.items()) == {"nodejs": "20.20.0-1nodesource1"}
        assert ready.held == HELD


class TestSources:
    def test_a_wrong_key_is_refused(self, host: Host, archive: Archive, units: Units) -> None:
        """Nothing of the source is on the host, and the entry that was there still is."""
        old = f"deb [trusted=yes] {archive.base}{NODE} nodistro main\n"
        host.bash(f"cat >{SOURCES}/old.list", stdin=old)
        archive.replaced["nodesource-repo.gpg.key"] = archive.key(STRANGER)
        said = host.refusal(units()["packages/sources"])
        assert f"has the fingerprint {archive.fingerprint(STRANGER)}, not the pinned" in said
        assert archive.fingerprint(KEYS[NODE]) in said
        assert host.bash(f"ls {SOURCES}; ls /etc/apt/keyrings") == "old.list\nondrej-php.gpg"

    def test_a_second_key_beside_the_pinned_one_is_refused(
        self, host: Host, archive: Archive, units: Units
    ) -> None:
        archive.replaced["nodesource-repo.gpg.key"] = archive.key(KEYS[NODE]) + archive.key(STRANGER)
        assert archive.fingerprint(STRANGER) in host.refusal(units()["packages/sources"])
        assert host.bash("ls /etc/apt/keyrings") == "ondrej-php.gpg"

    def test_a_key_that_cannot_be_fetched(self, host: Host, archive: Archive, units: Units) -> None:
        archive.replaced["gpgkey"] = b"<html>not here</html>"
        assert "has the fingerprint none, not the pinned" in host.refusal(units()["packages/sources"])

    def test_another_entry_for_the_same_source_goes_aside(
        self, host: Host, archive: Archive, units: Units
    ) -> None:
        """Two entries with another Signed-By stop apt altogether."""
        host.bash(
            f"cat >{SOURCES}/nodesource.list; apt-get -q update",
            stdin=f"deb [trusted=yes] {archive.base}{NODE} nodistro main\n",
        )
        host.converge(units()["packages/sources"])
        assert host.bash(f"ls {SOURCES}") == "nodesource.sources\nondrej-php.sources"
        host.bash("apt-get -q update")
        assert host.bash("ls /var/backups/itqan").startswith("nodesource.list.")

    def test_an_archive_signed_by_somebody_else_is_refused(
        self, host: Host, archive: Archive, units: Units
    ) -> None:
        archive.publish(DOCUMENTED, only=frozenset({PHP}), key=STRANGER)
        made = units()
        host.converge(made["packages/sources"], made["packages/pins"])
        before = host.packages
        assert "not signed by the pinned keys" in host.refusal(made["packages/installed"])
        assert host.packages == before

    def test_the_archives_key_from_before_is_accepted(
        self, host: Host, archive: Archive, units: Units
    ) -> None:
        archive.publish(DOCUMENTED, only=frozenset({PHP}), key=FORMER)
        host.converge(*units().values())


class TestVersionsInTheArchive:
    def test_a_vanished_patch_level_gives_way_to_the_next_one(
        self, host: Host, archive: Archive, units: Units, prod: Settings
    ) -> None:
        php = [*without(DOCUMENTED[PHP], *(deb.name for deb in NEWER[PHP])), *NEWER[PHP]]
        archive.publish(with_only(DOCUMENTED, php=php, node=NEWER[NODE]), FOREIGN)
        host.converge(*units().values())
        assert host.packages["php8.4-fpm"] == host.packages["php8.4-gd"] == sury("8.4.17")
        assert host.packages["nodejs"] == "20.19.7-1nodesource1"
        said = [finding.text.partition(",")[0] for finding in seen_by_the_audit(host, prod)]
        assert said == ["node is 20.19.7", "php is 8.4.17"]

    def test_a_vanished_minor_version_is_refused_before_anything_changes(
        self, host: Host, archive: Archive, units: Units
    ) -> None:
        ubuntu = without(DOCUMENTED[UBUNTU], "nginx", "nodejs", "certbot")
        archive.publish(
            with_only(DOCUMENTED, ubuntu=ubuntu, node=[node("22.12.0", "10.9.0")]), {UBUNTU: FOREIGN[UBUNTU]}
        )
        made = units()
        host.converge(made["packages/sources"], made["packages/pins"])
        before = host.packages
        said = host.refusal(made["packages/installed"])
        assert f"nginx: the package sources have {FOREIGN_NGINX}, the settings ask for 1.18.0." in said
        assert "nodejs: the package sources have 22.12.0-1nodesource1, the settings ask for 20.19." in said
        assert "certbot is in none of the package sources." in said
        assert (host.packages, host.held) == (before, [])


class TestAdoption:
    """A server that was installed by hand: what is there at the right minor version stays."""

    @pytest.fixture
    def adopted(self, host: Host, archive: Archive, units: Units) -> Host:
        """A server that somebody installed in the document's days."""
        archive.publish(DOCUMENTED)
        host.converge(units()["packages/sources"])
        host.bash(f"apt-get -q update && apt-get -q -y install {BY_HAND}")
        return host

    def test_only_what_is_missing_is_installed(self, adopted: Host, archive: Archive, units: Units) -> None:
        before = adopted.packages
        archive.publish(DOCUMENTED, NEWER, FOREIGN)
        adopted.converge(*units().values())
        added = {"php8.4-gd": sury("8.4.16"), "supervisor": NEWER_SUPERVISOR, "unzip": "6.0-26ubuntu3.2"}
        assert dict(adopted.packages.items() ^ before.items()) == added
        assert adopted.held == HELD

    def test_a_build_that_is_gone_moves_the_whole_php_one_patch_up(
        self, adopted: Host, archive: Archive, units: Units
    ) -> None:
        """An extension for the installed build cannot be had any more: PHP goes along, nothing else does."""
        before = adopted.packages
        php = [*without(DOCUMENTED[PHP], *(deb.name for deb in NEWER[PHP])), *NEWER[PHP]]
        archive.publish(with_only(DOCUMENTED, php=php), {UBUNTU: NEWER[UBUNTU], NODE: NEWER[NODE]})
        adopted.converge(*units().values())
        changed = {name for name, _ in adopted.packages.items() ^ before.items()}
        assert {name for name in changed if not name.startswith("php8.4-")} == {"supervisor", "unzip"}
        assert adopted.packages["php8.4-fpm"] == adopted.packages["php8.4-gd"] == sury("8.4.17")

    def test_a_host_with_everything_is_left_alone(self, ready: Host, archive: Archive, units: Units) -> None:
        """Even the lists of the sources are not fetched again; only the holds are made."""
        ready.bash("apt-mark unhold nginx php8.4-fpm; rm /var/lib/itqan/holds")
        before = ready.packages
        archive.broken.add("/dists/")
        assert ready.converge(units()["packages/installed"]) == {"packages/installed": "changed"}
        assert (ready.packages, ready.held) == (before, HELD)

    def test_a_hold_of_somebody_else_at_another_version_is_theirs(self, host: Host, units: Units) -> None:
        host.bash(f"apt-get -q update && apt-get -q -y install nginx={FOREIGN_NGINX} && apt-mark hold nginx")
        made = units()
        host.converge(made["packages/sources"], made["packages/pins"])
        before = host.packages
        said = host.refusal(made["packages/installed"])
        assert f"nginx is held at {FOREIGN_NGINX}, the settings ask for nginx=1.18.0;" in said
        assert (host.packages, host.held) == (before, ["nginx"])
        host.bash(said.rpartition(": ")[2].rstrip("."))
        host.converge(*made.values())
        assert {name: host.packages[name] for name in VERSIONS} == VERSIONS


class TestBadMoments:
    def test_another_dpkg_is_waited_for(self, host: Host, units: Units) -> None:
        made = units()
        host.converge(made["packages/sources"], made["packages/pins"])
        host.bash("apt-get -q update")
        other = subprocess.Popen(["docker", "exec", host.name, "apt-get", "-q", "-y", "install", "slow"])
        wait_for(lambda: host.bash("cat /slow 2>/dev/null || true"))
        host.converge(made["packages/installed"])
        assert other.wait(10) == 0
        assert {"slow", "nginx"} <= host.packages.keys()

    @pytest.mark.parametrize("lock", ["/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock"])
    def test_locks_that_apt_does_not_wait_for_are_waited_for(
        self, host: Host, units: Units, lock: str
    ) -> None:
        made = units()
        host.converge(made["packages/sources"], made["packages/pins"])
        host.bash(f"mkdir -p {lock.rpartition('/')[0]}")
        holder = subprocess.Popen(["docker", "exec", "-i", host.name, "perl", "-e", HOLD, lock])
        wait_for(lambda: host.bash("cat /held 2>/dev/null || true"))
        host.converge(made["packages/installed"])
        assert holder.wait(10) == 0
        assert host.bash("cat /held") == "released"

    def test_a_failing_download_is_one_clear_error_and_the_next_run_succeeds(
        self, ready: Host, archive: Archive, units: Units
    ) -> None:
        installed = units()["packages/installed"]
        ready.bash("apt-get -q -y purge supervisor php8.4-gd; apt-get clean")
        before = ready.packages
        archive.broken.add("/pool/supervisor")
        said = ready.refusal(installed)
        assert "packages: apt could not install php8.4-gd supervisor: its words stand above" in said
        assert (ready.packages, ready.held) == (before, HELD)
        archive.broken.clear()
        assert ready.converge(installed) == {"packages/installed": "changed"}
        assert {"supervisor", "php8.4-gd"} <= ready.packages.keys()

    def test_a_half_configured_package_is_finished_first(self, ready: Host, units: Units) -> None:
        ready.bash("apt-get -q -y purge unzip; cd /tmp; apt-get -q download unzip; dpkg --unpack unzip_*.deb")
        assert "unzip" not in ready.packages
        ready.converge(units()["packages/installed"])
        assert "unzip" in ready.packages

    def test_another_composer_is_refused(self, ready: Host, archive: Archive, units: Units) -> None:
        composer: Unit = units()["packages/composer"]
        archive.replaced["composer.phar"] = b"#!/bin/sh\necho something else\n"
        ready.bash("echo '# drift' >>/usr/local/bin/composer")
        drifted = ready.bash("sha256sum /usr/local/bin/composer")
        assert "its digest is not the pinned one" in ready.refusal(composer)
        assert ready.bash("sha256sum /usr/local/bin/composer") == drifted
        archive.replaced.clear()
        ready.converge(composer)
        assert ready.bash("composer") == "Composer version 2.9.2"


# Holds the lock of its argument, as apt does (fcntl), for three seconds; /held says how far it is.
HOLD = """
use Fcntl; open my $f, '>>', $ARGV[0] or die; my $l = pack('s s x4 q q l x4', F_WRLCK, 0, 0, 0, 0);
fcntl($f, F_SETLK, $l) or die "locked: $!"; sub say_ { open my $h, '>', '/held'; print $h @_; close $h }
say_('held'); sleep 3; say_('released');
"""


def wait_for(question: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not question():
        assert time.monotonic() < deadline, "the other process has not begun"
        time.sleep(0.1)

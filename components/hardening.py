"""Hardening: what `strict` has beyond the document: firewall, SSH without passwords, security updates."""

from __future__ import annotations

from dataclasses import replace

from settings import Settings

from .part import Part
from .platform import Platform
from .render import render
from .services import installed_service, service_unit
from .unit import Unit, call, file_unit, lines

RULES = "/etc/itqan/firewall.nft"
FIREWALL = "itqan-firewall"
UNDO = 60  # seconds until rules that nothing proved go again
SSHD = "/etc/ssh/sshd_config.d/10-itqan.conf"
UPGRADES = "/etc/apt/apt.conf.d/52itqan-upgrades"


def units(settings: Settings, platform: Platform) -> list[Unit]:
    """Nothing as documented. Sandboxes and TLS are in the parts that they belong to."""
    if not settings.is_strict:
        return []
    return [
        _packages(platform),
        _sshd(settings),
        _nftables(),
        _firewall(settings),
        _firewall_service(),
        _upgrades(),
        service_unit("hardening/upgrades-timers", "apt-daily.timer", "apt-daily-upgrade.timer"),
    ]


def _packages(platform: Platform) -> Unit:
    """A unit of its own: so both kinds of copies share the image that the unit packages/installed makes."""
    names = [package.name for package in platform.strict_packages]
    return Unit(
        name="hardening/packages",
        probe=call("probe_package", *names),
        expect="\n".join(f"package {name} installed" for name in names),
        apply=call("install_strict", *names),
    )


def root_login(settings: Settings) -> str:
    """sshd's PermitRootLogin: `no` only where this stack itself logs in as another user."""
    user = settings.connection.user if settings.target == "host" and settings.connection else "root"
    return "prohibit-password" if user == "root" else "no"


def _sshd(settings: Settings) -> Unit:
    """Keys only; the stack itself has never logged in otherwise, so it cannot lock itself out."""
    permit = root_login(settings)
    shown = "without-password" if permit == "prohibit-password" else permit  # sshd's older word for it
    state = lines(
        "sshd kbdinteractiveauthentication no",
        "sshd passwordauthentication no",
        "sshd permitemptypasswords no",
        f"sshd permitrootlogin {shown}",
    )
    made = file_unit(
        "hardening/sshd",
        SSHD,
        render("hardening/sshd.conf.j2", root_login=permit),
        before=call("require_include", SSHD),
        test=("/usr/sbin/sshd", "-t"),
        then=call("restrict_sshd", SSHD, state),
        probe=lines("probe_sshd", call("probe_reloaded", "ssh", SSHD)),
        expect=lines(state, "loaded ssh current"),
    )
    return replace(made, remove=call("release_sshd", SSHD))


def _nftables() -> Unit:
    """The distribution's service, which loads an owner's rules if any, leaves ours in force."""
    made = file_unit(
        "hardening/nftables",
        "/etc/systemd/system/nftables.service.d/itqan.conf",
        render("hardening/nftables.service.conf.j2", rules=RULES),
        then="systemctl daemon-reload",
    )
    return replace(made, remove=lines(made.remove or "", "systemctl daemon-reload"))


def rules(settings: Settings) -> str:
    """The file of nftables."""
    return render("hardening/firewall.nft.j2", ssh_port=settings.ssh_port)


def loaded(content: str) -> str:
    """A file's table as `probe_table` prints it when the kernel has it."""
    _, start, table = content.partition("table inet itqan {\n")
    kept = [line.strip() for line in (start + table).splitlines()]
    return "\n".join(line for line in kept if line and not line.startswith("#"))


def _firewall(settings: Settings) -> Unit:
    """The rules in the kernel and in the file; load_firewall says why they cannot lock this stack out."""
    content = rules(settings)
    made = file_unit(
        "hardening/firewall",
        RULES,
        content,
        probe=call("probe_table", "inet", "itqan"),
        expect=loaded(content),
    )
    undo = "nft delete table inet itqan 2>/dev/null || true"
    return replace(
        made,
        apply=call("load_firewall", RULES, settings.ssh_port, UNDO),
        remove=lines(undo, made.remove or ""),
    )


def _firewall_service() -> Unit:
    """A service of its own: an owner's /etc/nftables.conf, and whether it is loaded, stay as they are."""
    return installed_service(
        "hardening/firewall-service", FIREWALL, render("hardening/firewall.service.j2", rules=RULES)
    )


def _upgrades() -> Unit:
    return file_unit(
        "hardening/upgrades",
        UPGRADES,
        render("hardening/52itqan-upgrades.j2"),
        test=("apt-config", "dump", "APT::Periodic"),
        probe=call("probe_apt", "APT::Periodic::Unattended-Upgrade"),
        expect='apt APT::Periodic::Unattended-Upgrade "1";',
    )


class Hardening(Part):
    """What is stricter than the document."""

    part = "hardening"

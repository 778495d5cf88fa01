"""Hardening: what `strict` has beyond the document: firewall, SSH without passwords, security updates."""

from __future__ import annotations

from dataclasses import replace

from settings import Settings

from .part import Part
from .platform import Platform
from .render import render
from .services import service_unit
from .unit import Unit, call, file_unit, lines

RULES = "/etc/nftables.conf"
SSHD = "/etc/ssh/sshd_config.d/10-itqan.conf"
UPGRADES = "/etc/apt/apt.conf.d/20auto-upgrades"


def units(settings: Settings, platform: Platform) -> list[Unit]:
    """Nothing as documented. Sandboxes and TLS are in the parts that they belong to."""
    if not settings.is_strict:
        return []
    return [
        _packages(platform),
        _sshd(settings),
        _nftables(),
        _firewall(settings),
        service_unit("hardening/firewall-service", "nftables"),
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
        apply=lines(call("apt_install", *names), "restore_holds"),
    )


def root_login(settings: Settings) -> str:
    """sshd's PermitRootLogin: `no` only where this stack itself logs in as another user."""
    user = settings.connection.user if settings.target == "host" and settings.connection else "root"
    return "prohibit-password" if user == "root" else "no"


def _sshd(settings: Settings) -> Unit:
    """Keys only; the stack itself has never logged in otherwise, so it cannot lock itself out."""
    permit = root_login(settings)
    shown = "without-password" if permit == "prohibit-password" else permit  # sshd's older word for it
    made = file_unit(
        "hardening/sshd",
        SSHD,
        render("hardening/sshd.conf.j2", root_login=permit),
        test=("/usr/sbin/sshd", "-t"),
        then="systemctl reload ssh",
        probe=lines(
            call("probe_sshd", "passwordauthentication", "kbdinteractiveauthentication", "permitrootlogin"),
            call("probe_reloaded", "ssh", SSHD),
        ),
        expect=lines(
            "sshd passwordauthentication no",
            "sshd kbdinteractiveauthentication no",
            f"sshd permitrootlogin {shown}",
            "loaded ssh current",
        ),
    )
    return replace(made, remove=lines(made.remove or "", "systemctl reload ssh"))


def _nftables() -> Unit:
    """Stopping or restarting the service takes away our table and nobody else's."""
    made = file_unit(
        "hardening/nftables",
        "/etc/systemd/system/nftables.service.d/itqan.conf",
        render("hardening/nftables.service.conf.j2"),
        then="systemctl daemon-reload",
    )
    return replace(made, remove=lines(made.remove or "", "systemctl daemon-reload"))


def rules(settings: Settings) -> str:
    """The file of nftables."""
    return render("hardening/nftables.conf.j2", ssh_port=settings.ssh_port)


def loaded(content: str) -> str:
    """A file's table as `probe_table` prints it when the kernel has it."""
    _, start, table = content.partition("table inet itqan {\n")
    kept = [line.strip() for line in (start + table).splitlines()]
    return "\n".join(line for line in kept if line and not line.startswith("#"))


def _firewall(settings: Settings) -> Unit:
    """The rules in the file and in the kernel; load_firewall says why they cannot lock this stack out."""
    content = rules(settings)
    made = file_unit(
        "hardening/firewall",
        RULES,
        content,
        mode="755",  # as the package has it: the file is a program of nft
        test=("load_firewall", RULES, str(settings.ssh_port)),
        probe=call("probe_table", "inet", "itqan"),
        expect=loaded(content),
    )
    undo = "systemctl disable -q --now nftables\nnft delete table inet itqan 2>/dev/null || true"
    return replace(made, remove=lines(undo, made.remove or ""))


def _upgrades() -> Unit:
    return file_unit(
        "hardening/upgrades",
        UPGRADES,
        render("hardening/20auto-upgrades.j2"),
        test=("apt-config", "dump", "APT::Periodic"),
        probe=call("probe_apt", "APT::Periodic::Unattended-Upgrade"),
        expect='apt APT::Periodic::Unattended-Upgrade "1";',
    )


class Hardening(Part):
    """What is stricter than the document."""

    part = "hardening"

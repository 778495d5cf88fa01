"""The catcher: what a copy's application sends out, mail and webhooks, is kept on the copy (docs/data.md)."""

from __future__ import annotations

from settings import Settings

from .part import Part
from .platform import Platform
from .render import managed, render, text
from .services import service_unit
from .unit import Unit, call, file_unit, lines

PROGRAM = "/usr/local/sbin/itqan-catcher"
SERVICE, FIREWALL = "itqan-catcher", "itqan-copy-firewall"
RULES = "/etc/itqan/copy.nft"
FOLDER = "/var/lib/itqan-catcher"
TRUSTED = "/usr/local/share/ca-certificates/itqan-catcher.crt"
# As files/catcher/catcher.py has them.
MAIL_PORT, OTHER_PORT = 1025, 1080


def units(settings: Settings, platform: Platform) -> list[Unit]:
    """Nothing on a server: what it sends is meant."""
    if settings.target != "docker":
        return []
    return [
        file_unit("catcher/program", PROGRAM, program(), mode="755"),
        _service(),
        _authority(),
        _nftables(),
        _rules(settings),
        _firewall(),
    ]


def program() -> str:
    """The catcher as a program of the host."""
    source = "catcher/catcher.py"
    return f"#!/usr/bin/python3 -I\n# {managed(f'files/{source}')}\n{text(source)}"


def environment(variables: dict[str, str]) -> dict[str, str]:
    """What a copy's .env says of mail, whatever mailer the server has: the catcher's port, and no login."""
    caught = {
        "MAIL_MAILER": "smtp",
        "MAIL_HOST": "127.0.0.1",
        "MAIL_PORT": str(MAIL_PORT),
        "MAIL_ENCRYPTION": "null",
    }
    # with these the application would go elsewhere, or show a password that is the server's
    further = ("MAIL_SCHEME", "MAIL_URL", "MAIL_USERNAME", "MAIL_PASSWORD")
    return caught | {name: "null" for name in further if name in variables}


def _service() -> Unit:
    service = service_unit("catcher/service", SERVICE)
    path = f"/etc/systemd/system/{SERVICE}.service"
    return file_unit(
        service.name,
        path,
        render("catcher/catcher.service.j2", program=PROGRAM, user=SERVICE),
        probe=lines(service.probe, *(call("probe_reloaded", SERVICE, file) for file in (path, PROGRAM))),
        expect=lines(service.expect, *[f"loaded {SERVICE} current"] * 2),
        then=lines(service.apply, call("systemctl", "restart", SERVICE)),
    )


def _authority() -> Unit:
    """The copy trusts what the catcher signs; the key is made on the copy and never leaves it."""
    return Unit(
        name="catcher/authority",
        probe=call("probe_trusted", f"{FOLDER}/authority.pem", TRUSTED),
        expect=f"authority {FOLDER}/authority.pem trusted",
        apply=call("trust_authority", f"{FOLDER}/authority.pem", TRUSTED),
    )


def rules(settings: Settings) -> str:
    """The file of nftables."""
    return render(
        "catcher/copy.nft.j2",
        web_user=settings.server.web_user,
        subnet=settings.subnet,
        mail_port=MAIL_PORT,
        other_port=OTHER_PORT,
    )


def _rules(settings: Settings) -> Unit:
    """The rules in the kernel and in the file that the next boot reads."""
    content = rules(settings)
    _, start, table = content.partition("table inet itqan_copy {\n")
    kept = [line.strip() for line in (start + table).splitlines()]
    return file_unit(
        "catcher/rules",
        RULES,
        content,
        probe=call("probe_table_of", "inet", "itqan_copy", settings.server.web_user),
        expect="\n".join(line for line in kept if line and not line.startswith("#")),
        test=("nft", "-c", "-f", RULES),
        then=call("nft", "-f", RULES),
    )


def _nftables() -> Unit:
    """The distribution's service, which begins with `flush ruleset`, leaves ours in force."""
    return file_unit(
        "catcher/nftables",
        "/etc/systemd/system/nftables.service.d/itqan-copy.conf",
        render("hardening/nftables.service.conf.j2", rules=RULES),
        then="systemctl daemon-reload",
    )


def _firewall() -> Unit:
    service = service_unit("catcher/firewall", FIREWALL)
    return file_unit(
        service.name,
        f"/etc/systemd/system/{FIREWALL}.service",
        render("catcher/firewall.service.j2", rules=RULES),
        probe=service.probe,
        expect=service.expect,
        then=service.apply,
    )


class Catcher(Part):
    """Where the mail and the webhooks of a copy go."""

    part = "catcher"

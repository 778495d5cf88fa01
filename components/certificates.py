"""Certificates: the wildcard by certbot and DNS-01, renewed by its timer, nginx reloaded after it."""

from __future__ import annotations

from settings import Settings

from . import digests
from .dns import CLIENT, tsig_name
from .part import Part
from .platform import Platform
from .render import managed, render
from .services import service_unit
from .unit import Unit, call, file_line, file_unit, lines

CREDENTIALS = "/etc/letsencrypt/rfc2136.ini"
HOOK = "/etc/letsencrypt/renewal-hooks/deploy/nginx.sh"
LETS_ENCRYPT_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
# https://letsencrypt.org/docs/staging-environment/: its roots are in no store, and its names say STAGING
AUTHORITIES = {
    "https://acme-v02.api.letsencrypt.org/directory": "letsencrypt",
    LETS_ENCRYPT_STAGING: "letsencrypt-staging",
}
HOOKS = {"auth": "present", "cleanup": "withdraw"}
STORE = "/usr/local/share/ca-certificates"
REGISTRAR_CA, TEST_CA = f"{STORE}/itqan-registrar.crt", f"{STORE}/itqan-test-authority.crt"
# Where copies of earlier days kept their authority's root, a new one at each start of it.
FORMER_CA = f"{STORE}/itqan-acme-root.crt"


def acme_directory(settings: Settings) -> str:
    """The ACME directory: Let's Encrypt's, or the copy's own authority."""
    return settings.certificate.directory or f"https://{settings.registrar_address}/dir"


def units(settings: Settings, platform: Platform) -> list[Unit]:
    """Section "SSL Certificate" of the document, and "SSL Certificate Renewal"."""
    copy = settings.target == "docker"
    return [
        *([_authority(settings)] if copy else []),
        *([_credentials(settings)] if settings.dns.provider == "rfc2136" else []),
        file_unit("certificates/hook", HOOK, render("certificates/nginx.sh.j2"), mode="755"),
        _lineage(settings),
        _root(settings),
        service_unit("certificates/timer", "certbot.timer"),
    ]


def _authority(settings: Settings) -> Unit:
    """The copy trusts the test authority, and its registrar's own TLS certificate."""
    from .authority import root_certificate
    from .registrar import certificate

    assert settings.registrar_private_key is not None
    root = root_certificate(settings)
    return file_unit(
        "certificates/authority",
        REGISTRAR_CA,
        certificate(settings),
        then=lines(
            f"{call('place', TEST_CA, 'root:root', '644')} <<'END'\n{root}END",
            call("rm", "-f", FORMER_CA),
            call("renew_trust"),
        ),
        probe=lines(
            call("probe_file", TEST_CA),
            call("probe_check", "registrar trusted", "openssl", "verify", REGISTRAR_CA),
        ),
        expect=lines(file_line(TEST_CA, "root:root", "644", root), "registrar trusted ok"),
    )


def _credentials(settings: Settings) -> Unit:
    """What certbot-dns-rfc2136 reads: mode 600, or it warns."""
    assert settings.tsig_secret is not None
    return file_unit(
        "certificates/credentials",
        CREDENTIALS,
        f"# {managed('components/certificates.py')}\n"
        f"dns_rfc2136_server = {settings.name_server}\n"
        "dns_rfc2136_port = 53\n"
        f"dns_rfc2136_name = {tsig_name(settings)}\n"
        f"dns_rfc2136_secret = {settings.tsig_secret.get_secret_value()}\n"
        "dns_rfc2136_algorithm = HMAC-SHA512\n",
        mode="600",
        key=digests.key(settings),
    )


def _lineage(settings: Settings) -> Unit:
    """The lineage under the document's name, said explicitly: certbot chooses -0001 by itself only once."""
    certificate, domain = settings.certificate, settings.domain
    issuer, renewal = _issuer(settings), _renewal(settings)
    return Unit(
        name="certificates/lineage",
        probe=call(
            "probe_lineage",
            certificate.lineage,
            *(["issuer"] if issuer else []),
            *(["renewal"] if renewal else []),
        ),
        expect=lines(
            f"certificate {certificate.lineage} DNS:*.{domain} DNS:{domain}",
            f"certificate {certificate.lineage} lasts",
            f"certificate {certificate.lineage} of {issuer}" if issuer else "",
            *renewal,
        ),
        apply=call("issue_certificate", *_order(settings)),
    )


def _order(settings: Settings) -> tuple[str | int, ...]:
    """The arguments of `issue_certificate` and `order_certificate`."""
    certificate = settings.certificate
    return (
        certificate.lineage,
        settings.domain,
        certificate.email,
        acme_directory(settings),
        settings.dns.provider,
        1 if settings.target == "docker" else 30,
        _issuer(settings) or "",
    )


def _issuer(settings: Settings) -> str | None:
    """Who signs for the ACME directory, as `probe_lineage` calls it; None where that is not known."""
    if settings.certificate.directory is None:
        return "pebble"
    return AUTHORITIES.get(settings.certificate.directory)


def _renewal(settings: Settings) -> list[str]:
    """How certbot's timer renews: who answers the challenge, which authority is asked.

    With records entered by hand an existing certificate is left to whoever renews it.
    """
    server = f"renewal server {acme_directory(settings)}"
    if settings.dns.provider == "rfc2136":
        return ["renewal authenticator dns-rfc2136", server]
    if settings.dns.provider == "hostinger":
        hooks = [f"renewal manual_{hook}_hook {CLIENT} {word}" for hook, word in HOOKS.items()]
        return ["renewal authenticator manual", *hooks, server]
    return []


def _root(settings: Settings) -> Unit:
    """The root that signed the site: the test authority of a copy, one of the system's store on a real host.

    A copy's certificate without a way to that root was issued by somebody else, and is ordered anew.
    """
    copy = settings.target == "docker"
    trust = "not trusted" if settings.certificate.directory == LETS_ENCRYPT_STAGING else "trusted"
    return Unit(
        name="certificates/root",
        probe=call("probe_chain", settings.certificate.lineage),
        expect=f"chain {settings.certificate.lineage} {trust}",
        apply=call("order_certificate", *_order(settings))
        if copy
        else call("refuse_chain", settings.certificate.lineage),
        output=call("print_root", settings.certificate.lineage),
    )


class Certificates(Part):
    """The wildcard certificate."""

    part = "certificates"

"""nginx: the site, tested before every reload."""

from __future__ import annotations

from settings import Settings

from .part import Part
from .platform import Platform
from .render import render
from .sandbox import sandbox_unit
from .services import service_unit
from .unit import Unit, call, file_unit, lines

LOADED = ("nginx", "nginx: worker process")
TEST = ("nginx", "-t", "-q")
ENABLED = "/etc/nginx/sites-enabled"
PRIVATE_TMP = "PrivateTmp=yes"
# TLS 1.2 of Mozilla's "intermediate" profile, guideline 6.0 (which is 5.7 without DHE); of TLS 1.3 it has
# OpenSSL's own three.
INTERMEDIATE = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)


def site_content(settings: Settings) -> str:
    """The site file, section "Nginx Configuration" of the document."""
    return render(
        "nginx/site.conf.j2",
        domain=settings.domain,
        port=settings.edge_port,
        root=settings.application.path,
        folders=settings.folders if settings.is_atomic else None,
        lineage=settings.certificate.lineage,
        php=settings.php.version,
        headers=settings.nginx.headers,
        body_size=settings.php.fpm.post_max_size,
        strict=settings.is_strict,
        ciphers=INTERMEDIATE,
        hsts=_sends_hsts(settings),
    )


def _sends_hsts(settings: Settings) -> bool:
    """Strict-Transport-Security from us, unless the settings have a value of their own."""
    names = {name.lower() for name in settings.nginx.headers}
    return settings.is_strict and "strict-transport-security" not in names


def units(settings: Settings, platform: Platform) -> list[Unit]:
    """The site, the enabled sites, the service, what it shows on port 443; when strict, its sandbox."""
    made = [
        _site(settings),
        _enabled(settings),
        service_unit("nginx/service", "nginx"),
        _certificate(settings),
    ]
    if not settings.is_strict:
        return made
    return [*made, sandbox_unit("nginx/sandbox", "nginx", PRIVATE_TMP)]


def _site(settings: Settings) -> Unit:
    name = settings.nginx.site
    path, link = f"/etc/nginx/sites-available/{name}", f"{ENABLED}/{name}"
    # a renewal replaces the link to the certificate: a worker that is older serves the old one
    loaded = (*LOADED, path, f"/etc/letsencrypt/live/{settings.certificate.lineage}/fullchain.pem")
    return file_unit(
        "nginx/site",
        path,
        site_content(settings),
        test=TEST,
        removable=False,
        probe=lines(
            call("probe_link", link),
            call("probe_loaded", *loaded),
        ),
        expect=lines(f"link {link} -> ../sites-available/{name}", "loaded nginx current"),
        then=lines(
            call("enable_site", name, *TEST),
            call("reload_service", *loaded),
        ),
    )


def _certificate(settings: Settings) -> Unit:
    """What a browser gets is the lineage's file, whatever certbot, a reload and other sites did meanwhile."""
    domain, lineage = settings.domain, settings.certificate.lineage
    return Unit(
        name="nginx/certificate",
        probe=call("probe_served", domain, lineage),
        expect=f"served {domain} the certificate of {lineage}",
        apply=call("serve_certificate", domain, lineage),
    )


def _enabled(settings: Settings) -> Unit:
    """Only the documented site is enabled: a second one could answer in its place."""
    name = settings.nginx.site
    return Unit(
        name="nginx/sites",
        probe=call("probe_entries", ENABLED),
        expect=f"entries {ENABLED} {name}",
        apply=lines(call("keep_only", ENABLED, "*", name), call(*TEST), call("systemctl", "reload", "nginx")),
    )


class Nginx(Part):
    """The web server."""

    part = "nginx"

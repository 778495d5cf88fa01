"""nginx: the site says what section "Nginx Configuration" says, and nothing that weakens it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from components.nginx import site_content
from components.unit import Unit
from settings import Settings, SettingsError


def server_blocks(content: str) -> tuple[str, str]:
    """The server on port 80 and the one on port 443."""
    plain, secure = re.findall(r"(?ms)^server \{$(.*?)^\}$", content)
    return plain, secure


def location(content: str, match: str) -> str:
    """The body of a location."""
    return content.split(f"location {match} {{", 1)[1].split("}", 1)[0]


def test_port_80_only_redirects(prod: Settings) -> None:
    plain, _ = server_blocks(site_content(prod))
    statements = [line.strip() for line in plain.splitlines() if line.strip()]
    assert statements == [
        "listen 80;",
        "listen [::]:80;",
        "server_name itqanway.com *.itqanway.com;",
        "return 301 https://$host$request_uri;",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "listen 443 ssl http2;",
        "listen [::]:443 ssl http2;",
        "server_name itqanway.com *.itqanway.com;",
        "root /var/www/itqan-platform/public;",
        "ssl_certificate     /etc/letsencrypt/live/itqanway.com-0001/fullchain.pem;",
        "ssl_certificate_key /etc/letsencrypt/live/itqanway.com-0001/privkey.pem;",
        "ssl_protocols       TLSv1.2 TLSv1.3;",
        "server_tokens off;",
        'add_header X-Frame-Options "SAMEORIGIN" always;',
        'add_header X-Content-Type-Options "nosniff" always;',
        "try_files $uri $uri/ /index.php?$query_string;",
        "fastcgi_pass unix:/var/run/php/php8.4-fpm.sock;",
    ],
)
def test_port_443_has(prod: Settings, line: str) -> None:
    _, secure = server_blocks(site_content(prod))
    assert line in [found.strip() for found in secure.splitlines()]


@pytest.mark.parametrize(
    "absent",
    [
        "TLSv1;",
        "TLSv1.1",
        "SSLv3",
        "ssl on",
        "http2 on",
        "autoindex",
        "php8.2",
        "php8.3",
        "{{",
        "0.0.0.0",
        "allow all",
    ],
)
def test_absent(prod: Settings, absent: str) -> None:
    statements = [line for line in site_content(prod).splitlines() if not line.strip().startswith("#")]
    assert absent not in "\n".join(statements)


def test_websockets_go_to_reverb(prod: Settings) -> None:
    content = site_content(prod)
    app = location(content, "~ ^/apps?(/|$)")
    for line in (
        "proxy_pass http://127.0.0.1:8080;",
        "proxy_http_version 1.1;",
        "proxy_set_header Upgrade $http_upgrade;",
        "proxy_set_header Connection $connection_upgrade;",
        "proxy_set_header Host $http_host;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
    ):
        assert line in app
    assert "map $http_upgrade $connection_upgrade" in content


def test_hidden_files_are_denied_but_for_well_known(prod: Settings) -> None:
    content = site_content(prod)
    assert location(content, r"~ /\.(?!well-known)").split() == ["deny", "all;"]
    pattern = re.compile(r"/\.(?!well-known)")
    assert all(pattern.search(path) for path in ("/.env", "/.git/config", "/a/.htaccess"))
    assert not pattern.search("/.well-known/acme-challenge/x")


def test_static_assets_are_served_by_nginx_itself(prod: Settings) -> None:
    build = location(site_content(prod), "/build/")
    assert "try_files $uri =404;" in build
    assert "fastcgi" not in build


def test_no_location_loses_the_security_headers(prod: Settings) -> None:
    """add_header is inherited only where a location has none of its own (ngx_http_headers_module)."""
    _, secure = server_blocks(site_content(prod))
    assert all("add_header" not in body for body in re.findall(r"location [^{]*\{([^}]*)\}", secure))


def test_a_copy_has_its_own_domain_and_nothing_of_production(staging: Settings) -> None:
    content = site_content(staging)
    assert "server_name itqan.test *.itqan.test;" in content
    assert "itqanway.com" not in content.replace("live/itqanway.com-0001/", "")


def test_braces_balance(any_settings: Settings) -> None:
    content = site_content(any_settings)
    assert content.count("{") == content.count("}")
    assert content.endswith("}\n")
    assert content.startswith("# managed by itqan, files/nginx/site.conf.j2")


def test_the_site_is_tested_before_every_reload(prod_units: dict[str, Unit]) -> None:
    site = prod_units["nginx/site"].apply.splitlines()
    assert site[0] == "place /etc/nginx/sites-available/itqan-platform root:root 644 nginx -t -q"
    assert site[1] == "enable_site itqan-platform nginx -t -q"
    assert site[2].startswith("reload_service nginx 'nginx: worker process' ")
    sites = prod_units["nginx/sites"].apply.splitlines()
    assert sites.index("nginx -t -q") < sites.index("systemctl reload nginx")


def test_one_site_is_enabled(prod_units: dict[str, Unit]) -> None:
    assert prod_units["nginx/sites"].expect == "entries /etc/nginx/sites-enabled itqan-platform"
    assert "link /etc/nginx/sites-enabled/itqan-platform -> ../sites-available/itqan-platform" in (
        prod_units["nginx/site"].expect.splitlines()
    )


def test_headers_come_from_the_settings(stack: Callable[..., Settings]) -> None:
    content = site_content(stack("prod", nginx={"headers": {"Referrer-Policy": "same-origin"}}))
    assert 'add_header Referrer-Policy "same-origin" always;' in content


@pytest.mark.parametrize("value", ['a" always; return 200 "b', "a\\", "$document_root"])
def test_a_header_cannot_break_out_of_its_quotes(stack: Callable[..., Settings], value: str) -> None:
    with pytest.raises(SettingsError, match=r"itqan:nginx\.headers\.X-Test"):
        stack("prod", nginx={"headers": {"X-Test": value}})

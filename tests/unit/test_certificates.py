"""Certificates: the wildcard under the document's lineage, by DNS-01, nginx reloaded after a renewal."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from components.registrar import certificate, private_key, tsig_clause
from components.render import text
from components.unit import Unit
from settings import Settings

Units = Callable[[Settings], dict[str, Unit]]
DNS = {"provider": "rfc2136", "server": "192.0.2.53", "keyName": "certbot."}


def test_the_lineage(stack: Callable[..., Settings], units_of: Units) -> None:
    unit = units_of(stack("prod", dns=DNS))["certificates/lineage"]
    assert unit.expect.splitlines() == [
        "certificate itqanway.com-0001 DNS:*.itqanway.com DNS:itqanway.com",
        "certificate itqanway.com-0001 lasts",
        "certificate itqanway.com-0001 of letsencrypt",
        "renewal authenticator dns-rfc2136",
        "renewal server https://acme-v02.api.letsencrypt.org/directory",
    ]
    assert unit.apply == (
        "issue_certificate itqanway.com-0001 itqanway.com admin@itqanway.com "
        "https://acme-v02.api.letsencrypt.org/directory rfc2136 30 letsencrypt"
    )


def test_with_dns_by_hand_a_certificate_that_lasts_is_left_to_who_renews_it(
    prod_units: dict[str, Unit],
) -> None:
    unit = prod_units["certificates/lineage"]
    assert unit.probe == "probe_lineage itqanway.com-0001 issuer"
    assert "renewal" not in unit.expect
    assert " manual 30 " in unit.apply
    assert "certificates/credentials" not in prod_units


def test_with_hostinger_the_client_answers_and_renews(
    stack: Callable[..., Settings], units_of: Units
) -> None:
    units = units_of(stack("prod", dns={"provider": "hostinger"}))
    assert units["certificates/lineage"].expect.splitlines()[3:] == [
        "renewal authenticator manual",
        "renewal manual_auth_hook /usr/local/sbin/itqan-dns present",
        "renewal manual_cleanup_hook /usr/local/sbin/itqan-dns withdraw",
        "renewal server https://acme-v02.api.letsencrypt.org/directory",
    ]
    assert "certificates/credentials" not in units


def test_of_the_staging_authority_another_issuer_and_no_trust(
    stack: Callable[..., Settings], units_of: Units
) -> None:
    directory = "https://acme-staging-v02.api.letsencrypt.org/directory"
    units = units_of(stack("prod", certificate={"directory": directory}))
    assert "certificate itqanway.com-0001 of letsencrypt-staging" in units["certificates/lineage"].expect
    assert units["certificates/root"].expect == "chain itqanway.com-0001 not trusted"


def test_an_authority_that_is_not_known_has_no_expected_name(
    stack: Callable[..., Settings], units_of: Units
) -> None:
    unit = units_of(stack("prod", certificate={"directory": "https://acme.test/dir"}))["certificates/lineage"]
    assert unit.probe == "probe_lineage itqanway.com-0001"
    assert unit.expect.splitlines()[2:] == []


def test_a_copy_asks_its_own_authority(staging: Settings, staging_units: dict[str, Unit]) -> None:
    directory = f"https://{staging.registrar_address}/dir"
    assert f"renewal server {directory}" in staging_units["certificates/lineage"].expect.splitlines()
    assert "letsencrypt.org" not in "".join(unit.apply for unit in staging_units.values())


def test_credentials(stack: Callable[..., Settings], units_of: Units, secrets: dict[str, str]) -> None:
    unit = units_of(stack("prod", dns=DNS))["certificates/credentials"]
    assert unit.expect.startswith("file /etc/letsencrypt/rfc2136.ini root:root 600 ")
    assert (unit.payload or "").splitlines()[1:] == [
        "dns_rfc2136_server = 192.0.2.53",
        "dns_rfc2136_port = 53",
        "dns_rfc2136_name = certbot.",
        f"dns_rfc2136_secret = {secrets['tsigSecret']}",
        "dns_rfc2136_algorithm = HMAC-SHA512",
    ]


def test_the_hook_tests_before_it_reloads(prod_units: dict[str, Unit]) -> None:
    unit = prod_units["certificates/hook"]
    assert unit.expect.startswith("file /etc/letsencrypt/renewal-hooks/deploy/nginx.sh root:root 755 ")
    assert (unit.payload or "").startswith("#!/bin/sh\n# managed by itqan, ")
    assert "nginx -t -q && systemctl reload nginx" in (unit.payload or "")


def test_no_verification_is_switched_off(any_units: list[Unit]) -> None:
    everything = "\n".join(
        [
            *(f"{u.probe}\n{u.apply}\n{u.payload}" for u in any_units),
            text("host/applies.sh"),
            text("host/apt.sh"),
        ]
    )
    for word in (
        "--insecure",
        "curl -k",
        "--no-verify-ssl",
        "verify=False",
        "StrictHostKeyChecking=no",
        "allow-unauthenticated",
    ):
        assert word not in everything


def test_the_registrars_certificate_is_the_same_for_the_same_settings(
    staging: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "tls.pem"
    path.write_text(certificate(staging))
    assert certificate(staging) == path.read_text()
    shown = subprocess.run(
        ["openssl", "x509", "-in", str(path), "-noout", "-ext", "subjectAltName,basicConstraints"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"IP Address:{staging.registrar_address}" in shown
    assert "DNS:registrar" in shown
    subprocess.run(["openssl", "verify", "-CAfile", str(path), str(path)], check=True, capture_output=True)


def test_the_registrars_key_and_zone_key(staging: Settings, secrets: dict[str, str]) -> None:
    assert private_key(staging) == secrets["registrarPrivateKey"]
    assert f'secret "{secrets["tsigSecret"]}";' in tsig_clause(staging)

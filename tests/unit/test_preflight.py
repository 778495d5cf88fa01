"""The preflight: what is asked of which stack, what an observation makes of it, and the DNS of the shell."""

from __future__ import annotations

import base64
import hashlib
import hmac
import subprocess
from collections.abc import Callable

import pytest

from components.observation import State
from components.platform import Platform
from components.preflight import LOOK, OWNER, _secret, look, obstacles, unit
from components.unit import Unit
from settings import Settings
from tests.fakes.hostinger import Fault, Hostinger

Bash = Callable[..., "subprocess.CompletedProcess[str]"]
RFC2136 = {
    "dns": {"provider": "rfc2136", "server": "192.0.2.53", "keyName": "certbot.", "conference": "external"}
}


def checks(made: Unit) -> list[str]:
    return [word.partition("=")[0].strip("'") for word in made.apply.split()[2:]]


def found(name: str, text: str) -> State:
    return State(Unit(name, "true", "", "true"), text)


def test_a_copy_is_asked_about_itself_only(staging: Settings, debian: Platform) -> None:
    assert checks(unit(staging, debian)) == ["system", "architecture", "memory", "disk", "free"]


def test_manual_dns_is_not_asked_for_a_key(prod: Settings, ubuntu: Platform) -> None:
    asked = checks(unit(prod, ubuntu))
    assert {"apt", "index", "url"} <= set(asked)
    assert "zone" not in asked


def test_rfc2136_is_asked_for_every_name_it_changes(stack: Callable[..., Settings], ubuntu: Platform) -> None:
    apply = unit(stack("prod", **RFC2136), ubuntu).apply
    zone = next(word for word in apply.replace("'", "").split() if word.startswith("zone="))
    assert zone == (
        "zone=itqanway.com,192.0.2.53,certbot.,*.itqanway.com/A,*.itqanway.com/AAAA,itqanway.com/A,"
        "itqanway.com/AAAA,_acme-challenge.itqanway.com/TXT"
    )
    assert "url=https://acme-v02.api.letsencrypt.org/directory" in apply


def test_the_secret_is_in_the_payload_and_in_no_text(
    stack: Callable[..., Settings], ubuntu: Platform
) -> None:
    settings = stack("prod", **RFC2136)
    assert settings.tsig_secret is not None
    secret, made = settings.tsig_secret.get_secret_value(), unit(settings, ubuntu)
    assert made.secret and made.payload == f"{secret}\n"
    assert secret not in f"{made.probe}{made.expect}{made.apply}"


def test_a_changed_setting_is_checked_again(stack: Callable[..., Settings], ubuntu: Platform) -> None:
    probes = {
        unit(stack("prod", **changes), ubuntu).probe
        for changes in ({}, RFC2136, {**RFC2136, "tsigSecret": "b3RoZXI="}, {"domain": "itqan.example"})
    }
    assert len(probes) == 3  # the domain counts where its zone is asked for


def test_the_look_reads_the_clock_and_is_silent_once_it_passed(
    bash: Bash, prod: Settings, ubuntu: Platform
) -> None:
    made = look(prod, ubuntu, 1700000000.4)
    assert "clock=1700000000" in made.probe
    done = bash(f"probe_preflight() {{ echo preflight passed; }}\n{made.probe}")
    assert (done.returncode, done.stdout) == (0, "")


class TestObstacles:
    def test_none(self, prod: Settings) -> None:
        states = [found(OWNER, f"file x\nowner {prod.owner}"), found(LOOK, "")]
        assert obstacles(prod, states) == []
        assert obstacles(prod, [found(OWNER, "file x absent\nowner none"), found(LOOK, "")]) == []

    def test_another_stack_comes_before_all_else(self, prod: Settings) -> None:
        states = [found(OWNER, "file x\nowner itqan/prod i9999"), found(LOOK, "problem memory: 1.0 GB")]
        (line,) = obstacles(prod, states)
        assert line.startswith("it belongs to stack itqan/prod i9999, not to itqan/prod i0123456789abcdef;")
        assert "/etc/itqan/stack" in line

    def test_every_problem_is_a_line(self, prod: Settings) -> None:
        states = [found(OWNER, "owner none"), found(LOOK, "problem clock: late\nproblem memory: small")]
        assert obstacles(prod, states) == ["clock: late", "memory: small"]


@pytest.mark.parametrize("seconds", [-3600, -50, 50, 3600])
def test_the_clock(bash: Bash, seconds: int) -> None:
    said = bash(f"preflight_clock $(($(date +%s) - {seconds}))").stdout
    word = "ahead of" if seconds > 0 else "behind"
    assert (f"{word} this machine's" in said) == (abs(seconds) > 60)


@pytest.mark.parametrize("length", [1, 32, 64, 127, 128, 129, 300])
def test_hmac_is_that_of_the_standard(bash: Bash, length: int) -> None:
    key, data = bytes(range(256))[:length] * (1 if length <= 256 else 2), bytes(range(256))
    encoded = base64.b64encode(key).decode()
    made = bash(f"hmac_sha512 {encoded} {data.hex()}").stdout.strip()
    assert made == hmac.new(key, data, hashlib.sha512).hexdigest()


def test_a_question_as_rfc_1035_has_it(bash: Bash) -> None:
    asked = bash("dns_question itqan.test. SOA").stdout
    assert bytes.fromhex(asked) == (
        b"\0\0\x01\0\0\x01\0\0\0\0\0\0" + b"\x05itqan\x04test\0" + b"\0\x06\0\x01"
    )


def test_a_signed_message_has_its_tsig_record(bash: Bash) -> None:
    message = bash("dns_question a.test NS").stdout
    signed = bytes.fromhex(bash(f"dns_signed {message} Key.Name. c2VjcmV0").stdout)
    plain = bytes.fromhex(message)
    name, algorithm = b"\x03key\x04name\0", b"\x0bhmac-sha512\0"
    start = len(plain) + len(name) + 10 + len(algorithm)
    when = signed[start : start + 6]
    variables = name + b"\0\xff\0\0\0\0" + algorithm + when + b"\x01\x2c\0\0\0\0"
    mac = hmac.new(b"secret", plain + variables, hashlib.sha512).digest()
    data = algorithm + when + b"\x01\x2c\0\x40" + mac + b"\0\0\0\0\0\0"
    assert signed == (
        plain[:10]
        + b"\0\x01"
        + plain[12:]
        + name
        + b"\0\xfa\0\xff\0\0\0\0"
        + len(data).to_bytes(2, "big")
        + data
    )


HOSTINGER = {"dns": {"provider": "hostinger", "conference": "external"}, "hostingerToken": "t0ken"}


def test_hostinger_is_asked_with_the_token_that_stands_in_no_text(
    stack: Callable[..., Settings], ubuntu: Platform
) -> None:
    made = unit(stack("prod", **HOSTINGER), ubuntu)
    assert {"token", "delegated"} <= set(checks(made))
    assert made.secret and "token = t0ken" in (made.payload or "")
    assert "t0ken" not in f"{made.probe}{made.expect}{made.apply}"
    other = unit(stack("prod", **{**HOSTINGER, "hostingerToken": "other"}), ubuntu)
    assert made.probe != other.probe, "another token is tried again"


@pytest.mark.parametrize(
    ("token", "zone", "fault", "line"),
    [
        ("t0ken", "itqan.test", None, ""),
        ("wrong", "itqan.test", None, "401, the token is not accepted"),
        ("t0ken", "other.test", None, "404, the account has no such zone"),
        ("t0ken", "itqan.test", Fault(status=403), "403, the token's owner may not change this zone"),
        ("t0ken", "itqan.test", Fault(status=429), "429, the API's limit of requests is reached"),
        ("t0ken", "itqan.test", Fault(status=500), "500, the API itself fails"),
        ("t0ken", "itqan.test", Fault(content=b"<html>", status=200), "the answer is not JSON"),
    ],
)
def test_the_token_is_tried_on_the_zone(
    bash: Bash, stack: Callable[..., Settings], token: str, zone: str, fault: Fault | None, line: str
) -> None:
    """The very payload of the unit, with the fake's address in the place of the API's."""
    settings = stack("prod", **{**HOSTINGER, "hostingerToken": token}, domain=zone)
    with Hostinger("itqan.test", [], "t0ken") as fake:
        if fault:
            fake.faults.append(fault)
        secret = (_secret(settings) or "").replace(settings.dns.api, fake.url)
        script = "\n".join(
            ["secret=$(cat <<'SECRET'", f"{secret}SECRET", ")", f"preflight_token {fake.url},{zone}"]
        )
        said = bash(script).stdout
        assert fake.called() == [f"GET {zone}"], "asked once"
    if line:
        assert said.startswith(f"problem DNS: GET {fake.url}") and line in said and said.count("\n") == 1
    else:
        assert said == ""
    assert token not in said

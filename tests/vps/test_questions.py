"""`init` at a terminal: what it asks, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.copy import ROOT
from tests.typist import CTRL_C, Typist

from .conftest import FURTHER, Vps, pointed_at
from .hoster import Hoster

STACK = "vps-asked"


@pytest.fixture
def asked(vps: Vps, hoster: Hoster, key: Path) -> Iterator[Vps]:
    """A further stack for the server that nothing was done to."""
    with pointed_at(STACK, vps.server, hoster, key) as made:
        yield made


def answer_the_place(person: Typist, vps: Vps) -> None:
    """All questions up to the host key, some of them wrong at first."""
    person.sees("name or address that SSH reaches the host by")
    person.types("root@nowhere")
    person.sees("'root@nowhere': allowed: a host name or an address")
    person.types(vps.server.address)
    person.sees("port of its SSH server [22]: ")
    person.types("ssh")
    person.sees("'ssh': allowed: a port, 1 to 65535")
    person.types("")
    person.sees("who logs in")
    person.types("root")
    person.sees("domain of the site [itqan.test]: ")
    person.types("")
    person.sees("IPv4 address that the domain's records point to")
    person.types("1.2.3")
    person.sees("'1.2.3': allowed: ")
    for text in ("records point to", "certificate's account", "git URL", "who changes the zone"):
        person.sees(text)
        person.types("")
    for text in ("the zone's primary", "name of the TSIG key"):
        person.sees(text)
        person.types("")
    person.sees("file of the private key that logs in")
    person.types("/nowhere/id_ed25519")
    person.sees("--key: /nowhere/id_ed25519: ")
    person.types(str(vps.key))
    person.sees(f"host key of {vps.server.address} port 22: {vps.fingerprint()}")
    person.sees("Does the provider's console show the same? Type yes or no: ")


def init(vps: Vps) -> Typist:
    """`./itqan init` as it is typed."""
    return Typist([str(ROOT / "itqan"), "init", vps.stack], ROOT)


def test_a_host_key_that_is_not_confirmed_is_not_stored(asked: Vps) -> None:
    with init(asked) as person:
        answer_the_place(person, asked)
        person.types("no")
        person.sees("the host key was not confirmed; nothing was stored")
        assert person.status() == 1
    assert "hostKey" not in asked.file.read_text()


def test_ctrl_c_stores_nothing(asked: Vps) -> None:
    with init(asked) as person:
        answer_the_place(person, asked)
        person.insists(CTRL_C, "itqan: interrupted")
        assert person.status() == 130
    assert "hostKey" not in asked.file.read_text()


def test_answers_become_configuration_and_secrets_are_not_shown(asked: Vps) -> None:
    secrets = {
        "TSIG": asked.hoster.tsig_secret,
        "MAIL_USERNAME": FURTHER["mailUsername"],
        "MAIL_PASSWORD": FURTHER["mailPassword"],
        "LIVEKIT_API_KEY": FURTHER["livekitApiKey"],
        "LIVEKIT_API_SECRET": FURTHER["livekitApiSecret"],
    }
    with init(asked) as person:
        answer_the_place(person, asked)
        person.types("y")
        person.sees("allowed: yes or no")
        person.types("yes")
        for name in ("MAIL_USERNAME", "MAIL_PASSWORD", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "TSIG"):
            person.sees(name)
            person.sees("empty for later: ")
            person.types(secrets[name])
        person.sees(f"itqan {STACK} has all that it needs; next: ./itqan up --stack {STACK}")
        assert person.status() == 0
    assert not [value for value in secrets.values() if value in person.shown + asked.file.read_text()]
    assert asked.secret("mailPassword") == FURTHER["mailPassword"]
    assert asked.secret("tsigSecret") == asked.hoster.tsig_secret
    assert f"host: {asked.server.address}" in asked.file.read_text()

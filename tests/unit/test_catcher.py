"""The catcher: what it keeps, what it answers, and the rules that lead everything to it."""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from components import catcher as component
from components.release import environment
from components.unit import Unit
from files.catcher import catcher
from settings import Settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("catcher")


@pytest.fixture(scope="module")
def store(folder: Path) -> catcher.Store:
    return catcher.Store(folder)


@pytest.fixture(scope="module")
def ports(folder: Path, store: catcher.Store) -> Iterator[tuple[int, int]]:
    """Where mail is taken, and everything else."""
    authority = catcher.Authority(folder)
    servers = [catcher.Catcher(0, store, authority, is_mail=is_mail) for is_mail in (True, False)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield servers[0].server_address[1], servers[1].server_address[1]
    for server in servers:
        server.shutdown()
        server.server_close()


def newest(store: catcher.Store) -> dict[str, str]:
    return store.entry(store.numbers()[-1])


def test_mail_is_kept_as_it_was_sent(ports: tuple[int, int], store: catcher.Store) -> None:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "مرحبا", "a@example.org", "b@example.org"
    mail.set_content(".\n..dots\nend\n")
    with smtplib.SMTP("127.0.0.1", ports[0], timeout=10) as client:
        client.send_message(mail, to_addrs=["b@example.org", "c@example.org"])
        client.send_message(mail)
    assert newest(store)["to"] == "b@example.org"
    entry = store.entry(store.numbers()[-2])
    assert (entry["kind"], entry["to"], entry["what"]) == ("mail", "b@example.org, c@example.org", "مرحبا")
    assert "\n.\r\n..dots\r\nend" in entry["text"].replace("\n.\n", "\n.\r\n")


def test_a_mail_that_breaks_off_is_not_taken_for_a_whole_one(
    ports: tuple[int, int], store: catcher.Store
) -> None:
    before = len(store.numbers())
    with socket.create_connection(("127.0.0.1", ports[0]), timeout=10) as connection:
        connection.sendall(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: half\r\n\r\nhal")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1024):
            pass
    for _ in range(100):
        if len(store.numbers()) > before:
            break
        threading.Event().wait(0.05)
    assert newest(store)["what"] == "broken off: the connection ended within a mail"


def test_https_of_any_name_is_answered_under_the_copys_authority(
    ports: tuple[int, int], store: catcher.Store, folder: Path
) -> None:
    context = ssl.create_default_context(cafile=folder / "authority.pem")
    for name in ("hooks.example.org", "api.example.net"):
        with (
            socket.create_connection(("127.0.0.1", ports[1]), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=name) as connection,
        ):
            body = b"5\r\nhello\r\n4;x=y\r\n you\r\n0\r\n\r\n"
            head = f"PUT /x HTTP/1.1\r\nHost: {name}\r\nTransfer-Encoding: chunked\r\n\r\n"
            connection.sendall(head.encode() + body)
            connection.settimeout(10)
            answer = b""
            while not answer.endswith(b"}\n"):
                answer += connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert answer.endswith(b'{"caught": true}\n')
        assert (newest(store)["to"], newest(store)["what"]) == (f"https://{name}", "PUT /x")
        assert newest(store)["text"].endswith("hello you")


def test_http_is_answered(ports: tuple[int, int], store: catcher.Store) -> None:
    address = f"http://127.0.0.1:{ports[1]}/hook?a=b"
    with urllib.request.urlopen(address, b"text=hi", timeout=10) as answer:
        assert answer.read() == b'{"caught": true}\n'
    assert newest(store)["what"] == "POST /hook?a=b"
    assert newest(store)["text"].endswith("text=hi")


def test_only_the_newest_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catcher, "KEPT", 3)
    store = catcher.Store(tmp_path)
    for number in range(5):
        store.keep("other", "x", f"thing {number}\nwith two lines", b"")
    assert [entry["what"] for entry in store.entries()] == [f"thing {n} with two lines" for n in (2, 3, 4)]
    assert store.numbers() == [3, 4, 5]


def test_only_copies_have_a_catcher(
    prod_units: dict[str, Unit], staging_units: dict[str, Unit], prod: Settings
) -> None:
    assert not [name for name in prod_units if name.startswith("catcher/")]
    assert [name for name in staging_units if name.startswith("catcher/")] == [
        *(
            "catcher/program",
            "catcher/service",
            "catcher/authority",
            "catcher/nftables",
            "catcher/rules",
            "catcher/firewall",
        ),
    ]
    assert environment(prod)["MAIL_HOST"] == "smtp.hostinger.com"


def test_a_copys_mail_goes_to_the_catcher_whatever_it_is_told(stack: Callable[..., Settings]) -> None:
    further = {"MAIL_MAILER": "ses", "MAIL_URL": "smtp://elsewhere", "MAIL_SCHEME": "smtps"}
    settings = stack("staging", environment=further, mailUsername="someone", mailPassword="secret")
    variables = environment(settings)
    found = {
        name: value for name, value in variables.items() if name.startswith("MAIL_") and "FROM" not in name
    }
    assert found == {
        "MAIL_MAILER": "smtp",
        "MAIL_HOST": "127.0.0.1",
        "MAIL_PORT": "1025",
        "MAIL_ENCRYPTION": "null",
        "MAIL_SCHEME": "null",
        "MAIL_URL": "null",
        "MAIL_USERNAME": "null",
        "MAIL_PASSWORD": "null",
    }


def test_the_rules_name_the_copys_own_network_and_user(staging: Settings) -> None:
    rules = component.rules(staging)
    assert rules.count(f"ip daddr {staging.subnet} accept") == 2
    assert rules.count('meta skuid != "www-data" accept') == 2
    assert component.MAIL_PORT == catcher.MAIL_PORT
    assert component.OTHER_PORT == catcher.OTHER_PORT
    assert str(catcher.FOLDER) == component.FOLDER

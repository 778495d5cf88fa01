"""`init` without a host: what it reads, what it refuses, what it says of a host key."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from operations.errors import ConfigurationError, OperationError
from operations.init import _read_key, _shown_host_key, parsed_secrets
from operations.questions import QUESTIONS
from settings import stack_file_config

ROOT = Path(__file__).resolve().parents[2]


def test_secrets_are_strings_by_name() -> None:
    assert parsed_secrets('{"mailPassword": "a\\nb"}') == {"mailPassword": "a\nb"}


@pytest.mark.parametrize(
    "text", ["", "geheim", '["geheim"]', '{"mailPassword": 5}', '{"geheimName": "geheim"}']
)
def test_what_is_no_secret_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--secrets") as error:
        parsed_secrets(text)
    assert "geheim" not in str(error.value).replace("geheimName", "")


def test_every_question_has_its_place_in_the_configuration() -> None:
    assert len({question.option for question in QUESTIONS}) == len(QUESTIONS)
    known = stack_file_config(ROOT / "Pulumi.prod.yaml")
    assert {question.key.partition(".")[0] for question in QUESTIONS} <= known.keys()


def test_a_key_that_nobody_could_use_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    with pytest.raises(ConfigurationError, match="No such file"):
        _read_key(file)
    key = asyncssh.generate_private_key("ssh-ed25519")
    file.write_bytes(key.export_private_key())
    assert _read_key(file) == file.read_text()
    file.write_text("no key")
    with pytest.raises(ConfigurationError, match="--new-key"):
        _read_key(file)


@pytest.fixture
def sshd() -> Iterator[tuple[int, asyncssh.SSHKey]]:
    """A server on loopback: its port and its host key."""
    loop, key = asyncio.new_event_loop(), asyncssh.generate_private_key("ssh-ed25519")
    server = loop.run_until_complete(asyncssh.listen("127.0.0.1", 0, server_host_keys=[key]))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield server.get_port(), key
    server.close()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_the_host_key_as_it_is_shown(sshd: tuple[int, asyncssh.SSHKey]) -> None:
    port, key = sshd
    shown, fingerprint = _shown_host_key("127.0.0.1", port)
    assert shown.split()[:2] == key.export_public_key().decode().split()[:2]
    assert fingerprint == key.get_fingerprint()


def test_a_host_without_sshd_is_one_line() -> None:
    with pytest.raises(OperationError, match=r"127\.0\.0\.1 port 1 shows no host key"):
        _shown_host_key("127.0.0.1", 1)

"""The audit with the observer's key alone: every mistake is told in one line."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from operations import audit, observed
from operations.errors import ConfigurationError, OperationError
from operations.observed import audit_with_key
from tests.conftest import OBSERVER_KEY

SERVER = """config:
  itqan:extends: prod
  itqan:connection: {host: 127.0.0.1, port: PORT, hostKey: HOST_KEY}
""".replace("HOST_KEY", OBSERVER_KEY)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path) -> Path:
    """A folder with the shipped stacks' files."""
    for name in ("prod", "staging"):
        (tmp_path / f"Pulumi.{name}.yaml").write_text((root / f"Pulumi.{name}.yaml").read_text())
    for module in (audit, observed):
        monkeypatch.setattr(module, "stack_file", lambda name: tmp_path / f"Pulumi.{name}.yaml")
    monkeypatch.setattr(observed, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("stack", "line"),
    [
        ("gone", r"stack gone: Pulumi\.gone\.yaml does not exist; type: \./itqan up --stack gone"),
        ("staging", r"--observer-key: stack staging is a copy; type: \./itqan audit staging"),
        ("prod", r"Pulumi\.prod\.yaml lacks itqan:connection\.hostKey; type: \./itqan init prod"),
    ],
)
def test_a_stack_that_has_no_server(checkout: Path, stack: str, line: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{line}$"):
        audit_with_key(stack, checkout / "key")


def test_a_key_that_is_not_there(checkout: Path) -> None:
    (checkout / "Pulumi.mine.yaml").write_text(SERVER.replace("PORT", "22"))
    with pytest.raises(ConfigurationError, match=r"^--observer-key: \S+/key: .*No such file"):
        audit_with_key("mine", checkout / "key")


def test_a_key_that_is_none_is_not_shown(checkout: Path) -> None:
    (checkout / "Pulumi.mine.yaml").write_text(SERVER.replace("PORT", "22"))
    (checkout / "key").write_text("geheim")
    with pytest.raises(OperationError, match="--observer-key or the host key cannot be read") as refused:
        audit_with_key("mine", checkout / "key")
    assert "geheim" not in str(refused.value)


def test_a_server_that_does_not_answer(checkout: Path, secrets: dict[str, str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (checkout / "Pulumi.mine.yaml").write_text(SERVER.replace("PORT", str(port)))
    (checkout / "key").write_text(secrets["observerPrivateKey"])
    with pytest.raises(OperationError) as refused:
        audit_with_key("mine", checkout / "key")
    reason = "connection refused: does sshd run on that port?"
    assert str(refused.value) == f"cannot look at itqan-observer@127.0.0.1 port {port}: {reason}"

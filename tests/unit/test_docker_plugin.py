"""The fallback docker plugin's way to a daemon over SSH: options go to ssh, the library speaks through it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.plugins.common.engine import Engine
from tools.plugins.docker.daemon import Address, Daemon, Unreachable
from tools.plugins.docker.provider import DockerProvider

ANSWER = 'printf "HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s"'
PING = f"{ANSWER} 2 OK"
VERSION = f'{ANSWER} 21 \'{{"ApiVersion":"1.41"}} \''
OPTIONS = ("-i", "key", "-o", "BatchMode=yes")


@pytest.fixture
def ssh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """A function: puts a program in the place of ssh. Returns where it notes its arguments."""

    def make(script: str) -> Path:
        (tmp_path / "ssh").write_text(f'#!/bin/bash\necho "$*" >>{tmp_path}/asked\n{script}\n')
        (tmp_path / "ssh").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return tmp_path / "asked"

    return make


def test_ssh_gets_options_user_and_port(ssh: Callable[[str], Path]) -> None:
    asked = ssh(f"read -r _; {PING}")
    Daemon(Address("ssh://deploy@one.example.com:2222", ssh_options=OPTIONS)).ping()
    assert asked.read_text().splitlines() == [
        "-i key -o BatchMode=yes -l deploy -p 2222 -- one.example.com docker system dial-stdio"
    ]


def test_the_library_speaks_through_ssh(ssh: Callable[[str], Path]) -> None:
    ssh(f"while read -r line; do [[ $line != $'\\r' ]] || {VERSION}; done")
    client = Daemon(Address("ssh://deploy@one.example.com", ssh_options=OPTIONS)).client
    assert client.version()["ApiVersion"] == "1.41"


def test_a_host_that_is_not_there_is_the_official_plugins_error(ssh: Callable[[str], Path]) -> None:
    ssh("exit 255")
    with pytest.raises(Unreachable, match="Cannot connect to the Docker daemon at ssh://deploy@one"):
        Daemon(Address("ssh://deploy@one.example.com")).ping()


def test_the_provider_reads_them_as_the_engine_sends_them(ssh: Callable[[str], Path]) -> None:
    """Structured settings come as JSON among the variables."""
    asked = ssh(f"read -r _; {PING}")
    provider = DockerProvider(Engine("127.0.0.1:1"))
    variables = {"docker:config:host": "ssh://root@one", "docker:config:sshOpts": json.dumps(OPTIONS)}
    provider.configure(variables, {"host": "ssh://root@one", "sshOpts": list(OPTIONS)})
    assert asked.read_text() == "-i key -o BatchMode=yes -l root -- one docker system dial-stdio\n"

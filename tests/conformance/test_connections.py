"""The connections of the command plugin: shared, limited, dialled again, tunnelled, by key or agent."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tools.plugins.command.provider import CommandProvider
from tools.plugins.common.engine import Engine
from tools.plugins.common.provider import CheckOptions, ProviderError, Resource

from .conftest import wait_for_ssh

# SSH_CONNECTION is "client address, client port, …": the port tells connections apart.
CLIENT_PORT = "echo $SSH_CONNECTION | cut -d' ' -f2"
RESOURCE = Resource(
    "urn:pulumi:dev::conformance::command:remote:Command::res", "res", "command:remote:Command"
)
FEW_SESSIONS = 2222  # port of a server that allows two sessions per connection
Run = Callable[..., str]


@pytest.fixture
def provider() -> Iterator[CommandProvider]:
    """A provider without connections, and without an engine to log to."""
    made = CommandProvider(Engine())
    yield made
    made.cancel()


@pytest.fixture
def run(provider: CommandProvider, sshd: str, ssh_key: Path) -> Run:
    """A function: run a command (`stdin`, and inputs of the connection may follow), return its output."""

    def run(command: str, stdin: str = "", **connection: Any) -> str:
        connection = {
            "host": sshd,
            "user": "conf",
            "privateKey": ssh_key.read_text(),
            "dialErrorLimit": 1,
            **connection,
        }
        inputs = {"connection": connection, "create": command, "stdin": stdin}
        checked = provider.check(RESOURCE, {}, inputs, CheckOptions())
        assert not checked.failures
        return str(provider.create(RESOURCE, checked.inputs, False, 0)[1]["stdout"])

    return run


@pytest.fixture
def few_sessions(sshd: str, sshd_container: Any) -> None:
    """A second server in the container, on port FEW_SESSIONS."""
    sshd_container.exec_run(["/usr/sbin/sshd", "-p", str(FEW_SESSIONS), "-o", "MaxSessions=2"], detach=True)
    wait_for_ssh(sshd, FEW_SESSIONS)


def together(run: Run, count: int, command: str, **connection: Any) -> list[str]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: run(command, **connection), range(count)))


def test_commands_share_a_connection(run: Run) -> None:
    assert len({run(CLIENT_PORT) for _ in range(3)}) == 1
    assert len(set(together(run, 8, f"{CLIENT_PORT}; sleep 0.3"))) == 1


def test_more_commands_than_sessions_open_another_connection(run: Run) -> None:
    assert len(set(together(run, 14, f"{CLIENT_PORT}; sleep 1"))) == 2


@pytest.mark.usefixtures("few_sessions")
def test_a_server_that_allows_fewer_sessions_is_respected(run: Run) -> None:
    ports = together(run, 6, f"{CLIENT_PORT}; sleep 0.5", port=FEW_SESSIONS)
    assert all(ports) and all(ports.count(port) <= 2 for port in ports)


def test_a_connection_that_died_is_dialled_again(run: Run, sshd_container: Any) -> None:
    first = run(CLIENT_PORT)
    sshd_container.exec_run(
        ["sh", "-c", "kill $(ps -eo pid=,args= | awk '/sshd.*conf/ && !/awk/ {print $1}')"]
    )
    assert run(CLIENT_PORT) not in ("", first)


def test_a_command_whose_connection_breaks_is_not_run_again(run: Run, sshd_container: Any) -> None:
    with ThreadPoolExecutor(1) as pool:
        broken = pool.submit(run, "echo x >>/tmp/runs; sleep 30")
        deadline = time.monotonic() + 10
        while sshd_container.exec_run(["test", "-s", "/tmp/runs"]).exit_code and time.monotonic() < deadline:
            time.sleep(0.1)
        sshd_container.exec_run(
            ["sh", "-c", "kill -9 $(ps -eo pid=,args= | awk '/sshd.*conf/ && !/awk/ {print $1}')"]
        )
        with pytest.raises(ProviderError, match="without exit status"):
            broken.result(10)
    assert run("cat /tmp/runs") == "x"


@pytest.mark.usefixtures("few_sessions")
def test_through_a_proxy(run: Run, ssh_key: Path, sshd: str) -> None:
    proxy = {"host": sshd, "user": "conf", "privateKey": ssh_key.read_text()}
    assert run("echo $SSH_CONNECTION", host="127.0.0.1", port=FEW_SESSIONS, proxy=proxy).startswith(
        "127.0.0.1"
    )


def test_key_of_an_agent(run: Run, ssh_key: Path, tmp_path: Path) -> None:
    socket = str(tmp_path / "agent")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        while not Path(socket).exists():
            assert agent.poll() is None
            time.sleep(0.02)
        subprocess.run(["ssh-add", "-q", str(ssh_key)], env={"SSH_AUTH_SOCK": socket}, check=True)
        assert run("echo in", privateKey=None, agentSocketPath=socket) == "in"
    finally:
        agent.terminate()
        agent.wait()


def test_cancel_ends_a_command_and_what_it_started(run: Run, provider: CommandProvider) -> None:
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(run, "sleep 61 & sleep 61; echo never")
        deadline = time.monotonic() + 10
        while run("pgrep -c -f 'sleep 61$' || true") != "2":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        provider.cancel()
        with pytest.raises(ProviderError, match="from signal TERM"):
            long.result(10)
    assert run("pgrep -f 'sleep 61$' || echo gone") == "gone"

"""One representative of each fault in the middle of an `up`; `./itqan test soak` has the many moments."""

from __future__ import annotations

import asyncio
import json

import asyncssh

from components.unit import Unit, create_text

from . import faults
from .copy import Copy, poll, pulumi
from .faults import visited, whole_run

__all__ = ["visited", "whole_run"]


def test_the_engine_is_killed(visited: Copy, whole_run: float) -> None:
    faults.kill_the_engine(visited, whole_run / 2)


def test_the_connections_are_cut(visited: Copy, whole_run: float) -> None:
    faults.cut_connections(visited, whole_run / 2)


def test_what_has_begun_goes_on_without_its_connection_under_sudo_too(visited: Copy) -> None:
    """Nobody can stop what a child of sudo does by closing a connection: so it ends what it has begun."""
    folder = "/run/faults"
    waits = f"touch {folder}/begun; until [ -e {folder}/cut ]; do sleep 0.1; done"
    apply = f"{waits}; say on; echo on; cat >{folder}/state"
    unit = Unit("test/faults", f"cat {folder}/state", "new", apply, payload="new\n")
    owner = visited.bash(f"mkdir -p {folder}; sed -n 's/^stack //p' /etc/itqan/stack")
    asyncio.run(cut_while_it_runs(visited, create_text(unit, owner, sudo=True), f"{folder}/begun"))
    visited.bash(f"touch {folder}/cut")
    poll(lambda: visited.bash(f"cat {folder}/state", check=False) == "new", 30, "the end of what had begun")
    visited.bash(f"rm -r {folder} /run/lock/itqan-test-faults.lock")


async def cut_while_it_runs(copy: Copy, command: str, begun: str) -> None:
    """The command by SSH as the deploy user, cancelled as the engine does it; then the connection is gone."""
    bundle = pulumi("config", "get", "--stack", copy.stack, "itqan:secrets").stdout
    key = asyncssh.import_private_key(json.loads(bundle)["sshPrivateKey"])
    host_key = asyncssh.import_public_key(copy.outputs["ssh"]["hostKey"])
    async with asyncssh.connect(
        copy.outputs["address"], username="deploy", client_keys=[key], known_hosts=([host_key], [], [])
    ) as connection:
        process = await connection.create_process(command, input="new\n")
        await asyncio.to_thread(
            poll, lambda: copy.bash(f"ls {begun}", check=False) == begun, 30, "the beginning"
        )
        process.send_signal("TERM")
        process.channel.close()
        connection.abort()


def test_sshd_restarts(visited: Copy) -> None:
    faults.restart_sshd(visited)


def test_the_host_reboots(visited: Copy, whole_run: float) -> None:
    faults.reboot(visited, whole_run / 2)


def test_the_disk_is_full(visited: Copy) -> None:
    faults.full_disk_is_said(visited, *faults.FULL["env"])


def test_dpkg_is_locked(visited: Copy) -> None:
    faults.lock_dpkg(visited, 5)


def test_a_download_fails(visited: Copy) -> None:
    faults.fail_a_download(visited)


def test_two_runs_at_once(visited: Copy) -> None:
    faults.two_at_once(visited)


def test_the_default_of_sshd_for_new_connections(visited: Copy) -> None:
    faults.default_startups(visited)

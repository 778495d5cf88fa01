"""Observation: every probe in one script, every answer back, whole and unmixed."""

from __future__ import annotations

import asyncio
import socket
import subprocess

import pytest

from components.observation import (
    Endpoint,
    State,
    Unreachable,
    network_reason,
    observe,
    parse,
    script,
)
from components.unit import Unit

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"


def look(units: list[Unit]) -> bytes:
    """What a local bash prints for the units."""
    done = subprocess.run(["bash"], input=script(units).encode(), capture_output=True, check=True, timeout=20)
    assert done.stderr == b""
    return done.stdout


def unit(name: str, probe: str, expect: str = "x") -> Unit:
    """A unit that is only looked at."""
    return Unit(f"test/{name}", probe, expect, "true")


def test_every_unit_comes_back_in_order() -> None:
    units = [
        unit("quick", "echo one; echo two", "one\ntwo"),
        unit("slow", "sleep 0.2; echo slow", "slow"),
        unit("silent", "true"),
        unit("failing", "echo before; false; echo after; exit 3", "before\nafter"),
        unit("broken", "if"),
        unit("quotes", "printf '%s\\n' \"a 'b' \\$c\" '$(id)' '`' 'a\\nb'", "a 'b' $c\n$(id)\n`\na\\nb"),
        unit("unicode", "echo إتقان", "إتقان"),
        unit("library", "probe_file /gone", "file /gone absent"),
        unit("reads", "cat; echo end", "end"),
    ]
    states = parse(look(units), units)
    assert [state.unit for state in states] == units
    healthy = {state.unit.name.partition("/")[2] for state in states if state.healthy}
    assert healthy == {"quick", "slow", "failing", "quotes", "unicode", "library", "reads"}


def test_probes_run_side_by_side() -> None:
    units = [unit(f"n{number}", "sleep 0.4; echo x") for number in range(60)]
    assert all(state.healthy for state in parse(look(units), units))


def test_long_answers_stay_whole_and_unmixed() -> None:
    units = [unit(f"n{number}", f"yes 'line {number} é' | head -c 100000") for number in range(8)]
    for number, state in enumerate(parse(look(units), units)):
        line = f"line {number} é\n".encode()
        expected = (line * (100000 // len(line) + 1))[:100000]
        assert state.found == expected.decode(errors="replace").rstrip("\n")


def test_one_probe_cannot_disturb_another() -> None:
    units = [
        unit("a", "cd /; set -e; name=other; found=; exec 1>&-; exit 9"),
        unit("b", "exec >/dev/null; kill -9 $BASHPID"),
        unit("c", 'echo "$PWD" >/dev/null; echo x'),
    ]
    assert [state.found for state in parse(look(units), units)] == ["", "", "x"]


@pytest.mark.parametrize("kept", [-1, -2, -5, -8, 3, 0])
def test_a_truncated_answer_is_an_error(kept: int) -> None:
    units = [unit("a", "echo x")]
    with pytest.raises(Unreachable, match="the host ended the connection or has no bash"):
        parse(b"test/a x\ndone\n"[:kept], units)


def test_a_greeting_of_the_host_is_not_an_answer() -> None:
    (state,) = parse(b"Welcome!\n\ntest/a x\ndone\n", [unit("a", "true")])
    assert state.healthy


def test_pieces_are_put_together() -> None:
    first, second = "é".encode()[:1], "é".encode()[1:]
    output = b"test/a %b\ntest/b b\ntest/a %b\x1fmore\x1f\ndone\n" % (first, second)
    assert [state.found for state in parse(output, [unit("a", ""), unit("b", "")])] == ["é\nmore", "b"]


@pytest.mark.parametrize(
    ("expect", "found", "difference"),
    [
        ("a\nb", "a\nc", ("b", "c")),
        ("a\nb", "a", ("b", "nothing")),
        ("a", "a\nb", ("nothing more", "b")),
        ("a\nb\nc", "", ("a; b; c", "nothing")),
        ("a\nb", "b\na", ("nothing more", "nothing")),
    ],
)
def test_difference(expect: str, found: str, difference: tuple[str, str]) -> None:
    state = State(unit("a", "true", expect), found)
    assert not state.healthy
    assert state.difference == difference


def test_every_real_probe_answers_on_a_foreign_host(every_variant: list[list[Unit]]) -> None:
    """Whatever is on this machine: every probe ends, prints something, and nothing on standard error."""
    # a name server would be asked over the network
    probes = {unit.probe: unit for units in every_variant for unit in units if unit.part != "dns"}
    units = [Unit(f"test/n{number}", probe, "x", "true") for number, probe in enumerate(probes)]
    states = parse(look(units), units)
    assert [state.unit.probe for state in states if not state.found] == []


def test_a_host_that_refuses_is_told_in_one_line(secrets: dict[str, str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoint = Endpoint("127.0.0.1", port, "deploy", secrets["sshPrivateKey"], HOST_KEY)
    with pytest.raises(
        Unreachable, match=f"^cannot look at deploy@127.0.0.1 port {port}: connection refused"
    ):
        asyncio.run(observe(endpoint, [unit("a", "true")]))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(113, "Connect call failed ('192.0.2.1', 22)"), "No route to host"),
        (
            OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 22, 0, 0), "
                    "[Errno 101] Connect call failed ('192.0.2.1', 22)"),
            "Connection refused; Network is unreachable",
        ),
        (OSError(104, "Connection reset by peer"), "Connection reset by peer"),
    ],
)  # fmt: skip
def test_why_a_connection_failed_is_told_in_words(error: OSError, words: str) -> None:
    assert network_reason(error) == words


def test_a_key_that_cannot_be_read_is_told_without_showing_it() -> None:
    endpoint = Endpoint("127.0.0.1", 1, "deploy", "geheim", HOST_KEY)
    with pytest.raises(Unreachable, match="sshPrivateKey or the host key cannot be read") as refused:
        asyncio.run(observe(endpoint, [unit("a", "true")]))
    assert "geheim" not in str(refused.value)

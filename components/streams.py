"""Programs on a host that are given something, or that give it to one on another host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import IO, TYPE_CHECKING

from .observation import Done, Endpoint, Unreachable, _connected, _told, failed, network_reason
from .unit import Unit, create_text

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection, SSHClientProcess

PIECE = 1 << 16  # bytes
Heard = Callable[[str], None]


async def converse(endpoint: Endpoint, command: str, given: bytes, heard: Heard) -> Done:
    """Run a command as root on a host, however long it takes.

    Arguments: `given`, its standard input; `heard`, called with each line of its standard error.
    Raises Unreachable.
    """
    try:
        async with _connected(endpoint) as connection:
            with _told(endpoint):
                process = await connection.create_process(rooted(endpoint, command), encoding=None)
                process.stdin.write(given)
                process.stdin.write_eof()
                words, output = await asyncio.gather(_listen(process, heard), process.stdout.read())
                await process.wait()
    except ConnectionRefusedError as error:
        raise Unreachable(failed(endpoint, network_reason(error))) from None
    return Done(process.exit_status, output, words)


async def relay(source: Endpoint, sending: str, target: Endpoint, receiving: str, heard: Heard) -> bool:
    """Give what a command on one host prints to one on another, piece by piece.

    Returns whether both did what they had to. Raises Unreachable.
    """
    try:
        async with _connected(source) as first, _connected(target) as second:
            with _told(source), _told(target):
                sender = await first.create_process(rooted(source, sending), encoding=None)
                receiver = await second.create_process(rooted(target, receiving), encoding=None)
                await asyncio.gather(
                    _pass_on(sender, receiver), *(_listen(p, heard) for p in (sender, receiver))
                )
                await asyncio.gather(sender.wait(), receiver.wait())
    except ConnectionRefusedError as error:
        raise Unreachable(failed(source, network_reason(error))) from None
    return sender.exit_status == 0 == receiver.exit_status


@asynccontextmanager
async def connected(*endpoints: Endpoint) -> AsyncIterator[list[SSHClientConnection]]:
    """A connection to each host. Raises Unreachable for what goes wrong with one, then and later."""
    async with AsyncExitStack() as opened:
        made = []
        for endpoint in endpoints:
            try:
                made.append(await opened.enter_async_context(_connected(endpoint)))
            except ConnectionRefusedError as error:
                raise Unreachable(failed(endpoint, network_reason(error))) from None
            opened.enter_context(_told(endpoint))
        yield made


async def piped(
    connection: SSHClientConnection,
    command: str,
    *,
    given: IO[bytes] | None = None,
    taken: IO[bytes] | None = None,
) -> Done:
    """Run a command over a connection, its standard input and output being the ends of pipes.

    Arguments: `given`, where its input comes from; `taken`, where its output goes; both are closed with it.
    """
    import asyncssh

    process = await connection.create_process(
        command, stdin=given or asyncssh.DEVNULL, stdout=taken or asyncssh.PIPE, encoding=None
    )
    try:
        words = await _listen(process, lambda _: None)
        await process.wait()
    finally:
        process.close()  # whoever reads or writes the other ends learns that it is over
    return Done(process.exit_status, b"", words)


async def bring(endpoint: Endpoint, unit: Unit, owner: str, heard: Heard) -> bool:
    """Bring one unit to a host that has the runner, outside a run of the engine.

    Arguments: `owner`, the stack that the host must belong to.
    Returns whether the host is as the unit says. Raises Unreachable.
    """
    text = create_text(unit, owner, sudo=False)
    return (await converse(endpoint, text, (unit.payload or "").encode(), heard)).status == 0


async def _pass_on(sender: SSHClientProcess[bytes], receiver: SSHClientProcess[bytes]) -> None:
    while piece := await sender.stdout.read(PIECE):
        receiver.stdin.write(piece)
        await receiver.stdin.drain()
    receiver.stdin.write_eof()


async def _listen(process: SSHClientProcess[bytes], heard: Heard) -> str:
    """Each line of standard error. Returns the last one."""
    last = ""
    async for line in process.stderr:
        text = line.decode(errors="replace").strip()
        heard(text)
        last = text or last
    return last


def rooted(endpoint: Endpoint, command: str) -> str:
    """A command as root runs it, whoever logs in."""
    return f"sudo -n {command}" if endpoint.sudo else command

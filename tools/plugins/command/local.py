"""Runs a command on this machine."""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process

from tools.plugins.command.execution import Job
from tools.plugins.command.output import STDERR, STDOUT, Output

_CHUNK = 65536  # bytes read at once


async def run(job: Job, interpreter: list[str], directory: str | None, output: Output) -> str | None:
    """Run a command to its end; when cancelled, kill it with everything that it started.

    Args:
        interpreter: program and arguments that the command's text is appended to.
        directory: to run in; None for the plugin's own.
        output: receives what the command prints.

    Returns:
        None if it succeeded, else what went wrong in the words of the official plugin.
    """
    words = [*interpreter, job.command]
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            cwd=directory,
            env={**os.environ, **job.previous, **job.environment},
            stdin=DEVNULL if job.stdin is None else PIPE,
            stdout=PIPE,
            stderr=PIPE,
            start_new_session=True,
        )
    except OSError as error:
        return _not_started(error, words[0], directory)
    talk = asyncio.gather(
        _write(process, job.stdin_bytes()),
        _read(process.stdout, STDOUT, output),
        _read(process.stderr, STDERR, output),
    )
    try:
        await asyncio.shield(talk)
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself in this moment
            os.killpg(process.pid, signal.SIGKILL)
        await talk
    return _failure(await process.wait())


async def _write(process: Process, data: bytes) -> None:
    if process.stdin is None:
        return
    # A command need not read its input.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()


async def _read(pipe: asyncio.StreamReader | None, stream: str, output: Output) -> None:
    assert pipe is not None
    while data := await pipe.read(_CHUNK):
        output.feed(stream, data)


def _not_started(error: OSError, program: str, directory: str | None) -> str:
    reason = (error.strerror or str(error)).lower()
    if directory is not None and error.filename == directory:
        return f"chdir {directory}: {reason}"
    if "/" not in program:
        return f'exec: "{program}": executable file not found in $PATH'
    return f"fork/exec {program}: {reason}"


def _failure(returncode: int) -> str | None:
    if returncode < 0:
        return f"signal: {(signal.strsignal(-returncode) or str(-returncode)).lower()}"
    return f"exit status {returncode}" if returncode else None

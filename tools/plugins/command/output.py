"""What a command prints: kept for the state and the errors, logged line by line while it runs."""

import asyncio
from collections.abc import Callable

STDOUT, STDERR = "stdout", "stderr"
# Input `logging`: the streams that are shown. Any other value shows none, as the official plugin does.
_SHOWN = {"stdout": {STDOUT}, "stderr": {STDERR}, "stdoutAndStderr": {STDOUT, STDERR}}


class Output:
    """Collects both streams of one command.

    Args:
        logging: value of the input of that name.
        log: shows one line to the user; may block, so it is called on another thread, in order.
    """

    def __init__(self, logging: str | None, log: Callable[[str], None]) -> None:
        self._shown = _SHOWN.get("stdoutAndStderr" if logging is None else logging, set())
        self._log = log
        self._whole = {STDOUT: bytearray(), STDERR: bytearray()}
        self._line = {STDOUT: b"", STDERR: b""}
        self._both = bytearray()
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._logger = asyncio.create_task(self._write_log())

    def feed(self, stream: str, data: bytes) -> None:
        """Take the next bytes of a stream."""
        self._whole[stream] += data
        self._both += data
        if stream in self._shown:
            *lines, self._line[stream] = (self._line[stream] + data).split(b"\n")
            for line in lines:
                self._lines.put_nowait(line)

    async def finish(self) -> None:
        """Log what is left and wait until all of it is shown."""
        for rest in self._line.values():
            if rest:
                self._lines.put_nowait(rest)
        self._lines.put_nowait(None)
        await self._logger

    async def _write_log(self) -> None:
        loop = asyncio.get_running_loop()
        while (line := await self._lines.get()) is not None:
            text = _text(line.removesuffix(b"\r"))
            await loop.run_in_executor(None, self._log, text)

    @property
    def stdout(self) -> str:
        """Standard output without its last newline."""
        return _text(self._whole[STDOUT].removesuffix(b"\n"))

    @property
    def stderr(self) -> str:
        """Standard error without its last newline."""
        return _text(self._whole[STDERR].removesuffix(b"\n"))

    @property
    def both(self) -> str:
        """Both streams in the order in which they came."""
        return _text(self._both)


def _text(data: bytes | bytearray) -> str:
    return data.decode(errors="surrogateescape")

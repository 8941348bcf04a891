"""A line that can be cut: stands between a process and what it reaches, and fails when told to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.contextmanager
def kept_port() -> Iterator[int]:
    """A port at which a server of ours may listen meanwhile; nobody else on this machine is given it by chance."""
    with socket.socket() as kept:
        # Bound without listening: whoever asks for any free port gets another, and who asks for this one gets it.
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


class Relay:
    """Passes bytes on; `cut` breaks what stands and refuses what is new, `hold` lets nothing through for a while."""

    def __init__(self, reach: Callable[[], Awaitable[Streams]]) -> None:
        self._reach = reach
        self._open = True
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def listen(self, path: Path | None = None) -> None:
        """Take connections at a Unix socket, or at a free port of this machine."""
        if path is not None:
            self._server = await asyncio.start_unix_server(self._accept, path)
        else:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1")
            self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        self._open = False
        for writer in set(self._writers):
            writer.transport.abort()

    def hold(self) -> None:
        """Let nothing through, and break nothing: the other side is just not heard."""
        self._flows.clear()

    def heal(self) -> None:
        """Work again; what was held goes through."""
        self._open = True
        self._flows.set()

    async def close(self) -> None:
        """Break everything and stop listening."""
        self.cut()
        self._flows.set()
        if self._server is not None:
            self._server.close()
        for task in set(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._pass(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await self._reach()
        except OSError:
            writer.transport.abort()
            return
        both = {writer, far_writer}
        self._writers |= both
        ways = [
            asyncio.create_task(self._pump(reader, far_writer)),
            asyncio.create_task(self._pump(far_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for one in both:
                one.transport.abort()
            await asyncio.gather(*ways, return_exceptions=True)
            self._writers -= both

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()

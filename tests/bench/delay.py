"""A way that takes its time: python -m tests.bench.delay SECONDS TARGET...

Lends TCP connections to each target, HOST:PORT or the path of a Unix socket, and prints a port for each. What is sent
either way arrives SECONDS later, in its order. What it costs itself is told by a run with 0 seconds.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from functools import partial


class Way(asyncio.Protocol):
    """One end of a connection; what comes here goes out at the *other* end, later."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.other: Way | None = None
        self.transport: asyncio.WriteTransport | None = None
        # Timers of one moment may run in any order, so each sends what is next.
        self._under_way: deque[bytes] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._under_way.append(data)
        if self.seconds:
            asyncio.get_running_loop().call_later(self.seconds, self._arrive)
        else:
            self._arrive()

    def connection_lost(self, exc: Exception | None) -> None:
        asyncio.get_running_loop().call_later(self.seconds, self._end)

    def _arrive(self) -> None:
        data = self._under_way.popleft()
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def _end(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class Client(Way):
    """The end that a client connects to; what it sends before the target is reached waits."""

    def __init__(self, seconds: float, target: str) -> None:
        super().__init__(seconds)
        self._target = target
        self._reaching: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        self._reaching = asyncio.get_running_loop().create_task(self._reach(transport))

    async def _reach(self, transport: asyncio.Transport) -> None:
        loop, make = asyncio.get_running_loop(), partial(Way, self.seconds)
        if self._target.startswith("/"):
            _, self.other = await loop.create_unix_connection(make, self._target)
        else:
            host, _, port = self._target.rpartition(":")
            _, self.other = await loop.create_connection(make, host, int(port))
        self.other.other = self
        transport.resume_reading()


async def serve(seconds: float, targets: list[str]) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(partial(Client, seconds, target), "127.0.0.1", 0) for target in targets]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), sys.argv[2:]))

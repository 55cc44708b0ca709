"""A way that takes its time: python -m tests.bench.measuring.delay SECONDS TARGET...

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
        self._early = 0

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

    def lead_to(self, other: Way) -> None:
        """What has arrived before goes out there now."""
        self.other = other
        for _ in range(self._early):
            self._arrive()

    def _arrive(self) -> None:
        if self.other is None or self.other.transport is None:
            # A transport that is paused as it is made reads all the same (Python 3.11.2).
            self._early += 1
            return
        self.other.transport.write(self._under_way.popleft())

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
        self._reaching = asyncio.get_running_loop().create_task(self._reach())

    async def _reach(self) -> None:
        loop, make = asyncio.get_running_loop(), partial(Way, self.seconds)
        if self._target.startswith("/"):
            _, there = await loop.create_unix_connection(make, self._target)
        else:
            host, _, port = self._target.rpartition(":")
            _, there = await loop.create_connection(make, host, int(port))
        there.lead_to(self)
        self.lead_to(there)


async def serve(seconds: float, targets: list[str]) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(partial(Client, seconds, target), "127.0.0.1", 0) for target in targets]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), sys.argv[2:]))

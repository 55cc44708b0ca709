"""A provider that costs next to nothing: every POST is answered after a fixed latency with a SignalWire-like record.

python -m tests.bench.stub LATENCY_SECONDS    prints its URL; GET /times tells when each POST arrived
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
_NUMBER = re.compile(rb'"number": *"(\+[0-9]+)"')


class Stub(asyncio.Protocol):
    """One connection; requests come one after the other."""

    latency = 0.0
    times: list[float] = []  # noqa: RUF012 - one log for all connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(match[1]) if (match := _LENGTH.search(head)) else 0
        if len(body) < length:
            return
        self.buffer = body[length:]
        self.answer(head, body[:length])

    def answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET /times"):
            self.send(json.dumps(self.times))
            return
        self.times.append(time.time())
        number = match[1].decode() if (match := _NUMBER.search(body)) else ""
        record = json.dumps({"id": f"id-{number}", "number": number})
        asyncio.get_running_loop().call_later(self.latency, self.send, record)

    def send(self, text: str) -> None:
        if not self.transport.is_closing():
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
            self.transport.write((head + text).encode())  # type: ignore[attr-defined]


async def main(latency: float) -> None:
    """Serve until killed."""
    Stub.latency = latency
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))

"""A provider that costs next to nothing: every POST is answered after a fixed latency with a SignalWire-like record.

python -m tests.bench.measuring.stub LATENCY_SECONDS [PORT]    prints its URL

GET /count tells how many POSTs came and when the last one did, GET /times when each did (Unix time); any other GET is
answered at once with an empty list.
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
        if head.startswith(b"GET"):
            self.send(json.dumps(self.tell(head)))
            return
        self.times.append(time.time())
        number = match[1].decode() if (match := _NUMBER.search(body)) else ""
        record = json.dumps({"id": f"id-{number}", "number": number})
        asyncio.get_running_loop().call_later(self.latency, self.send, record)

    def tell(self, head: bytes) -> object:
        if head.startswith(b"GET /count "):
            return [len(self.times), self.times[-1] if self.times else 0.0]
        return self.times if head.startswith(b"GET /times ") else {"data": []}

    def send(self, text: str, status: str = "200 OK") -> None:
        if not self.transport.is_closing():
            head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
            self.transport.write((head + text).encode())  # type: ignore[attr-defined]


async def serve(kind: type[Stub], latency: float, port: int = 0) -> None:
    """Serve until killed."""
    kind.latency = latency
    server = await asyncio.get_running_loop().create_server(kind, "127.0.0.1", port)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Stub, float(sys.argv[1]), *map(int, sys.argv[2:])))

"""A tiny HTTP server on a real socket that answers what a test tells it, and records what it got.

What it sends is the test's, byte for byte, but for a header that says whether the connection closes.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

CUT = b""
SILENCE = None


@dataclass(frozen=True)
class Seen:
    """One request as it came in; header names are in lower case."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


_CLOSES = b"Connection: close\r\n"


class Whole(bytes):
    """An answer whose end its reader knows: sent as it is, it leaves its connection open."""

    __slots__ = ()


def reply(status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> bytes:
    """A whole HTTP answer; bytes go out as they are, everything else as JSON.

    Whatever a test makes of it closes the connection, as does one with headers of its own.
    """
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"Content-Type": "application/json", "Content-Length": str(len(content)), "Connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in {**lines, **(headers or {})}.items())
    answer = f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + content
    return answer if headers or status < 200 or status in (204, 304) else Whole(answer)


class ScriptedServer:
    """Answers with what `queue` holds, in order; CUT closes without an answer, SILENCE says nothing until the end.

    What is not in the queue is answered by `otherwise`. `connected` counts the connections that there were.
    """

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.otherwise: Callable[[Seen], bytes | None] = lambda _: reply(599, "the script has no more answers")
        self._answers: deque[bytes | None] = deque()
        self._over = threading.Event()
        self._open: set[socket.socket] = set()
        self.connected = 0
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self) -> None:
                outer._open.add(self.connection)
                outer.connected += 1
                try:
                    while not outer._over.is_set() and outer._serve(self):
                        pass
                finally:
                    outer._open.discard(self.connection)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = True
            allow_reuse_address = True
            request_queue_size = 64

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.002,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def queue(self, *answers: bytes | None) -> None:
        self._answers.extend(answers)

    def clear(self) -> None:
        self._answers.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._server.shutdown()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()

    def _serve(self, handler: socketserver.StreamRequestHandler) -> bool:
        """Answer one request; whether the connection stays open."""
        line = handler.rfile.readline().decode("latin-1").split()
        if len(line) < 2:
            return False
        headers = dict(_headers(handler))
        body = handler.rfile.read(int(headers.get("content-length", "0")))
        target = urlsplit(line[1])
        seen = Seen(line[0], target.path, parse_qs(target.query), headers, body)
        self.seen.append(seen)
        answer = self._answers.popleft() if self._answers else self.otherwise(seen)
        if answer is None:
            self._over.wait(30)
            return False
        kept = isinstance(answer, Whole)
        handler.wfile.write(answer.replace(_CLOSES, b"", 1) if kept else _says_that_it_closes(answer))
        return kept


def _says_that_it_closes(answer: bytes) -> bytes:
    """Who is not told would send the next request on a connection that is about to close."""
    head = answer.partition(b"\r\n\r\n")[0].lower()
    if not head.startswith(b"http/1.1 ") or b"\r\nconnection:" in head:
        return answer
    return answer.replace(b"\r\n", b"\r\n" + _CLOSES, 1)


def _headers(handler: socketserver.StreamRequestHandler) -> Any:
    while line := handler.rfile.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        yield name.lower(), value.strip()

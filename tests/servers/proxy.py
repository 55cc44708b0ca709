"""Ways to a server that are cut: to PostgreSQL at the end of a transaction, to Redis at a command."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url

_COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
_WRITES = b"SET LOCAL synchronous_commit"


class PostgresProxy:
    """Its COMMIT goes out, and the answer does not come back.

    Lends connections to the server of *url*; `url` leads through it. `commits` counts those that wrote."""

    def __init__(self, url: str) -> None:
        there = make_url(url)
        self._path = f"{there.query['host']}/.s.PGSQL.5432"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = str(there.set(query={}, host="127.0.0.1", port=self._listener.getsockname()[1]))
        self.commits = 0
        self.away = False
        self._cut_at: int | None = None
        self._cut: set[socket.socket] = set()
        self._delivers = self._leaves = False
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self, at: int, *, delivers: bool = True, leaves: bool = False) -> None:
        """Cut the connection at the commit number *at* from now on.

        The server gets it where it *delivers*; where the proxy *leaves*, nobody gets through from then on.
        """
        self.commits, self._cut_at, self._delivers, self._leaves = 0, at, delivers, leaves

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.away:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._path)
                self._start(self._upstream, client, server)
                self._start(self._downstream, server, client)

    @staticmethod
    def _start(pump: Any, source: socket.socket, target: socket.socket) -> None:
        threading.Thread(target=pump, args=(source, target), daemon=True).start()

    def _downstream(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if client in self._cut:
                    break
                client.sendall(data)
        _end(server, client)

    def _upstream(self, client: socket.socket, server: socket.socket) -> None:
        writes = False
        with suppress(OSError):
            while data := client.recv(65536):
                writes = _WRITES in data or (writes and b"BEGIN" not in data)
                if _COMMIT in data and writes and self._is_last():
                    self._cut.add(client)
                    if not self._delivers:
                        break
                server.sendall(data)
        _end(server, client)

    def _is_last(self) -> bool:
        self.commits += 1
        if self.commits != self._cut_at:
            return False
        self.away = self._leaves
        return True


class RedisProxy:
    """Lends connections to the server of *url* until one of them sends *command*; then nobody gets through any more."""

    def __init__(self, url: str, command: bytes) -> None:
        self._there = urlsplit(url)
        self._command = command
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        _end(self._listener, *self._ends)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((self._there.hostname, self._there.port))
                self._ends += [client, server]
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self._command in data:
                    self.close()
                target.sendall(data)
        _end(source, target)


class SilentWay:
    """Lends connections to the server of *url*, until their way is gone: then they stay open, and nothing arrives."""

    def __init__(self, url: str) -> None:
        self._there = urlsplit(url)
        self._open: list[socket.socket] = []
        self._gone: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._serve, daemon=True).start()

    def vanish(self) -> None:
        """Hold back what comes on the present connections; later ones get through."""
        self._gone.update(self._open)

    def close(self) -> None:
        _end(self._listener, *self._open)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((self._there.hostname, self._there.port))
                self._open += [client, server]
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if source not in self._gone:
                    target.sendall(data)
        if source not in self._gone:
            _end(source, target)


def _end(*ends: socket.socket) -> None:
    for one in ends:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()

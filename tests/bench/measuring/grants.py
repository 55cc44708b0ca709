"""The slots that the limiter gave out, by Redis's own clock: read from what Redis itself tells of its commands."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

_SLOT = re.compile(rb'"HSET" "dialstock:pace:\w+:buy" "last" "(\d+)"')


class Grants:
    """MONITOR's output; it is only collected while the benchmark runs, and read after."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 6379))
        self._text = bytearray()
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._socket.sendall(b"MONITOR\r\n")
        self._thread.start()

    def times(self) -> list[float]:
        """The slots, in seconds of Unix time, in order; one that was given back is left out."""
        given: list[float] = []
        for match in _SLOT.finditer(self._text):
            if slot := int(match[1]):
                given.append(slot / 1e6)
            elif given:
                given.pop()
        return sorted(given)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _collect(self) -> None:
        while data := self._socket.recv(1 << 20):
            self._text += data


@contextmanager
def watched(url: str) -> Iterator[Grants]:
    """Collects what the limiter in the Redis at *url* gives out."""
    grants = Grants(url)
    try:
        yield grants
    finally:
        grants.close()

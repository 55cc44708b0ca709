"""An httpx transport that keeps one deadline for a whole call.

httpx bounds each connect, write and read by itself, so a server that drips one byte a second never times out.
Here every socket operation gets what is left until the deadline, and no more.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx

_last_moment: ContextVar[float] = ContextVar("last_moment", default=float("inf"))


@contextmanager
def no_later_than(moment: float) -> Iterator[None]:
    """Bound this thread's calls by *moment* (time.monotonic), too.

    A thread that stood still, wherever between its decision to send and the first byte, then sends nothing late.
    """
    before = _last_moment.set(moment)
    try:
        yield
    finally:
        _last_moment.reset(before)


def deadline_in(seconds: float) -> float:
    """The deadline (time.monotonic) of a call that begins now and takes *seconds* at most."""
    return min(time.monotonic() + seconds, _last_moment.get())


class DeadlineTransport(httpx.HTTPTransport):
    """For one thread and one call at a time: set `deadline` (time.monotonic) before each call."""

    def __init__(self, *, verify: ssl.SSLContext, limits: httpx.Limits) -> None:
        super().__init__(verify=verify, limits=limits, trust_env=False)
        self.deadline = float("inf")
        # httpx passes every pool option on but this one.
        self._pool = httpcore.ConnectionPool(
            ssl_context=verify,
            max_connections=limits.max_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_Backend(self),
        )

    def left(self, timeout: float | None, expired: type[Exception]) -> float:
        """The smaller of *timeout* and what is left; raises *expired* where nothing is."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise expired("the call's deadline has passed")
        return left if timeout is None else min(left, timeout)


class _Backend(httpcore.SyncBackend):
    def __init__(self, clock: DeadlineTransport) -> None:
        self._clock = clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._clock.left(timeout, httpcore.ConnectTimeout)
        return _Stream(super().connect_tcp(host, port, left, local_address, socket_options), self._clock)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, clock: DeadlineTransport) -> None:
        self._stream = stream
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._clock.left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._clock.left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._clock.left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

"""An httpx transport that keeps one deadline for a whole call, and lets its first byte wait for its moment.

httpx bounds each connect, write and read by itself, so a server that drips one byte a second never times out.
Here every socket operation gets what is left until the deadline, and no more.

A request goes out whole, by one send: its head alone would say that the call came, and its body would follow whenever
the thread runs again. Between the gate's word and that send the thread waits for nothing; where it lost its turn there,
for other threads and processes want to run too, the gate is asked again.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

Gate = Callable[[], Callable[[], None] | None]

AT_ONCE = 0.002
"""Seconds between the gate's word and the first byte, at the most."""

PASSES = 10
"""How often a call asks its gate, where it stood still behind it: a process that does so each time is no caller."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a thread's calls keep to, in time.monotonic: connected by `connected`, over by `end`.

    `gate` is called when a call is connected, right before its first byte; again, where more than AT_ONCE passed until
    then. It may sleep; what it raises comes out of the call, and nothing was sent. The time it takes is not the call's.
    What it returns is called once the call is over, and before the gate is asked again.
    """

    connected: float = float("inf")
    end: float = float("inf")
    gate: Gate = lambda: None


_NONE = Bounds()
_bounds: ContextVar[Bounds] = ContextVar("bounds", default=_NONE)


def present_bounds() -> Bounds:
    """What this thread's calls keep to now."""
    return _bounds.get()


@contextmanager
def bounded(bounds: Bounds) -> Iterator[None]:
    """Bound this thread's calls.

    A thread that stood still, wherever between its decision to send and the first byte, then sends nothing late.
    """
    before = _bounds.set(bounds)
    try:
        yield
    finally:
        _bounds.reset(before)


class DeadlineTransport(httpx.HTTPTransport):
    """For one thread and one call at a time: `begin` each call. `begun` tells whether a byte of it may have left."""

    def __init__(self, *, verify: ssl.SSLContext, limits: httpx.Limits) -> None:
        super().__init__(verify=verify, limits=limits, trust_env=False)
        self.begin(float("inf"))
        # httpx passes every pool option on but this one.
        self._pool = httpcore.ConnectionPool(
            ssl_context=verify,
            max_connections=limits.max_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_Backend(self),
        )

    def begin(self, seconds: float) -> None:
        """A call begins that may take *seconds*."""
        self.begun = False
        self._leave: Callable[[], None] | None = None
        self._bounds = present_bounds()
        self._deadline = time.monotonic() + seconds
        self._in_use: list[httpcore.ConnectionInterface] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """As httpx does."""
        response = super().handle_request(request)
        self._in_use = self._pool.connections
        return response

    def surplus(self) -> bool:
        """Whether more than blanks came behind the end of the answer that was read.

        The next call would be given it for an answer, so its connection is closed.
        """
        left = {connection: _behind(connection) for connection in self._in_use}
        for connection in filter(left.get, left):
            connection.close()
        return any(map(bytes.strip, left.values()))

    def pass_gate(self, get_ready: Callable[[], object]) -> float:
        """Wait for the moment of the first byte, and get ready for it. Returns what is left for the call then."""
        for _ in range(PASSES):
            reached = time.monotonic()
            self._leave = self._bounds.gate()
            passed = time.monotonic()
            self._deadline += passed - reached
            get_ready()
            left = self.left(None, httpcore.WriteTimeout)
            if time.monotonic() - passed <= AT_ONCE:
                self.begun = True
                return left
            self.end()
        raise httpcore.ConnectTimeout("the process stood still each time that the call was to go")

    def end(self) -> None:
        """The call is over."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()

    def left(self, timeout: float | None, expired: type[Exception]) -> float:
        """The smaller of *timeout* and what is left; raises *expired* where nothing is."""
        end = min(self._deadline, self._bounds.end)
        if expired is httpcore.ConnectTimeout:
            end = min(end, self._bounds.connected)
        left = end - time.monotonic()
        if left <= 0:
            raise expired("the call's deadline has passed")
        return left if timeout is None else min(left, timeout)


def _behind(connection: httpcore.ConnectionInterface) -> bytes:
    """What a connection has received and nobody read. httpcore keeps its parser to itself."""
    parser = getattr(getattr(connection, "_connection", None), "_h11_state", None)
    return parser.trailing_data[0] if parser is not None else b""


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
        self._socket: socket.socket | None = stream.get_extra_info("socket")
        self._clock = clock
        self._request = b""
        self._used = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._request:
            # Who closes before the request is whole may have answered it, as in httpcore.
            with suppress(httpcore.WriteError):
                self._send()
        return self._stream.read(max_bytes, self._clock.left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - httpcore's
        """Keep it for the request, which is whole once its answer is read."""
        self._request += buffer

    def _send(self) -> None:
        request, self._request = self._request, b""
        left = self._clock.pass_gate(self._get_ready)
        self._used = True
        sent = 0 if self._socket is None else _send_now(self._socket, request)
        if sent < len(request):
            self._stream.write(request[sent:], left)

    def _get_ready(self) -> None:
        """Do what may cost the thread its turn, so that nothing is left to do but to send."""
        self._refuse_closed()
        if self._socket is not None:
            self._socket.settimeout(0)

    def _refuse_closed(self) -> None:
        """A connection that the server closed during the wait takes a request's bytes, and leaves a doubt."""
        # One that was never used may have TLS session tickets to read.
        if self._used and self._stream.get_extra_info("is_readable"):
            raise httpcore.ConnectError("the server closed the connection while it was idle")

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._clock.left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _send_now(to: socket.socket, request: bytes) -> int:
    """Send what goes without waiting; how much that was."""
    try:
        return to.send(request)
    except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
        return 0
    except OSError as exc:
        raise httpcore.WriteError(str(exc)) from exc

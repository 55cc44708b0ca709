"""The sandbox as an HTTP server: in a thread of its own for tests, or in the foreground for people."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest

from schemas.config.provider import SANDBOX_TOKEN
from tasks.providers.registry import sandbox_apis
from tasks.providers.sandbox.api import SandboxApi
from tasks.providers.sandbox.exchange import Incoming
from tasks.sandbox.control import Control
from tasks.sandbox.control_api import PREFIX, ControlApi
from tasks.sandbox.purchase import Delivery
from tasks.sandbox.response import deliver, deliver_now
from tasks.sandbox.router import Router


class _Front:
    """Tornado's callback: plain answers at once, the others in a task."""

    def __init__(self, control: Control, apis: Mapping[str, type[SandboxApi]], token: str) -> None:
        self._router = Router(control, apis, token)
        self._control_api = ControlApi(control)
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, request: HTTPServerRequest) -> None:
        incoming = _incoming(request)
        if incoming.path.startswith(PREFIX):
            delivery = Delivery(self._control_api.answer(incoming))
        else:
            delivery = self._router.answer(incoming)
        if delivery.wait or delivery.way == "drip":
            task = asyncio.get_running_loop().create_task(deliver(request, delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            deliver_now(request, delivery)


class SandboxServer:
    """The providers of all installed kinds on one port, in a daemon thread with its own loop; a context manager.

    Each provider is under `url`/KIND and takes the token 'sandbox'. `rates` are random faults (see `faults`),
    `latency` is in seconds for every call. With `ledger_path`, charges outlive the server. Raises OSError where
    the port is taken.
    """

    def __init__(
        self,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        seed: int = 0,
        rates: Mapping[str, float] | None = None,
        latency: float = 0.0,
        ledger_path: str | Path | None = None,
        token: str = SANDBOX_TOKEN,
    ) -> None:
        apis = sandbox_apis()
        self.control = Control(
            apis,
            seed=seed,
            rates=rates,
            latency=latency,
            ledger_path=None if ledger_path is None else Path(ledger_path),
        )
        self._front = _Front(self.control, apis, token)
        self._address = (host, port)
        self._sockets: list[socket.socket] = []
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    @property
    def url(self) -> str:
        """The address without a slash at its end, like http://127.0.0.1:8790."""
        host, port = self._sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, and return once connections are taken."""
        self._bind()
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self.run(ready.set)), daemon=True, name="sandbox")
        self._thread.start()
        ready.wait()

    def stop(self) -> None:
        """Close every connection, answered or not, and end the thread. The control can be read afterwards."""
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
            self._thread = None

    async def run(self, ready: Callable[[], None], *signals: signal.Signals) -> None:
        """Serve on the present loop until `stop` or one of *signals*."""
        self._loop = asyncio.get_running_loop()
        for number in signals:
            self._loop.add_signal_handler(number, self._stop.set)
        if not self._sockets:
            self._bind()
        server = HTTPServer(self._front)
        server.add_sockets(self._sockets)
        ready()
        try:
            await self._stop.wait()
        finally:
            server.stop()
            await server.close_all_connections()

    def _bind(self) -> None:
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        listening = socket.create_server(self._address, family=family, backlog=1024)
        listening.settimeout(0)
        self._sockets = [listening]


def serve(
    port: int = 0,
    host: str = "127.0.0.1",
    *,
    seed: int = 0,
    rates: Mapping[str, float] | None = None,
    latency: float = 0.0,
    ledger_path: str | Path | None = None,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Run a sandbox in the foreground until SIGTERM or SIGINT; *ready* is called with its URL once it listens.

    Raises OSError where the port is taken.
    """
    server = SandboxServer(port, host, seed=seed, rates=rates, latency=latency, ledger_path=ledger_path)
    asyncio.run(server.run(lambda: ready(server.url), signal.SIGTERM, signal.SIGINT))


def _incoming(request: HTTPServerRequest) -> Incoming:
    return Incoming(
        method=request.method or "",
        path=request.path,
        query=parse_qs(request.query, keep_blank_values=True) if request.query else {},
        headers=request.headers,
        body=request.body,
    )

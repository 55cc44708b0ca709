"""Flower with our pages, on a socket of this process."""

from __future__ import annotations

import asyncio
import html
import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import flower.urls
import httpx
from celery import Celery
from flower.app import Flower
from flower.options import default_options
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets

from workers.config_file import read_source
from workers.pages.mount import mount
from workers.settings import load_settings

PASSWORDS = {"ann": "her-word", "bob": "his-word"}


@contextmanager
def flower_at(passwords: dict[str, str] | None = None, *, prefix: str = "") -> Iterator[str]:
    """The address of a Flower that lets in who has one of *passwords*; everybody where there is none."""
    passwords = PASSWORDS if passwords is None else passwords
    handlers, settings = list(flower.urls.handlers), dict(flower.urls.settings)
    before = default_options.basic_auth, default_options.url_prefix
    default_options.basic_auth = [f"{name}:{word}" for name, word in passwords.items()]
    default_options.url_prefix = prefix
    try:
        found = load_settings()
        desk = mount(found, read_source(found))
        assert desk is not None
        with closing(desk), _served() as port:
            yield f"http://127.0.0.1:{port}"
    finally:
        default_options.basic_auth, default_options.url_prefix = before
        flower.urls.handlers[:] = handlers
        flower.urls.settings.clear()
        flower.urls.settings.update(settings)


@contextmanager
def _served() -> Iterator[int]:
    ready = threading.Event()
    held: dict[str, Any] = {}

    async def serve() -> None:
        app = Flower(capp=Celery(broker="memory://"), options=default_options, **flower.urls.settings)
        sockets = bind_sockets(0, "127.0.0.1")
        server = HTTPServer(app)
        server.add_sockets(sockets)
        held.update(port=sockets[0].getsockname()[1], loop=IOLoop.current(), stop=asyncio.Event())
        ready.set()
        await held["stop"].wait()
        server.stop()
        await server.close_all_connections()
        app.executor.shutdown()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(60)
    try:
        yield held["port"]
    finally:
        held["loop"].add_callback(held["stop"].set)
        thread.join(60)


class Visitor(httpx.Client):
    """Somebody at a browser, or a service that asks for JSON."""

    def __init__(self, address: str, who: str | None = "ann") -> None:
        super().__init__(base_url=address, auth=(who, PASSWORDS[who]) if who else None, timeout=60)

    def page(self, path: str, status: int = 200) -> str:
        """A page as people see it, with what it escapes."""
        answer = self.get(f"/dialstock{path}", headers={"Accept": "text/html"})
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"].startswith("text/html")
        return html.unescape(answer.text)

    def data(self, path: str, status: int = 200) -> Any:
        """The same as JSON."""
        answer = self.get(f"/dialstock{path}", headers={"Accept": "application/json"})
        assert answer.status_code == status, answer.text
        return answer.json()

    def submit(self, path: str, seen_on: str, **fields: Any) -> httpx.Response:
        """A form of the page *seen_on*, with its token."""
        page = self.page(seen_on)
        token = re.search(r'name="_xsrf" value="([^"]+)"', page)
        assert token is not None, page
        return self.post(f"/dialstock{path}", data={"_xsrf": token[1], **fields})

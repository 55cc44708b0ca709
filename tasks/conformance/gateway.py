"""A gateway between an adapter and its sandbox that spoils answers, as caches, proxies and half-broken servers do.

Each way hides what is owned, or for sale, without the form of a whole list that does not have it: no look may call that
absent, and no search may take it for all that there is.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import httpx

from tasks.providers.transport.http import ssl_context
from tasks.providers.transport.xml import XML_TYPE, read_xml, write_xml

_TIMEOUT = 30.0
_DROPPED = ("content-length", "transfer-encoding", "connection", "content-encoding", "date", "server")


class Answer(NamedTuple):
    """What goes back to the adapter; `body` is plain JSON, or text as it stands."""

    status: int
    body: Any
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


Spoil = Callable[[Answer], Answer]


def _instead(status: int, body: Any) -> Spoil:
    return lambda _: Answer(status, body)


def _entries(change: Callable[[Any], Any]) -> Spoil:
    """Have *change* make something else of each entry of each list."""
    return lambda answer: answer._replace(body=_in_lists(answer.body, change))


def _in_lists(body: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(body, list):
        return [change(entry) for entry in body]
    if isinstance(body, dict):
        return {name: _in_lists(value, change) for name, value in body.items()}
    return body


def _beside(name: str, value: Any) -> Spoil:
    """Empty every list, and say beside it that something went wrong."""

    def spoil(answer: Answer) -> Answer:
        emptied = _emptied(answer.body)
        return answer._replace(body={**(emptied if isinstance(emptied, dict) else {}), name: value})

    return spoil


def _emptied(body: Any) -> Any:
    if isinstance(body, list):
        return []
    if isinstance(body, dict):
        return {name: _emptied(value) for name, value in body.items()}
    return body


def _no_text(answer: Answer) -> Answer:
    """Empty every list, in bytes that are no UTF-8: a name is of another encoding."""
    return answer._replace(body=json.dumps(_emptied(answer.body)).encode().replace(b"{", b'{"\xe9": null, ', 1))


def _with(name: str, value: str) -> Spoil:
    """Empty every list, and say in a header what it is of."""
    return lambda answer: answer._replace(body=_emptied(answer.body), headers={**answer.headers, name: value})


_NOT_FOUND = ("Not Found", "no Route matched with those values", "User not found")

_BODIES: list[tuple[int, Any]] = [
    *((404, {"message": words}) for words in _NOT_FOUND),
    (404, {}),
    (404, None),
    (404, []),
    (404, "<html>404</html>"),
    (200, {}),
    (200, None),
    (200, []),
    (200, ""),
    (200, "<html>welcome</html>"),
    (200, {"message": "ok"}),
    *((200, {name: []}) for name in ("records", "numbers", "content", "rows")),
    *((status, {"message": "later"}) for status in (204, 304, 400, 410, 500, 502, 503, 504)),
]

SPOILED: dict[str, Spoil] = {
    **{f"{status} {json.dumps(body)[:40]}": _instead(status, body) for status, body in _BODIES},
    "entries are null": _entries(lambda _: None),
    "entries are empty": _entries(lambda _: {}),
    "entries are text": _entries(str),
    "entries have ids only": _entries(lambda entry: {"id": entry.get("id")} if isinstance(entry, dict) else None),
    "values are null": _entries(lambda entry: dict.fromkeys(entry) if isinstance(entry, dict) else None),
    "errors beside an empty list": _beside("errors", [{"message": "a shard is away"}]),
    "a warning beside an empty list": _beside("warning", "partial result"),
    "a failure beside an empty list": _beside("success", False),  # noqa: FBT003 - a value of JSON
    "an old answer": _with("Age", "3600"),
    "a copy of some cache": _with("X-Some-Cache", "HIT"),
    "another range": _with("Content-Range", "items 100-199/500"),
    "a total of more": _with("X-Total-Count", "500"),
    "a further page in a header": _with("Link", '<?page=2>; rel="next"'),
    "a part by its header": _with("X-Partial-Result", "true"),
    "bytes that are no text": _no_text,
}


def by_path() -> Callable[[str, Answer], Answer]:
    """Answers as a cache keeps them that leaves the query out of its key: each path has its first for ever."""
    kept: dict[str, Answer] = {}
    return lambda path, answer: kept.setdefault(path.partition("?")[0], answer)


@contextmanager
def gateway(
    target: str,
    spoil: Spoil = lambda answer: answer,
    which: Callable[[int], bool] = lambda _: True,
    kept: Callable[[str, Answer], Answer] = lambda _, answer: answer,
) -> Iterator[str]:
    """The address of a gateway to *target*; *which* of the answers it spoils goes by their number, from 0. What it
    answers to a GET is *kept* for its path.
    """

    class Handler(_Handler):
        pass

    Handler.target, Handler.spoil, Handler.which = target, staticmethod(spoil), staticmethod(which)
    Handler.kept, Handler.count = staticmethod(kept), 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # The server's end waits until it looks next whether it is to end.
    thread = threading.Thread(target=server.serve_forever, args=(0.002,), daemon=True)
    with httpx.Client(trust_env=False, timeout=_TIMEOUT, verify=ssl_context()) as Handler.client:
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    target = ""
    count = 0
    spoil: Spoil
    kept: Callable[[str, Answer], Answer]
    which: Callable[[int], bool]
    client: httpx.Client

    def _pass_on(self) -> None:
        answer = self._fetch()
        if self.command == "GET":
            answer = self.kept(self.path, answer)
        number, type(self).count = self.count, self.count + 1
        if self.which(number):
            answer = self.spoil(answer)
        content = b"" if answer.status in (204, 304) else encoded(answer)
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _pass_on  # noqa: N815 - as http.server calls them

    def _fetch(self) -> Answer:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        sent = {name: value for name, value in self.headers.items() if name.lower() not in (*_DROPPED, "host")}
        got = self.client.request(self.command, f"{self.target}{self.path}", content=body, headers=sent)
        headers = {name: value for name, value in got.headers.items() if name not in (*_DROPPED, "content-type")}
        if got.headers["content-type"].startswith(XML_TYPE):
            return Answer(got.status_code, read_xml(got.text), {**headers, "Content-Type": XML_TYPE})
        return Answer(got.status_code, got.json() if got.content else None, headers)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def encoded(answer: Answer) -> bytes:
    """The body's bytes, XML where its headers say so."""
    body = answer.body
    if answer.headers.get("Content-Type") == XML_TYPE and isinstance(body, dict) and body:
        return _as_xml(body)
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def _as_xml(body: dict[str, Any]) -> bytes:
    """One root again: what stands beside it goes into it."""
    (root, inner), *beside = body.items()
    return write_xml(root, {**(inner if isinstance(inner, dict) else {}), **dict(beside)})

"""The edge to the providers: one HTTP exchange within one deadline, and what its failure means in money.

    ExchangeError
      NotSent     no byte of the request left: none was given to the connection
      Doubtful    it may have been executed: write or read failed, the deadline passed, the answer broke off,
                  or is packed as nobody asked for it, or too large to be read (`coding`)

Redirects are never followed, nothing is retried, no cookie is kept, no proxy is taken from the environment.
"""

from __future__ import annotations

import functools
import json
import os
import re
import ssl
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from tasks.providers.transport.coding import ACCEPTED, TooLarge, check_values, read_whole
from tasks.providers.transport.deadline import DeadlineTransport
from tasks.providers.transport.xml import XML_TYPE, read_xml

# A server's own idle limit is 5 s in common defaults; a POST on a connection it just closed would be a doubt.
KEEPALIVE_EXPIRY = 3.0
CONNECTIONS = 10
"""The most that a thread keeps open: with one for each account, a thousand accounts would have a process run out."""


class ExchangeError(Exception):
    """An exchange that gave no answer; `reason` is a short word for programs."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class NotSent(ExchangeError):
    """No byte of the request left this machine."""


class Doubtful(ExchangeError):
    """The provider may have executed the request."""


@dataclass(frozen=True, kw_only=True)
class Body:
    """What a request carries: one of *json*, a *form* (x-www-form-urlencoded) and *xml* as it is, or nothing."""

    json: Any = None
    form: Mapping[str, str] | None = None
    xml: bytes | None = None


NOTHING = Body()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A whole HTTP answer; `body` is the JSON, or XML, it carries, None where it carries none.

    `flaw` is why nobody learns from it what is not there: it is not of now (`freshness`), or its bytes are not as they
    should be. None where it is as it should be. `asked` is the address that it answers, `params` the query's.
    """

    status: int
    headers: Mapping[str, str]
    body: Any
    text: str
    flaw: str | None = None
    asked: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


class _Lines(threading.local):
    """This thread's ways out that no call is on: one, but where calls are made within a call."""

    def __init__(self) -> None:
        self.idle: list[_Line] = []


@dataclass(frozen=True)
class _Line:
    transport: DeadlineTransport


_lines = _Lines()


def _forget_lines() -> None:
    """In a forked process: of a connection that two write to, the one would read what the other is answered."""
    _lines.idle.clear()


os.register_at_fork(after_in_child=_forget_lines)


class HttpClient:
    """Calls one provider, from any thread.

    One httpx transport for each thread, whichever accounts it calls for, all on one SSL context: one shared by 100
    threads is three times slower. Without httpx's client, which adds redirects, cookies and authentication to it, and
    a sixth to its cost.
    `timeout` is for the whole call in seconds. With `xml` answers are XML, and what is none has no body.
    """

    def __init__(
        self, base_url: str, headers: Mapping[str, str], *, connect_timeout: float, timeout: float, xml: bool = False
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._parse = read_xml if xml else _read_json
        accepted = {"Accept": XML_TYPE if xml else "application/json", "Accept-Encoding": ACCEPTED}
        self._headers = {**accepted, "User-Agent": "dialstock", **headers}
        # What a cache between us and the provider keeps is what was, not what is.
        self._fresh = {**self._headers, "Cache-Control": "no-cache"}
        self._timeouts = {"timeout": httpx.Timeout(timeout, connect=connect_timeout).as_dict()}
        self._seconds = timeout

    def request(
        self, method: str, path: str, body: Body = NOTHING, *, params: Mapping[str, Any] | None = None
    ) -> Answer:
        """Exchange once. Raises NotSent or Doubtful, and what a gate raises (`deadline.Bounds`)."""
        line = _lines.idle.pop() if _lines.idle else _new_line()
        transport = line.transport
        transport.begin(self._seconds)
        url = f"{self._base_url}{path}"
        try:
            headers = self._fresh if method == "GET" else self._headers
            if body.xml is not None:
                headers = {**headers, "Content-Type": f"{XML_TYPE}; charset=utf-8"}
            sent: dict[str, Any] = {"json": body.json, "data": body.form, "content": body.xml}
            request = httpx.Request(method, url, params=params, headers=headers, extensions=self._timeouts, **sent)
            with closing(transport.handle_request(request)) as response:
                answer = _read(response, self._parse)
            return replace(answer, flaw="bytes behind its end") if transport.surplus() else answer
        # UnicodeError: a host that cannot be looked up
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, UnicodeError) as exc:
            error = Doubtful if transport.begun else NotSent
            raise error(_reason(exc), _describe(exc)) from exc
        finally:
            transport.end()
            _lines.idle.append(line)


def _new_line() -> _Line:
    limits = httpx.Limits(max_connections=CONNECTIONS, keepalive_expiry=KEEPALIVE_EXPIRY)
    line = _Line(DeadlineTransport(verify=ssl_context(), limits=limits))
    # Connections go with their thread, or at the end of the process.
    weakref.finalize(line, line.transport.close)
    return line


@functools.cache
def ssl_context() -> ssl.SSLContext:
    """The one SSL context of this process: building one costs more than a hundred clients on it."""
    return httpx.create_ssl_context()


def _read(response: httpx.Response, parse: Callable[[str], Any]) -> Answer:
    try:
        content = read_whole(response)
        text = content.decode("utf-8", "replace")
        check_values(text)
    except TooLarge as exc:
        raise Doubtful("too_large", str(exc)) from exc
    try:
        body = parse(text)
    except (ValueError, RecursionError):
        body = None
    flaw = "bytes that are no UTF-8" if "\ufffd" in text and text.encode() != content else None
    return Answer(status=response.status_code, headers=response.headers, body=body, text=text, flaw=flaw)


def _read_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_each_once)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a name that stands twice one value would hide the other: such an object cannot be read."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


def _reason(exc: Exception) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(exc).__name__).lower()


def _describe(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__

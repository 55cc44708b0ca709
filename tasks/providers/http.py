"""The edge to the providers: one HTTP exchange within one deadline, and what its failure means in money.

    ExchangeError
      NotSent     no byte of the request left: none was given to the connection
      Doubtful    it may have been executed: write or read failed, the deadline passed, the answer broke off

Redirects are never followed, nothing is retried, no cookie is kept, no proxy is taken from the environment.
"""

from __future__ import annotations

import functools
import json
import re
import ssl
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from tasks.providers.deadline import DeadlineTransport

MAX_BODY = 16 * 1024 * 1024
# A server's own idle limit is 5 s in common defaults; a POST on a connection it just closed would be a doubt.
KEEPALIVE_EXPIRY = 3.0


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
class Answer:
    """A whole HTTP answer; `body` is the JSON it carries, None where it carries none."""

    status: int
    headers: Mapping[str, str]
    body: Any
    text: str


@dataclass(frozen=True)
class _Line:
    """One thread's way out."""

    transport: DeadlineTransport
    client: httpx.Client


class HttpClient:
    """Calls one provider, from any thread.

    One httpx client for each thread, all on one SSL context: a client shared by 100 threads is three times slower.
    `timeout` is for the whole call in seconds.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str], *, connect_timeout: float, timeout: float) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = {"Accept": "application/json", "User-Agent": "dialstock", **headers}
        self._timeout = httpx.Timeout(timeout, connect=connect_timeout)
        self._seconds = timeout
        self._local = threading.local()

    def request(self, method: str, path: str, *, json: Any = None, params: Mapping[str, Any] | None = None) -> Answer:
        """Exchange once. Raises NotSent or Doubtful, and what a gate raises (`deadline.Bounds`)."""
        line = self._line()
        line.transport.begin(self._seconds)
        try:
            with line.client.stream(method, f"{self._base_url}{path}", json=json, params=params) as response:
                return _read(response)
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as exc:
            error = Doubtful if line.transport.begun else NotSent
            raise error(_reason(exc), _describe(exc)) from exc

    def _line(self) -> _Line:
        line: _Line | None = getattr(self._local, "line", None)
        if line is None:
            line = self._local.line = self._build(ssl_context())
            # Connections go with their thread, with this object, or at the end of the process.
            weakref.finalize(line, line.client.close)
        return line

    def _build(self, context: ssl.SSLContext) -> _Line:
        limits = httpx.Limits(max_connections=2, keepalive_expiry=KEEPALIVE_EXPIRY)
        transport = DeadlineTransport(verify=context, limits=limits)
        client = httpx.Client(
            transport=transport,
            headers=self._headers,
            timeout=self._timeout,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            trust_env=False,
        )
        return _Line(transport, client)


@functools.cache
def ssl_context() -> ssl.SSLContext:
    """The one SSL context of this process: building one costs more than a hundred clients on it."""
    return httpx.create_ssl_context()


def _read(response: httpx.Response) -> Answer:
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > MAX_BODY:
            raise Doubtful("too_large", f"the answer is larger than {MAX_BODY} bytes")
    text = content.decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    return Answer(status=response.status_code, headers=response.headers, body=body, text=text)


def _reason(exc: Exception) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(exc).__name__).lower()


def _describe(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__

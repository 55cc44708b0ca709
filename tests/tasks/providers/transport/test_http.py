from __future__ import annotations

import gc
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tasks.providers.transport.deadline import Bounds, bounded
from tasks.providers.transport.http import CONNECTIONS, Body, Doubtful, ExchangeError, HttpClient, NotSent
from tasks.sandbox import SandboxServer
from tests.scripted import CUT, SILENCE, ScriptedServer, reply
from tests.waiting import eventually

FORKED = """
import os, sys
from tasks.providers.transport.http import HttpClient
calls = HttpClient(sys.argv[1], {}, connect_timeout=10.0, timeout=20.0)
calls.request("GET", "/")
child = os.fork()
calls.request("GET", "/")
if child:
    assert os.waitpid(child, 0)[1] == 0
"""


def client(url: str, **changes: Any) -> HttpClient:
    return HttpClient(url, {"X-One": "1"}, **{"connect_timeout": 10.0, "timeout": 20.0, **changes})


def test_an_exchange(server: ScriptedServer) -> None:
    server.queue(reply(207, {"a": [1, None]}, {"X-Two": "2"}))
    answer = client(f"{server.url}/base/").request("POST", "/path", Body(json={"b": "é"}), params={"q": "+1 2"})
    assert (answer.status, answer.body, answer.headers["x-two"]) == (207, {"a": [1, None]}, "2")
    assert answer.text == '{"a": [1, null]}'
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.query, seen.json) == ("POST", "/base/path", {"q": ["+1 2"]}, {"b": "é"})
    assert (seen.headers["x-one"], seen.headers["user-agent"]) == ("1", "dialstock")


def test_what_is_read_comes_out_of_no_cache(server: ScriptedServer) -> None:
    server.queue(reply(200, {}), reply(200, {}))
    for method in ("GET", "POST"):
        client(server.url).request(method, "/")
    assert [seen.headers.get("cache-control") for seen in server.seen] == ["no-cache", None]


def test_a_name_that_stands_twice_makes_a_body_unreadable(server: ScriptedServer) -> None:
    body = b'{"data": [{"number": "+14155550100"}], "data": []}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    server.queue(head + body)
    answer = client(server.url).request("GET", "/")
    assert (answer.status, answer.body) == (200, None)


def test_no_redirect_is_followed_no_cookie_kept_no_proxy_taken(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.queue(reply(302, None, {"Location": f"{server.url}/x", "Set-Cookie": "a=b; Path=/"}), reply(200))
    calls = client(server.url)
    assert calls.request("GET", "/").status == 302
    assert calls.request("GET", "/").status == 200
    assert "cookie" not in server.seen[1].headers


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", "remote_protocol_error"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "remote_protocol_error"),
        (b"nonsense\r\n\r\n", "remote_protocol_error"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd", "decoding_error"),
        (SILENCE, "read_timeout"),
    ],
)
def test_a_broken_answer_is_doubtful(server: ScriptedServer, answer: bytes | None, reason: str) -> None:
    server.queue(answer)
    with pytest.raises(Doubtful) as caught:
        client(server.url, timeout=0.3 if answer is None else 20.0).request("GET", "/")
    assert caught.value.reason == reason


def answered(body: bytes, *, length: int | None = None, headers: str = "") -> bytes:
    stated = len(body) if length is None else length
    return f"HTTP/1.1 200 OK\r\n{headers}Content-Length: {stated}\r\n\r\n".encode() + body


@pytest.mark.parametrize("closes", ["", "Connection: close\r\n"])
@pytest.mark.parametrize(
    ("behind", "flawed"), [(b"", False), (b"\r\n", False), (b"ERROR", True), (b"{}", True), (answered(b"[]"), True)]
)
def test_what_comes_behind_an_answer_flaws_it_and_is_never_the_next_answer(
    closes: str, behind: bytes, flawed: bool
) -> None:
    """On a connection that its server keeps open, or says that it closes."""
    with _kept_open(answered(b"{}", headers=closes) + behind, answered(b"1")) as url:
        calls = client(url)
        answer, following = calls.request("GET", "/"), calls.request("GET", "/")
    assert (answer.body, answer.flaw) == ({}, "bytes behind its end" if flawed else None)
    assert (following.body, following.flaw) == (1, None)


@contextmanager
def _kept_open(*answers: bytes) -> Iterator[str]:
    """A server that gives *answers* one by one, and closes no connection by itself."""
    left = iter(answers)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline():
                while self.rfile.readline().strip():
                    pass
                self.wfile.write(next(left))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.002,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("closes", ["", "Connection: close\r\n"])
def test_what_comes_behind_the_last_chunk_flaws_an_answer_too(closes: str) -> None:
    whole = f"HTTP/1.1 200 OK\r\n{closes}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n".encode()
    with _kept_open(whole, whole + b"[]") as url:
        assert [client(url).request("GET", "/").flaw for _ in range(2)] == [None, "bytes behind its end"]


@pytest.mark.parametrize(
    ("body", "flawed"),
    [
        (b'{"a": "\xff"}', True),
        (b'{"\xe9": 1}', True),
        ('{"a": "\ufffd"}'.encode() + b"  ", False),
        ('{"a": "\ufffd"}'.encode()[:-2] + b'\xff"}', True),
        ('{"a": "\u00e9\U0001f600"}'.encode(), False),
    ],
)
def test_bytes_that_are_no_text_flaw_an_answer_and_hide_nothing_of_it(
    server: ScriptedServer, body: bytes, flawed: bool
) -> None:
    server.queue(answered(body))
    answer = client(server.url).request("GET", "/")
    assert (isinstance(answer.body, dict), answer.flaw) == (True, "bytes that are no UTF-8" if flawed else None)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://[::1]:1"])
def test_no_connection_is_not_sent(url: str) -> None:
    with pytest.raises(NotSent) as caught:
        client(url).request("POST", "/", Body(json={}))
    assert isinstance(caught.value, ExchangeError)
    assert caught.value.reason == "connect_error"


@pytest.mark.parametrize("url", ["https://api..example.com", "https://.", "https://xn--"])
def test_a_host_that_cannot_be_looked_up_is_not_sent(url: str) -> None:
    with pytest.raises(NotSent, match=r"label|A-label"):
        client(url).request("POST", "/", Body(json={}))


def test_a_deadline_that_has_passed_sends_nothing(server: ScriptedServer) -> None:
    with pytest.raises(NotSent) as caught:
        client(server.url, timeout=0.0).request("POST", "/", Body(json={}))
    assert caught.value.reason == "connect_timeout"
    assert server.seen == []


def test_nothing_is_sent_after_the_last_moment_for_it_on_an_open_connection_either() -> None:
    with SandboxServer(port=0) as sandbox:
        calls = client(f"{sandbox.url}/vogent")
        calls.request("GET", "/api/phone_numbers")
        with bounded(Bounds(end=time.monotonic())), pytest.raises(NotSent):
            calls.request("POST", "/api/phone_numbers", Body(json={}))
        assert sandbox.control.calls() == []
        assert calls.request("POST", "/api/phone_numbers", Body(json={})).status == 401


def test_connections_close_with_their_thread() -> None:
    """One that stays open fails this test as a ResourceWarning."""
    with SandboxServer(port=0) as sandbox:
        calls = client(f"{sandbox.url}/vogent")
        thread = threading.Thread(target=calls.request, args=("GET", "/api/phone_numbers"))
        thread.start()
        thread.join()
        gc.collect()


def test_a_thread_calls_for_all_accounts_of_a_provider_on_one_connection(server: ScriptedServer) -> None:
    server.otherwise = lambda _: reply(200)
    for number in range(20):
        HttpClient(server.url, {"Account": str(number)}, connect_timeout=10.0, timeout=20.0).request("GET", "/")
    assert [seen.headers["account"] for seen in server.seen] == [str(number) for number in range(20)]
    assert server.connected == 1


def test_a_thread_that_calls_many_providers_keeps_few_connections() -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(ScriptedServer()) for _ in range(2 * CONNECTIONS)]
        for server in servers:
            server.otherwise = lambda _: reply(200)
            client(server.url).request("GET", "/")
        eventually(lambda: sum(len(server._open) for server in servers) <= CONNECTIONS, what="the others are closed")


def test_a_call_at_the_gate_of_another_leaves_that_as_it_was(server: ScriptedServer) -> None:
    server.queue(reply(200), CUT)
    calls = client(server.url)

    def call() -> None:
        with bounded(Bounds()):
            calls.request("GET", "/first")

    with bounded(Bounds(gate=call)), pytest.raises(Doubtful):
        calls.request("POST", "/second", Body(json={}))
    assert [seen.path for seen in server.seen] == ["/first", "/second"]


def test_a_forked_process_calls_on_a_connection_of_its_own(server: ScriptedServer) -> None:
    server.otherwise = lambda _: reply(200)
    subprocess.run([sys.executable, "-c", FORKED, server.url], check=True)
    assert (len(server.seen), server.connected) == (3, 2)

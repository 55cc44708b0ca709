"""When a call's first byte goes, on real connections."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest

from tasks.providers.transport import deadline
from tasks.providers.transport.deadline import PASSES, Bounds, bounded
from tasks.providers.transport.http import Body, Doubtful, HttpClient, NotSent
from tasks.sandbox import SandboxServer
from tests.scripted import SILENCE, ScriptedServer, reply

STALL = 0.1
"""Seconds that a thread stands still: far more than a busy machine leaves between a gate's word and the first byte."""


class Held(Exception):
    """What a gate says."""


def client(url: str, timeout: float = 20.0) -> HttpClient:
    return HttpClient(url, {}, connect_timeout=10.0, timeout=timeout)


def gate(action: Callable[[], None]) -> Bounds:
    return Bounds(gate=action)


def held() -> None:
    raise Held


def test_the_gate_is_passed_once_in_a_call_before_anything_is_sent(server: ScriptedServer) -> None:
    server.queue(reply(200), reply(200))
    seen: list[int] = []
    for _ in range(2):
        with bounded(gate(lambda: seen.append(len(server.seen)))):
            client(server.url).request("POST", "/", Body(json={"a": 1}))
    assert seen == [0, 1]


@pytest.mark.parametrize("before", [0, 1], ids=["a new connection", "a used one"])
def test_what_the_gate_raises_comes_out_and_nothing_was_sent(before: int) -> None:
    with SandboxServer(port=0) as sandbox:
        calls = client(f"{sandbox.url}/vogent")
        for _ in range(before):
            calls.request("GET", "/api/phone_numbers")
        with bounded(gate(held)), pytest.raises(Held):
            calls.request("POST", "/api/phone_numbers", Body(json={}))
        assert sandbox.control.calls() == []
        assert calls.request("POST", "/api/phone_numbers", Body(json={})).status == 401


def test_the_time_at_the_gate_is_not_the_calls(server: ScriptedServer) -> None:
    server.queue(reply(200))
    with bounded(gate(lambda: time.sleep(1.05))):
        assert client(server.url, timeout=1.0).request("GET", "/").status == 200


def test_a_call_whose_end_comes_at_the_gate_is_not_sent(server: ScriptedServer) -> None:
    bounds = Bounds(end=time.monotonic() + 0.1, gate=lambda: time.sleep(0.11))
    with bounded(bounds), pytest.raises(NotSent):
        client(server.url).request("POST", "/", Body(json={}))
    assert server.seen == []


def test_the_end_bounds_the_answer_and_leaves_a_doubt(server: ScriptedServer) -> None:
    server.queue(SILENCE)
    # counted from the gate: a machine that stood still before would have nothing sent
    bounds = gate(lambda: object.__setattr__(bounds, "end", time.monotonic() + 3.0))
    with bounded(bounds), pytest.raises(Doubtful):
        client(server.url).request("POST", "/", Body(json={}))
    assert len(server.seen) == 1


def test_a_connection_that_comes_too_late_is_not_used(server: ScriptedServer) -> None:
    with bounded(Bounds(connected=time.monotonic())), pytest.raises(NotSent) as caught:
        client(server.url).request("POST", "/", Body(json={}))
    assert (caught.value.reason, server.seen) == ("connect_timeout", [])


def test_a_time_to_connect_by_does_not_bound_the_answer(server: ScriptedServer) -> None:
    server.queue(reply(200))
    connected = time.monotonic() + 1.0
    with bounded(Bounds(connected=connected, gate=lambda: time.sleep(connected + 0.01 - time.monotonic()))):
        assert client(server.url).request("GET", "/").status == 200


def test_a_connection_that_the_server_closes_at_the_gate_leaves_no_doubt() -> None:
    opened: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        calls = client(f"http://127.0.0.1:{listening.getsockname()[1]}")

        def answer() -> None:
            # It waits in the connection before its request is sent.
            opened.append(listening.accept()[0])
            opened[0].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        with bounded(gate(answer)):
            assert calls.request("GET", "/").body == {}
        opened[0].recv(65536)
        with bounded(gate(opened[0].close)), pytest.raises(NotSent) as caught:
            calls.request("POST", "/", Body(json={}))
    assert caught.value.reason == "connect_error"


def test_a_request_goes_out_whole_in_one_piece() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        arrived: list[bytes] = []

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                arrived.append(connection.recv(65536))
                connection.sendall(reply(200))

        thread = threading.Thread(target=answer)
        thread.start()
        client(f"http://127.0.0.1:{listening.getsockname()[1]}").request("POST", "/", Body(json={"a": 1}))
        thread.join()
    assert arrived[0].endswith(b'{"a":1}')


@pytest.fixture
def stalls(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds for which a call's thread stands still behind its gate, each time."""
    seconds: list[float] = []
    monkeypatch.setattr(deadline, "AT_ONCE", STALL / 2)
    get_ready = deadline._Stream._get_ready

    def stalled(stream: deadline._Stream) -> None:
        get_ready(stream)
        if seconds:
            time.sleep(seconds.pop(0))

    monkeypatch.setattr(deadline._Stream, "_get_ready", stalled)
    return seconds


def test_a_call_that_stood_still_behind_its_gate_asks_it_again(server: ScriptedServer, stalls: list[float]) -> None:
    server.queue(reply(200))
    stalls += [STALL, STALL]
    steps: list[str] = []

    def passing() -> Callable[[], None]:
        steps.append(f"goes with {len(server.seen)} sent")
        return lambda: steps.append("leaves")

    with bounded(Bounds(gate=passing)):
        assert client(server.url).request("POST", "/", Body(json={})).status == 200
    # More often, where the machine stands still by itself.
    assert len(steps) >= 6
    assert steps == ["goes with 0 sent", "leaves"] * (len(steps) // 2)
    assert len(server.seen) == 1


def test_a_call_that_stands_still_behind_its_gate_each_time_is_not_sent(
    server: ScriptedServer, stalls: list[float]
) -> None:
    stalls += [STALL] * PASSES
    asked: list[None] = []
    with bounded(gate(lambda: asked.append(None))), pytest.raises(NotSent):
        client(server.url).request("POST", "/", Body(json={}))
    assert (len(asked), server.seen) == (PASSES, [])

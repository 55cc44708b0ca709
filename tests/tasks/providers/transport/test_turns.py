"""Every reading request takes its turn, and no purchase does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from contextvars import Context

import pytest

from schemas.outcomes import OutcomeKind
from tasks.providers.adapter import Adapter, Ask, Known, ProviderError, SearchQuery
from tasks.providers.transport.session import Session
from tasks.providers.transport.turns import Gate, Withheld, at_once, in_turn, take_turn
from tests.scripted import CUT, ScriptedServer, reply
from tests.tasks.providers.adapters import KINDS, NUMBER, TOKEN, adapter, ask, config, success

BUSY = reply(429, None, {"Retry-After": "3"})
CALLS: dict[str, Callable[[Adapter], object]] = {
    "look": lambda provider: provider.look({NUMBER: Known(number_id="id")}),
    "owned": lambda provider: list(provider.owned()),
    "search": lambda provider: provider.search(SearchQuery(prefix="415")),
    "check": lambda provider: provider.check(),
}


def session(url: str) -> Session:
    return Session("Vogent", config("vogent", url), token=TOKEN, scheme="Bearer")


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("call", CALLS)
def test_outside_of_a_turn_no_reading_request_is_made(server: ScriptedServer, kind: str, call: str) -> None:
    with pytest.raises(Withheld, match="outside of a turn"):
        Context().run(CALLS[call], adapter(kind, server.url))
    assert server.seen == []


def test_outside_of_a_turn_nothing_is_prepared(server: ScriptedServer) -> None:
    with pytest.raises(Withheld, match="outside of a turn"):
        Context().run(adapter("bird", server.url).prepare, Ask(number=NUMBER))
    assert server.seen == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_purchase_takes_no_turn_and_is_made_once(server: ScriptedServer, kind: str) -> None:
    server.queue(reply(*success(kind)), BUSY)
    provider = adapter(kind, server.url)
    outcomes = [Context().run(provider.buy, [ask(kind)])[0].kind for _ in range(2)]
    assert outcomes == [OutcomeKind.PROCESSING if kind == "vonage" else OutcomeKind.PURCHASED, OutcomeKind.THROTTLED]
    assert len(server.seen) == 2


def test_a_429_is_told_and_the_request_made_again_where_the_turn_waits(server: ScriptedServer) -> None:
    told: list[float | None] = []
    server.queue(BUSY, BUSY, reply(200, {"a": 1}), reply(404), BUSY)

    def turn(throttled: ProviderError | None) -> Gate:
        told.append(throttled.outcome.retry_after if throttled else None)
        return at_once(None)

    with in_turn(turn):
        assert session(server.url).call("GET", "/").body == {"a": 1}
        assert session(server.url).exchange("GET", "/").status == 404
    assert told == [None, 3.0, 3.0, None]
    with in_turn(at_once), pytest.raises(ProviderError) as caught:
        session(server.url).exchange("GET", "/")
    assert caught.value.outcome.kind is OutcomeKind.THROTTLED
    assert len(server.seen) == 5


def test_what_a_turn_raises_comes_out_and_nothing_is_sent(server: ScriptedServer) -> None:
    def never(_: ProviderError | None) -> Gate:
        raise Withheld

    with in_turn(never), pytest.raises(Withheld):
        adapter("vogent", server.url).look({NUMBER: None})
    assert server.seen == []


def test_the_turn_before_is_back_after_a_block() -> None:
    turns: list[str] = []
    with in_turn(lambda _: lambda: turns.append("outer")):
        with in_turn(lambda _: lambda: turns.append("inner")):
            take_turn()()
        take_turn()()
    assert turns == ["inner", "outer"]


def test_the_gate_comes_once_a_request_is_connected_and_before_its_first_byte(server: ScriptedServer) -> None:
    steps: list[str] = []

    def turn(_: ProviderError | None) -> Gate:
        steps.append(f"turn {len(server.seen)}")
        return lambda: steps.append(f"gate {len(server.seen)}")

    server.queue(reply(200), BUSY, reply(200))
    with in_turn(turn):
        session(server.url).call("GET", "/")
        session(server.url).call("POST", "/", json={})
        with pytest.raises(ProviderError, match="not reached"):
            session("http://127.0.0.1:9").call("GET", "/")
    assert steps == [*("turn 0", "gate 0", "turn 1", "gate 1", "turn 2", "gate 2"), "turn 3"]


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("call", CALLS)
def test_what_a_gate_raises_comes_out_and_nothing_is_sent(server: ScriptedServer, kind: str, call: str) -> None:
    def held() -> None:
        raise Withheld

    with in_turn(lambda _: held), pytest.raises(Withheld):
        CALLS[call](adapter(kind, server.url))
    assert server.seen == []


def test_a_gate_holds_the_reading_requests_of_its_block_only(server: ScriptedServer) -> None:
    gates: list[None] = []
    server.queue(reply(200), reply(*success("vogent")))
    with in_turn(lambda _: lambda: gates.append(None)):
        session(server.url).call("GET", "/")
        assert adapter("vogent", server.url).buy([ask("vogent")])[0].kind is OutcomeKind.PURCHASED
    assert len(gates) == 1


@pytest.mark.parametrize("answer", [reply(200, {"a": 1}), reply(500), CUT], ids=["answered", "failed", "cut"])
def test_a_gate_is_told_once_that_its_request_is_over(server: ScriptedServer, answer: bytes) -> None:
    told: list[int] = []

    def gate() -> Callable[[], None]:
        return lambda: told.append(len(server.seen))

    server.queue(answer, reply(200, {"a": 1}))
    with in_turn(lambda _: gate):
        with suppress(ProviderError):
            session(server.url).exchange("GET", "/")
        assert told == [1]
        session(server.url).exchange("GET", "/")
    assert told == [1, 2]

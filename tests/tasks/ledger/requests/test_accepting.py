"""Requests come in, are answered, and are never dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kombu.exceptions import OperationalError as BrokerAway
from sqlalchemy import select

from schemas.requests import RequestError
from schemas.status import Status
from schemas.tables.purchases import EVENT, KEY, PURCHASE, REJECTED
from tasks.lifecycle import accept
from tests.tasks.support import NUMBER, World, number

Make = Callable[..., World]
FIELDS = {"number": NUMBER, "provider": "acme"}


def told(world: World) -> list[dict[str, Any]]:
    return [row for row in world.rows(select(EVENT).order_by(EVENT.c.seq)) if row["type"].endswith(".accepted")]


def test_a_message_becomes_a_row_and_a_message_to_a_worker(world: World) -> None:
    row = accept.buy_number(world.runtime, {**FIELDS, "metadata": {"a": 1}}, "message-1")
    assert (row["status"], row["number"], row["idempotency_key"]) == (Status.DISPATCHED, NUMBER, "message-1")
    assert row["metadata"] == {"a": 1}
    assert [message.kwargs["purchase_id"] for message in world.sent] == [row["id"]]
    [event] = told(world)
    assert (event["data"]["status"], event["data"]["repeat"]) == ("dispatched", False)


def test_a_message_delivered_again_buys_nothing_anew(world: World) -> None:
    first = accept.buy_number(world.runtime, FIELDS, "message-1")
    world.work()
    again = accept.buy_number(world.runtime, FIELDS, "message-1")
    assert (again["id"], again["status"]) == (first["id"], Status.PURCHASED)
    assert world.sent == []
    assert [event["data"]["repeat"] for event in told(world)] == [False, True]
    assert told(world)[1]["data"]["status"] == "purchased"


def test_another_message_for_a_living_number_is_told_its_own_key(world: World) -> None:
    accept.buy_number(world.runtime, FIELDS, "message-1")
    accept.buy_number(world.runtime, FIELDS, "message-2")
    assert [event["data"]["idempotency_key"] for event in told(world)] == ["message-1", "message-2"]
    assert len(world.rows(select(PURCHASE))) == 1
    assert len(world.sent) == 1


def test_a_key_with_another_request_is_refused_and_changes_nothing(world: World) -> None:
    accept.buy_number(world.runtime, {**FIELDS, "idempotency_key": "k"}, "m-1")
    with pytest.raises(RequestError, match="another request"):
        accept.buy_number(world.runtime, {**FIELDS, "number": number(9), "idempotency_key": "k"}, "m-2")
    assert len(world.rows(select(PURCHASE))) == len(world.rows(select(KEY))) == len(told(world)) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {**FIELDS, "number": "12"},
        {**FIELDS, "provider": "acne"},
        {**FIELDS, "nubmer": "x"},
        {**FIELDS, "options": {"colour": "red"}},
    ],
)
def test_what_is_not_valid_becomes_no_row(world: World, fields: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        accept.buy_number(world.runtime, fields, "m")
    assert world.rows(select(PURCHASE)) == world.rows(select(EVENT)) == []


def test_a_broker_that_is_away_does_not_undo_what_was_accepted(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def away(_: object) -> None:
        raise BrokerAway("no broker")

    send = world.runtime.send
    object.__setattr__(world.runtime, "send", away)
    row = world.accept()
    assert row["id"] in caplog.text
    object.__setattr__(world.runtime, "send", send)
    assert world.settle(row["id"])["status"] == Status.PURCHASED


def test_a_rejected_message_is_kept_whole_and_told(world: World) -> None:
    body = {"number": "12", "provider": "acme", "metadata": {"a": "ü"}}
    accept.reject(world.runtime, "dialstock.buy_number", "m-1", body, RequestError("number: is short"))
    [kept] = world.rows(select(REJECTED))
    assert kept["body"] == '{"number": "12", "provider": "acme", "metadata": {"a": "ü"}}'
    assert (kept["task"], kept["message_id"], kept["error_code"]) == (
        "dialstock.buy_number",
        "m-1",
        "invalid_request",
    )
    [event] = world.rows(select(EVENT))
    assert (event["type"], event["subject"]) == ("dialstock.request.rejected", "12")
    assert event["data"]["request_id"] == event["data"]["rejected_id"] == kept["id"]
    assert event["data"]["error"] == "number: is short"


@pytest.mark.parametrize("body", ["not json", b"\x00\xff".decode("latin-1"), {"a": object()}, [1], "x" * 2_000_000])
def test_any_message_at_all_can_be_kept(world: World, body: Any) -> None:
    long = "e" * 100_000
    accept.reject(world.runtime, "t" * 900, "m" * 900, body, RequestError(long, "c"))
    [kept] = world.rows(select(REJECTED))
    assert len(kept["body"]) <= accept.MAX_BODY
    assert "\0" not in kept["body"]
    assert world.events() == ["rejected"]


@pytest.mark.parametrize("own", ["job-7", "", "two words", "x" * 201, "nul\0", 7, ["job-7"], None])
def test_a_rejected_message_is_told_with_the_callers_own_id_where_it_is_one(world: World, own: Any) -> None:
    accept.reject(world.runtime, "t", "m", {"request_id": own, "pool": "support"}, RequestError("no"))
    [kept] = world.rows(select(REJECTED))
    [event] = world.rows(select(EVENT))
    told = event["data"]
    assert told["request_id"] == ("job-7" if own == "job-7" else kept["id"])
    assert (told["rejected_id"], told["pool"]) == (kept["id"], "support")


def test_a_rejected_message_of_odd_types_is_told_with_bounded_fields(world: World) -> None:
    body = {"number": ["+1"] * 900, "provider": {"x": 1}, "idempotency_key": 7}
    accept.reject(world.runtime, None, None, body, ValueError("odd"))
    [event] = world.rows(select(EVENT))
    assert len(event["data"]["number"]) <= 200
    assert event["data"]["idempotency_key"] == "7"


def test_where_singles_wait_another_one_does_not_go_before_them(world: World) -> None:
    world.queued(number(1))
    assert world.accept(number(2))["status"] == Status.QUEUED
    assert world.sent == []


def test_room_is_shared_with_what_is_under_way(make: Make) -> None:
    world = make(max_in_flight=1)
    world.claimed(number(1))
    assert world.accept(number(2))["status"] == Status.QUEUED

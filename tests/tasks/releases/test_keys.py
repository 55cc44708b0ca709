"""Who asks for a number to be given back has a key: it is remembered for ever, and told of the end under its own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import delete, select

from schemas.events import EventType
from schemas.requests import RequestError
from schemas.status import Status
from schemas.tables.purchases import EVENT
from schemas.tables.releases import RELEASE_KEY
from tasks.ledger.rows import Row
from tasks.messages.answered_before import accepted_before
from tasks.messages.public_names import RELEASE_NUMBER
from tasks.policies.delivered_again import MAY_BE_LATE
from tasks.releases import giving_back
from tasks.telemetry.traceparent import within
from tests.tasks.releasing import REFUSED, Returns
from tests.tasks.support import NUMBER, number


def fields(key: str, **others: Any) -> Row:
    return {"number": NUMBER, "provider": "acme", "idempotency_key": key, "metadata": {"of": key}, **others}


def send(returns: Returns, key: str, **others: Any) -> Row:
    return giving_back.release_number(returns.runtime, fields(key, **others), f"m-{key}")


def told(returns: Returns, kind: str) -> list[Row]:
    events = returns.world.rows(select(EVENT).order_by(EVENT.c.seq))
    return [one["data"] for one in events if one["type"] == f"dialstock.purchase.{kind}"]


def ends(returns: Returns, kind: str) -> list[tuple[object, ...]]:
    return [(one["idempotency_key"], one["metadata"], one.get("release_status")) for one in told(returns, kind)]


def forget_keys(returns: Returns) -> None:
    """As a program leaves it that does not know the table."""
    with returns.world.write() as conn:
        conn.execute(delete(RELEASE_KEY))


@pytest.mark.parametrize("key", ["first", "second"])
def test_a_key_that_was_accepted_gives_back_nothing_that_was_bought_since(returns: Returns, key: str) -> None:
    row = returns.bought(idempotency_key="one")
    release = send(returns, "first")
    assert send(returns, "second")["id"] == release["id"]
    returns.settle(row)
    again = returns.bought(idempotency_key="two")
    after = send(returns, key)
    assert (after["id"], after["status"]) == (release["id"], "released")
    assert returns.world.row(again["id"])["status"] == Status.PURCHASED
    assert len(returns.provider.given) == 1


def test_a_message_that_comes_again_and_left_no_key_gives_back_nothing_that_was_bought_since(returns: Returns) -> None:
    wanted = {"number": NUMBER, "provider": "acme"}
    row = returns.bought(idempotency_key="one")
    assert giving_back.release_number(returns.runtime, wanted, "sent anew", again=True)["status"] == "open"
    returns.settle(row)
    again = returns.bought(idempotency_key="two")
    with pytest.raises(RequestError) as failure:
        giving_back.release_number(returns.runtime, wanted, "late", again=True)
    assert failure.value.code == "unclear"
    assert returns.world.row(again["id"])["status"] == Status.PURCHASED
    returns.world.clock.advance(MAY_BE_LATE.total_seconds())
    assert giving_back.release_number(returns.runtime, wanted, "later", again=True)["purchase_id"] == again["id"]


def test_a_key_that_joined_is_of_one_request(returns: Returns) -> None:
    returns.bought()
    returns.bought(number(7))
    send(returns, "first")
    send(returns, "second")
    for other in ({"number": number(7)}, {"metadata": {}}):
        with pytest.raises(RequestError) as failure:
            send(returns, "second", **other)
        assert failure.value.code == "key_conflict"
    assert len(returns.releases()) == 1


@pytest.mark.parametrize("key", ["first", "second"])
def test_a_message_that_was_accepted_is_not_answered_anew(returns: Returns, key: str) -> None:
    returns.bought()
    send(returns, "first")
    send(returns, "second")
    assert accepted_before(returns.runtime, RELEASE_NUMBER, fields(key), "another")
    assert not accepted_before(returns.runtime, RELEASE_NUMBER, fields(key, metadata={}), "another")
    assert not accepted_before(returns.runtime, RELEASE_NUMBER, fields("third"), "another")


def test_each_is_told_of_the_end_under_its_own_key(returns: Returns) -> None:
    row = returns.bought(idempotency_key="buyer", metadata={"customer": 1})
    release = send(returns, "first")
    returns.world.clock.advance(1)
    send(returns, "second")
    send(returns, "second")
    returns.settle(row)
    assert ends(returns, "released") == [
        ("buyer", {"customer": 1}, None),
        ("first", {"of": "first"}, "released"),
        ("second", {"of": "second"}, "released"),
    ]
    assert {one["status"] for one in told(returns, "released")} == {"released"}
    assert [one.get("release_id") for one in told(returns, "released")] == [None, release["id"], release["id"]]


def test_each_is_told_of_the_end_in_its_own_trace(returns: Returns) -> None:
    traces = {key: f"00-{n:032x}-00f067aa0ba902b7-01" for n, key in enumerate(("buyer", "first", "second"), start=1)}
    with within(traces["buyer"]):
        row = returns.bought(idempotency_key="buyer")
    for key in ("first", "second"):
        with within(traces[key]):
            send(returns, key)
    send(returns, "untraced")
    returns.settle(row)
    events = returns.world.rows(select(EVENT).where(EVENT.c.type == EventType.RELEASED).order_by(EVENT.c.seq))
    assert {one["data"]["idempotency_key"]: one["traceparent"] for one in events} == {**traces, "untraced": None}
    with within(traces["second"]):
        send(returns, "first")
    accepted = returns.world.rows(select(EVENT).where(EVENT.c.type == EventType.ACCEPTED).order_by(EVENT.c.seq))
    assert accepted[-1]["traceparent"] == traces["second"]


def test_each_is_told_why_the_provider_keeps_it(returns: Returns) -> None:
    row = returns.bought(idempotency_key="buyer")
    returns.world.accept(idempotency_key="joined", metadata={"customer": 2})
    returns.ask(row, force=True, key="first", metadata={"of": "first"})
    send(returns, "second")
    returns.provider.answers.append(REFUSED)
    returns.settle(row)
    assert ends(returns, "kept") == [
        ("buyer", {}, None),
        ("joined", {"customer": 2}, None),
        ("first", {"of": "first"}, "kept"),
        ("second", {"of": "second"}, "kept"),
    ]
    assert {(one["status"], one["error_code"]) for one in told(returns, "kept")} == {("purchased", "refused")}


def test_what_a_person_gave_back_is_told_to_who_asked_for_it(returns: Returns) -> None:
    row = returns.bought(idempotency_key="buyer")
    returns.provider.keeps_for = (86_400.0,)
    send(returns, "first")
    giving_back.mark_released(returns.runtime, row["id"], "ann", None)
    assert ends(returns, "released") == [("buyer", {}, None), ("first", {"of": "first"}, "released")]


def test_a_person_without_a_key_is_told_nothing_of_his_own(returns: Returns) -> None:
    row = returns.bought(idempotency_key="buyer")
    returns.ask(row)
    returns.settle(row)
    assert ends(returns, "released") == [("buyer", {}, None)]


def test_the_key_of_a_release_that_an_older_program_accepted_is_known_and_told(returns: Returns) -> None:
    row = returns.bought(idempotency_key="buyer")
    release = send(returns, "first")
    forget_keys(returns)
    assert send(returns, "first")["id"] == release["id"]
    send(returns, "second")
    assert returns.world.rows(select(RELEASE_KEY.c.idempotency_key)) == [{"idempotency_key": "second"}]
    with pytest.raises(RequestError, match="key"):
        send(returns, "first", metadata={})
    returns.settle(row)
    assert [one[0] for one in ends(returns, "released")] == ["buyer", "first", "second"]


@pytest.mark.parametrize("turn", range(3))
def test_one_key_for_two_numbers_at_once_is_of_one_of_them(returns: Returns, turn: int) -> None:
    rows = [returns.bought(number(n), idempotency_key=f"b{n}") for n in range(2)]
    returns.ask(rows[0])
    barrier = threading.Barrier(2)

    def said(row: Row) -> str | None:
        barrier.wait()
        try:
            send(returns, f"key-{turn}", number=row["number"])
        except RequestError as exc:
            return exc.code
        return None

    with ThreadPoolExecutor(2) as pool:
        found = sorted(map(str, pool.map(said, rows)))
    assert found == ["None", "key_conflict"]

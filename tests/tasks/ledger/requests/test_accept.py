"""Requests become rows, once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from decimal import Decimal

import pytest
from sqlalchemy import func, select, text, update

from schemas.events import EventType
from schemas.money import Price, price_of
from schemas.requests import BuyNumber, RequestError
from schemas.status import DEAD, OrderStatus, Status
from schemas.tables.purchases import EVENT, KEY, LINE, ORDER, PURCHASE
from tasks import orders
from tasks.ledger.requests.accept import Entry, accept, key_conflicts
from tasks.transactions import Raced, with_retry
from tests.tasks.support import NUMBER, World, number
from tests.waiting import at_once


def entry(wanted: str = NUMBER, key: str | None = None, line: int = 0, **fields: object) -> Entry:
    request = BuyNumber(number=wanted, provider="acme", idempotency_key=key, **fields)
    return Entry(request=request, account="acme-account", line=line)


def count(world: World) -> int:
    with world.runtime.database.read() as conn:
        return conn.execute(select(func.count()).select_from(PURCHASE)).scalar_one()


def end(world: World, purchase_id: str, status: Status) -> None:
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == purchase_id).values(status=status))


def test_a_number_that_is_alive_gets_its_purchase(world: World) -> None:
    first, second = world.accept(), world.accept()
    assert first["id"] == second["id"]
    assert count(world) == 1


@pytest.mark.parametrize("status", sorted(DEAD))
def test_a_number_whose_purchase_is_over_is_bought_anew(world: World, status: Status) -> None:
    first = world.accept()
    end(world, first["id"], status)
    assert world.accept()["id"] != first["id"]


def test_two_aliases_of_one_account_share_a_purchase(world: World) -> None:
    assert world.accept(provider="acme")["id"] == world.accept(provider="twin")["id"]


def test_a_key_seen_before_gets_its_purchase_for_ever(world: World) -> None:
    first = world.accept(idempotency_key="k")
    assert world.accept(idempotency_key="k")["id"] == first["id"]
    end(world, first["id"], Status.FAILED)
    assert world.accept(idempotency_key="k")["id"] == first["id"]
    assert count(world) == 1


def test_a_key_of_a_request_that_met_a_living_purchase_stays_with_it(world: World) -> None:
    first = world.accept(idempotency_key="a")
    assert world.accept(idempotency_key="b")["id"] == first["id"]
    end(world, first["id"], Status.FAILED)
    assert world.accept(idempotency_key="b")["id"] == first["id"]


@pytest.mark.parametrize(
    "other", [{"wanted": number(2)}, {"provider": "twin"}, {"metadata": {"a": 1}}, {"options": {"inbound_agent": "x"}}]
)
def test_a_key_with_another_request_is_refused(world: World, other: dict[str, object]) -> None:
    first = world.accept(idempotency_key="k")
    with pytest.raises(RequestError, match=first["id"]) as refused:
        world.accept(idempotency_key="k", **other)  # type: ignore[arg-type]
    assert refused.value.code == "key_conflict"
    assert count(world) == 1


def test_key_conflicts_are_found_before_anything_is_written(world: World) -> None:
    first = world.accept(idempotency_key="k")
    same, other = entry(key="k").request, entry(number(2), key="k").request
    with world.runtime.database.read() as conn:
        assert key_conflicts(conn, [same, entry().request]) == {}
        assert key_conflicts(conn, [other]) == {"k": first["id"]}
        assert key_conflicts(conn, []) == {}


def test_duplicates_inside_a_batch_are_one_purchase(world: World) -> None:
    batch = [entry(number(2)), entry(number(1)), entry(number(2), "k"), entry(number(1), "k2"), entry(number(2), "k")]
    with world.write() as conn:
        found = accept(conn, batch, world.clock())
    assert [one.row["number"] for one in found] == [one.request.number for one in batch]
    assert [one.created for one in found] == [True, True, False, False, False]
    assert found[0].row["id"] == found[2].row["id"] == found[4].row["id"]
    assert count(world) == 2
    assert {row["idempotency_key"] for row in world.rows(select(KEY))} == {"k", "k2"}


def test_one_key_for_two_requests_of_a_batch_is_refused(world: World) -> None:
    with pytest.raises(RequestError, match="same order") as refused, world.write() as conn:
        accept(conn, [entry(number(1), "k"), entry(number(2), "k")], world.clock())
    assert refused.value.code == "key_conflict"
    assert count(world) == 0


def test_a_batch_finds_what_is_there_and_makes_the_rest(world: World) -> None:
    there = world.accept(number(1))
    keyed = world.accept(number(2), idempotency_key="k")
    with world.write() as conn:
        found = accept(conn, [entry(number(1)), entry(number(2), "k"), entry(number(3))], world.clock())
    assert [one.created for one in found] == [False, False, True]
    assert [one.row["id"] for one in found[:2]] == [there["id"], keyed["id"]]


def test_the_same_number_at_the_same_instant_is_one_row(world: World) -> None:
    def one(key: str) -> Callable[[], object]:
        return lambda: world.accept(idempotency_key=key)["id"]

    ids = at_once(*[one(f"k{n}") for n in range(8)])
    assert len(set(ids)) == 1
    assert count(world) == 1
    assert len(world.rows(select(KEY))) == 8


def test_the_same_key_at_the_same_instant_is_one_row(world: World) -> None:
    ids = at_once(*[lambda: world.accept(idempotency_key="k")["id"]] * 6)
    assert len(set(ids)) == 1
    assert count(world) == 1


def test_batches_that_cross_each_other_wait_for_nobody(world: World) -> None:
    batch = [entry(number(n), f"k{n}") for n in range(40)]

    def load(entries: list[Entry]) -> Callable[[], object]:
        def once() -> int:
            with world.write() as conn:
                return sum(one.created for one in accept(conn, entries, world.clock()))

        return lambda: with_retry(once)

    assert sum(at_once(load(batch), load(batch[::-1]), load(batch[20:] + batch[:20]))) == 40  # type: ignore[arg-type]
    assert count(world) == 40


def test_a_race_is_run_again_and_no_more_than_a_few_times() -> None:
    tries: list[int] = []

    def lose() -> None:
        tries.append(1)
        raise Raced

    with pytest.raises(Raced):
        with_retry(lose)
    assert 2 <= len(tries) <= 20


def test_lines_point_to_purchases_and_keep_their_own_metadata(world: World) -> None:
    there = world.accept(number(1), metadata={"first": True})
    order = orders.begin(world.runtime, name="file")
    lines = [(n, entry(number(1 + n // 3), metadata={"line": n}).request) for n in (1, 2, 3, 4)]
    orders.load(world.runtime, order["id"], lines)
    found = world.rows(select(LINE).order_by(LINE.c.line))
    assert [(row["shared"], row["metadata"]) for row in found] == [
        (True, {"line": 1}),
        (True, {"line": 2}),
        (False, None),
        (True, {"line": 4}),
    ]
    assert {row["purchase_id"] for row in found[:2]} == {there["id"]}
    assert world.rows(select(ORDER))[0]["status"] == OrderStatus.LOADING


@pytest.mark.parametrize(
    "price",
    [
        {"monthly_price": "0.000000000001", "setup_price": "999999999999.99", "currency": "USD"},
        {"monthly_price": "1.10", "setup_price": None, "currency": "EUR"},
        {"monthly_price": None, "setup_price": None, "currency": None},
    ],
)
def test_a_price_is_kept_exactly_and_told(world: World, price: dict[str, str | None]) -> None:
    wanted = dataclasses.replace(entry(), price=price_of(price))
    with world.write() as conn:
        [accepted] = accept(conn, [wanted], world.runtime.now())
    world.tick()
    row = world.row(accepted.row["id"])
    [event] = world.rows(select(EVENT).where(EVENT.c.type == EventType.PURCHASED))
    assert {name: row[name] for name in price} == {name: event["data"][name] for name in price} == price


def test_prices_are_summed_by_hand(postgres: World) -> None:
    price = Price(monthly=Decimal("0.1"), currency="USD")
    with postgres.write() as conn:
        accept(conn, [dataclasses.replace(entry(number(n)), price=price) for n in range(3)], postgres.runtime.now())
        assert conn.execute(text("SELECT sum(monthly_price) FROM purchase")).scalar_one() == Decimal("0.3")

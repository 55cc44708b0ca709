"""A person settles what is held: the row, its event, who did it, and the orders that are told again."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, text, update

from schemas.requests import BuyNumber
from schemas.settling import Verdict
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import EVENT, ORDER, PURCHASE, RESOLUTION
from tasks import orders
from tasks.ledger import locking, resolve
from tasks.ledger.resolve import Resolution, Settler
from tasks.ledger.rows import Row, move, version
from tests.tasks.support import NUMBER, World, number

SETTLED = {Verdict.BOUGHT: Status.PURCHASED, Verdict.RETRY: Status.QUEUED, Verdict.FAIL: Status.FAILED}


def held(world: World, wanted: str = NUMBER, **columns: Any) -> Row:
    """A purchase that waits for a person, after calls that left a doubt."""
    row = world.accept(wanted)
    marks = {"attempts": 4, "tried_seconds": 99.0, "looks": 2, "doubt": True, "error": "cut", "error_code": "reset"}
    world.sent.clear()
    with world.write() as conn:
        moved = move(conn, row, Status.PURCHASING, world.clock()) if row["status"] == Status.DISPATCHED else row
        assert moved is not None
        after = move(conn, moved, Status.HELD, world.clock(), **marks, **columns)
    assert after is not None
    return after


def settle(world: World, *wanted: Resolution, by: str = "ann") -> list[Row]:
    with world.write() as conn:
        versions = {key: one["version"] for key, one in resolve.standing(conn, ids(wanted)).items()}
        return resolve.resolve(conn, wanted, versions, Settler(by=by, now=world.clock()))


def ids(wanted: Any) -> list[str]:
    return [one.purchase_id for one in wanted]


def resolutions(world: World) -> list[Row]:
    return world.rows(select(RESOLUTION))


def ordered(world: World, *numbers: str) -> str:
    """An order whose every line is settled: its purchases are held."""
    order = orders.begin(world.runtime, name="test")
    lines = [(line, BuyNumber(number=one, provider="acme")) for line, one in enumerate(numbers, 1)]
    orders.load(world.runtime, order["id"], lines)
    orders.finish(world.runtime, order["id"])
    for one in world.rows(select(PURCHASE).where(PURCHASE.c.order_id == order["id"])):
        with world.write() as conn:
            values = {"status": Status.HELD, "due_at": None, "revision": one["revision"] + 1}
            conn.execute(update(PURCHASE).where(PURCHASE.c.id == one["id"]).values(**values))
    assert orders.complete_finished(world.runtime) == 1
    return str(order["id"])


def order_status(world: World, order_id: str) -> str:
    [order] = world.rows(select(ORDER).where(ORDER.c.id == order_id))
    return str(order["status"])


def updates(world: World) -> list[Row]:
    return world.rows(select(EVENT).where(EVENT.c.type == "dialstock.order.updated").order_by(EVENT.c.seq))


@pytest.mark.parametrize("verdict", SETTLED)
def test_who_when_what_and_why_are_kept(world: World, verdict: Verdict) -> None:
    row = held(world)
    [after] = settle(world, Resolution(purchase_id=row["id"], verdict=verdict, note="seen in the dashboard"))
    assert world.row(row["id"]) == after
    assert after["status"] == SETTLED[verdict]
    assert resolutions(world) == [
        {
            "purchase_id": row["id"],
            "revision": after["revision"],
            "decision": verdict,
            "by": "ann",
            "note": "seen in the dashboard",
            "at": world.clock.moment,
        }
    ]
    with world.runtime.database.read() as conn:
        by_hand = conn.execute(text("SELECT decision, by, at, note FROM purchase_resolution WHERE by = 'ann'")).one()
    assert by_hand[:2] == (verdict, "ann")


def test_bought_is_told_with_the_id_that_the_person_found(world: World) -> None:
    row = held(world, provider_number_id="old")
    settle(world, Resolution(purchase_id=row["id"], verdict=Verdict.BOUGHT, provider_number_id="new"))
    after = world.row(row["id"])
    assert (after["success"], after["provider_number_id"], after["error"]) == (True, "new", None)
    assert after["finished_at"] == world.clock.moment
    [told] = [event for event in world.rows(select(EVENT)) if event["type"].endswith(".purchased")]
    assert (told["data"]["provider_number_id"], told["sequence"]) == ("new", after["revision"])


def test_bought_keeps_the_id_that_was_known(world: World) -> None:
    row = held(world, provider_number_id="old")
    settle(world, Resolution(purchase_id=row["id"], verdict=Verdict.BOUGHT))
    assert world.row(row["id"])["provider_number_id"] == "old"


def test_failed_says_by_whom_and_frees_the_number(world: World) -> None:
    row = held(world)
    settle(world, Resolution(purchase_id=row["id"], verdict=Verdict.FAIL, note="not there"))
    after = world.row(row["id"])
    assert (after["success"], after["error_code"]) == (False, "resolved")
    assert after["error"] == "settled as not bought by ann: not there"
    assert world.events()[-1] == "failed"
    assert world.accept()["id"] != row["id"]


def test_retry_begins_anew_and_keeps_the_doubt(world: World) -> None:
    row = held(
        world, cancel_requested_at=world.clock.moment, provider_number_id="old", first_attempt_at=world.clock.moment
    )
    world.clock.advance(60)
    settle(world, Resolution(purchase_id=row["id"], verdict=Verdict.RETRY))
    after = world.row(row["id"])
    assert after["due_at"] == world.clock.moment
    assert (after["attempts"], after["tried_seconds"], after["looks"], after["look_failures"]) == (0, 0.0, 0, 0)
    names = ("cancel_requested_at", "provider_number_id", "first_attempt_at", "error", "error_code", "success")
    assert [after[name] for name in names] == [None] * 6
    assert after["doubt"] is True
    assert world.events()[-1] == "held"


def test_what_is_not_held_at_that_version_is_left_alone(world: World) -> None:
    row = held(world)
    wanted = [Resolution(purchase_id=row["id"], verdict=Verdict.FAIL)]
    with world.write() as conn:
        versions = {row["id"]: version({**row, "revision": row["revision"] - 1})}
        assert resolve.resolve(conn, wanted, versions, Settler(by="ann", now=world.clock())) == []
    assert world.row(row["id"]) == row
    settle(world, *wanted)
    after = world.row(row["id"])
    assert settle(world, *wanted) == []
    assert world.row(row["id"]) == after
    assert len(resolutions(world)) == 1


@pytest.mark.parametrize("verdict", [Verdict.BOUGHT, Verdict.FAIL])
def test_a_completed_order_is_told_once_with_its_new_counts(world: World, verdict: Verdict) -> None:
    order = ordered(world, number(0), number(1))
    rows = world.rows(select(PURCHASE).order_by(PURCHASE.c.number))
    world.clock.advance(5)
    settle(world, Resolution(purchase_id=rows[0]["id"], verdict=verdict))
    assert order_status(world, order) == OrderStatus.OPEN
    assert orders.complete_finished(world.runtime) == 1
    assert orders.complete_finished(world.runtime) == 0
    [told] = updates(world)
    assert told["subject"] == order
    assert told["data"]["counts"] == {SETTLED[verdict]: 1, "held": 1}
    assert order_status(world, order) == OrderStatus.COMPLETED


def test_several_of_one_order_are_one_update(world: World) -> None:
    ordered(world, number(0), number(1), number(2))
    rows = world.rows(select(PURCHASE))
    settle(world, *(Resolution(purchase_id=row["id"], verdict=Verdict.BOUGHT) for row in rows))
    orders.complete_finished(world.runtime)
    assert [event["data"]["counts"] for event in updates(world)] == [{"purchased": 3}]


def test_an_order_that_only_shares_the_purchase_is_told_too(world: World) -> None:
    row = held(world)
    order = ordered(world, NUMBER)
    settle(world, Resolution(purchase_id=row["id"], verdict=Verdict.BOUGHT))
    orders.complete_finished(world.runtime)
    assert [(event["subject"], event["data"]["counts"]) for event in updates(world)] == [(order, {"purchased": 1})]


def test_a_retry_opens_the_order_until_it_is_bought_again(world: World) -> None:
    order = ordered(world, number(0))
    [row] = world.rows(select(PURCHASE))
    settle(world, Resolution(purchase_id=row["id"], verdict=Verdict.RETRY))
    assert orders.complete_finished(world.runtime) == 0
    assert order_status(world, order) == OrderStatus.OPEN
    assert world.release() == 1
    world.work()
    assert orders.complete_finished(world.runtime) == 1
    assert [event["data"]["counts"] for event in updates(world)] == [{"purchased": 1}]


def test_an_order_that_is_not_completed_yet_is_told_when_it_is(world: World) -> None:
    order = orders.begin(world.runtime, name="test")
    lines = [(line, BuyNumber(number=number(line), provider="acme")) for line in (1, 2)]
    orders.load(world.runtime, order["id"], lines)
    orders.finish(world.runtime, order["id"])
    first, second = world.rows(select(PURCHASE).order_by(PURCHASE.c.number))
    with world.write() as conn:
        move(conn, first, Status.HELD, world.clock())
    settle(world, Resolution(purchase_id=first["id"], verdict=Verdict.FAIL))
    assert orders.complete_finished(world.runtime) == 0
    with world.write() as conn:
        move(conn, second, Status.HELD, world.clock())
    assert orders.complete_finished(world.runtime) == 1
    assert updates(world) == []
    assert world.events().count("completed") == 1


def test_a_cancelled_order_that_is_opened_again_is_not_cancelled_any_more(world: World) -> None:
    order = ordered(world, number(0))
    orders.cancel(world.runtime, order)
    [row] = world.rows(select(PURCHASE))
    settle(world, Resolution(purchase_id=row["id"], verdict=Verdict.RETRY))
    [found] = world.rows(select(ORDER))
    assert (found["status"], found["cancel_requested_at"]) == (OrderStatus.OPEN, None)
    assert world.row(row["id"])["status"] == Status.QUEUED


def test_long_words_are_cut(world: World) -> None:
    row = held(world)
    settle(world, Resolution(purchase_id=row["id"], verdict=Verdict.FAIL, note="n" * 900), by="w" * 300)
    [kept] = resolutions(world)
    assert (len(kept["by"]), len(kept["note"])) == (100, 500)
    assert len(world.row(row["id"])["error"]) == 500


def test_purchases_are_locked_in_one_order(world: World) -> None:
    rows = [held(world, number(n)) for n in range(5)]
    with world.write() as conn:
        assert [row["id"] for row in locking.locked_with_orders(conn, [row["id"] for row in reversed(rows)])] == sorted(
            row["id"] for row in rows
        )


def test_a_settlement_and_its_orders_are_undone_together(world: World) -> None:
    order = ordered(world, number(0))
    [row] = world.rows(select(PURCHASE))
    wanted = [Resolution(purchase_id=row["id"], verdict=Verdict.BOUGHT)]
    with world.write() as conn, conn.begin_nested() as undone:
        assert len(resolve.resolve(conn, wanted, {row["id"]: version(row)}, Settler(by="a", now=world.clock()))) == 1
        undone.rollback()
    assert world.row(row["id"]) == row
    assert order_status(world, order) == OrderStatus.COMPLETED
    assert (resolutions(world), world.events().count("purchased")) == ([], 0)

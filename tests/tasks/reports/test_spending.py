"""What was bought is summed exactly, whatever it cost, and what has no price is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import insert, text

from schemas.status import Status
from schemas.tables.purchases import PROVIDER, PURCHASE
from tasks.ledger.rows import new_id
from tasks.reports.spending import By, spent
from tests.tasks.clock import START
from tests.tasks.support import ACCOUNT, World, number

HOUR = timedelta(hours=1)


def row(index: int, monthly: str | None = None, setup: str | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "order_id": None,
        "number": number(index),
        "provider": "acme",
        "account": ACCOUNT,
        "status": Status.PURCHASED,
        "already_owned": False,
        "attempts": 1,
        "revision": 3,
        "options": {},
        "metadata": {},
        "created_at": START,
        "updated_at": START,
        "doubt": False,
        "looks": 0,
        "look_failures": 0,
        "tried_seconds": 0.0,
        "pool": None,
        "call_deadline": START,
        "monthly_price": monthly,
        "setup_price": setup,
        "currency": None if monthly is setup is None else "USD",
        **fields,
    }


def sums(world: World, rows: list[dict[str, Any]], by: By = "provider") -> list[dict[str, Any]]:
    state = {"settled": True, "updated_at": START}
    with world.write() as conn:
        conn.execute(PURCHASE.delete())
        conn.execute(PROVIDER.delete())
        conn.execute(insert(PROVIDER), [{"provider": one, **state} for one in sorted({r["provider"] for r in rows})])
        # In steps: while many are made ready at once, a busy machine leaves the transaction for too long.
        for first in range(0, len(rows), 1_000):
            conn.execute(insert(PURCHASE), rows[first : first + 1_000])
        return [one.document(by) for one in spent(conn, by, START - HOUR, START + HOUR)]


def test_sums_are_exact(world: World) -> None:
    prices = ["0.1", "0.2", "0.000000000001", "999999999999.999999999999"]
    [found] = sums(world, [row(n, prices[n % 4], "0.1") for n in range(40_000)])
    assert (found["bought"], found["monthly"]) == (40_000, "10000000000003000.00")
    assert (found["setup"], found["total"]) == ("4000.00", "10000000000007000.00")


def test_what_is_counted_has_room_in_memory_for_as_long_as_that_takes(postgres: World) -> None:
    room = text("SELECT current_setting('work_mem')")
    with postgres.runtime.database.read() as conn:
        before = conn.execute(room).scalar()
        spent(conn, "provider", START - HOUR, START + HOUR)
        assert conn.execute(room).scalar() == "16MB" != before
    with postgres.runtime.database.read() as conn:
        assert conn.execute(room).scalar() == before


def test_each_currency_by_itself_and_what_has_no_price_beside(world: World) -> None:
    rows = [row(0, "1"), row(1, "1", "2"), row(2, "3", currency="EUR"), row(3), row(4, None, "5")]
    eur, usd, none = sums(world, rows)
    assert [one["currency"] for one in (eur, usd, none)] == ["EUR", "USD", None]
    assert (usd["monthly"], usd["setup"], usd["without_monthly"], usd["without_setup"]) == ("2.00", "7.00", 1, 1)
    assert (none["bought"], none["monthly"], none["total"], none["without_monthly"]) == (1, None, None, 1)


def test_what_was_bought_counts_and_what_may_have_been_is_told(world: World) -> None:
    doubt = {Status.QUEUED: True}
    rows = [row(n, "1", "1", status=one, doubt=doubt.get(one, False)) for n, one in enumerate(Status)]
    rows += [row(50, "1", "1", already_owned=True), row(51, "1", "1", status=Status.QUEUED)]
    [found] = sums(world, rows)
    bought = {Status.PURCHASED, Status.RELEASING, Status.RELEASED}
    assert (found["bought"], found["monthly"], found["unsettled"]) == (len(bought), "3.00", 4)


def test_only_what_was_called_for_within_the_time(world: World) -> None:
    times = [START - HOUR - timedelta(seconds=1), START - HOUR, START + HOUR - timedelta(seconds=1), START + HOUR, None]
    [found] = sums(world, [row(n, "1", call_deadline=time) for n, time in enumerate(times)])
    assert found["bought"] == 2


def test_it_is_told_by_pool_and_by_order(world: World) -> None:
    orders = sorted([new_id(), new_id()])
    rows = [row(n, "1", pool=[None, "a"][n % 2], order_id=orders[n // 2], provider=f"p{n}") for n in range(4)]
    assert [(one["pool"], one["bought"]) for one in sums(world, rows, "pool")] == [(None, 2), ("a", 2)]
    assert [(one["order"], one["bought"]) for one in sums(world, rows, "order")] == [(one, 2) for one in orders]
    assert [one["provider"] for one in sums(world, rows)] == ["p0", "p1", "p2", "p3"]

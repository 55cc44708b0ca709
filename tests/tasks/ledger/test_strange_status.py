"""Purchases in a status that only a newer program knows: this one leaves them, and their orders, to that one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import event, select, text

from schemas.outcomes import Outcome, OutcomeKind
from schemas.requests import BuyNumber
from schemas.status import OrderStatus
from schemas.tables.purchases import ORDER, PURCHASE
from tasks import orders
from tasks.ledger.rows import Row
from tests.tasks.ledger.calls.test_outcomes import record
from tests.tasks.support import World, make_world, number
from workers.database.connections import SqlDatabase

STRANGE = "reserving"


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    """Its database takes statuses of a newer program."""
    database = SqlDatabase(database_url)
    if database.engine.dialect.name == "sqlite":
        event.listen(database.engine, "begin", lambda c: c.exec_driver_sql("PRAGMA ignore_check_constraints = ON"))
    else:
        with database.write() as conn:
            conn.execute(text("ALTER TABLE purchase DROP CONSTRAINT purchase_status"))
    yield make_world(database)
    database.close()


def estrange(world: World, purchase_id: str) -> Row:
    with world.write() as conn:
        conn.execute(
            text("UPDATE purchase SET status = :status, due_at = created_at WHERE id = :id"),
            {"status": STRANGE, "id": purchase_id},
        )
    return world.row(purchase_id)


def test_timers_messages_and_orders_leave_it_alone(world: World) -> None:
    lines = [(line, BuyNumber(number=number(line), provider="acme")) for line in (1, 2)]
    order_id = orders.begin(world.runtime, name="file.csv")["id"]
    orders.load(world.runtime, order_id, lines)
    orders.finish(world.runtime, order_id)
    [strange, _] = world.rows(select(PURCHASE).order_by(PURCHASE.c.number))
    before = estrange(world, strange["id"])
    again = world.accept(strange["number"])
    assert again["id"] == strange["id"]
    for _ in range(20):
        world.tick()
        orders.complete_finished(world.runtime)
        world.clock.advance(60)
    assert {**world.row(strange["id"]), "joined": False} == before
    assert [row["status"] for row in world.rows(select(ORDER))] == [OrderStatus.OPEN]
    orders.cancel(world.runtime, order_id)
    orders.complete_finished(world.runtime)
    assert world.row(strange["id"])["status"] == STRANGE
    with world.write() as conn:
        conn.execute(text("UPDATE purchase SET status = 'purchased' WHERE id = :id"), {"id": strange["id"]})
    orders.complete_finished(world.runtime)
    assert [row["status"] for row in world.rows(select(ORDER))] == [OrderStatus.COMPLETED]


@pytest.mark.parametrize("kind", [OutcomeKind.PURCHASED, OutcomeKind.REFUSED])
def test_a_late_answer_is_kept_beside_it(world: World, kind: OutcomeKind) -> None:
    claim = world.claimed()
    before = estrange(world, claim.row["id"])
    record(world, claim, Outcome(kind=kind))
    assert world.row(claim.row["id"]) == before
    assert world.attempts(claim.row["id"]) == [str(kind)]

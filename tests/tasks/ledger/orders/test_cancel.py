"""Cancel, meeting each state."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from schemas.outcomes import Outcome, OutcomeKind
from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.ledger.orders import cancel
from tasks.ledger.rows import Row
from tests.tasks.scripted_provider import UNKNOWN
from tests.tasks.support import World


def ask(world: World, purchase_id: str) -> Row | None:
    with world.write() as conn:
        return cancel.cancel(conn, purchase_id, world.clock())


def in_doubt(world: World, row: Row) -> None:
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(doubt=True))


@pytest.mark.parametrize("waiting", [World.queued, World.accept], ids=["queued", "dispatched"])
def test_what_waits_is_cancelled_at_once(world: World, waiting: object) -> None:
    row = waiting(world)  # type: ignore[operator]
    after = ask(world, row["id"])
    assert after is not None
    assert (after["status"], after["success"], after["error_code"]) == (Status.CANCELLED, False, "cancelled")
    assert after["cancel_requested_at"] == world.clock.moment
    assert world.events() == ["cancelled"]


@pytest.mark.parametrize("waiting", [World.queued, World.accept], ids=["queued", "dispatched"])
def test_what_waits_in_doubt_is_held(world: World, waiting: object) -> None:
    row = waiting(world)  # type: ignore[operator]
    in_doubt(world, row)
    after = ask(world, row["id"])
    assert after is not None
    assert (after["status"], after["success"], after["error_code"]) == (Status.HELD, None, "cancelled_in_doubt")
    assert world.events() == ["held"]


def test_a_message_delivered_after_a_cancel_buys_nothing(world: World) -> None:
    row = world.accept()
    ask(world, row["id"])
    before = world.row(row["id"])
    world.work()
    assert world.row(row["id"]) == before
    assert world.provider.charged == []
    assert world.attempts(row["id"]) == []
    assert len(world.pace.refunded) == 1


def test_a_call_under_way_keeps_its_claim(world: World) -> None:
    claim = world.claimed()
    after = ask(world, claim.row["id"])
    assert after is not None
    assert (after["status"], after["revision"]) == (Status.PURCHASING, claim.row["revision"])
    assert after["cancel_requested_at"] is not None


def test_a_doubt_is_looked_at_first(world: World) -> None:
    world.provider.script.append(world.provider.charge_unseen)
    row = world.accept()
    world.work()
    ask(world, row["id"])
    assert world.settle(row["id"])["status"] == Status.PURCHASED


def test_what_the_provider_accepted_is_not_cancelled(world: World) -> None:
    world.provider.script.append(Outcome(kind=OutcomeKind.PROCESSING))
    row = world.accept()
    world.work()
    before = world.row(row["id"])
    assert ask(world, row["id"]) == before
    assert world.row(row["id"]) == before


@pytest.mark.parametrize("status", [Status.HELD, Status.PURCHASED, Status.FAILED, Status.CANCELLED, Status.RELEASED])
def test_what_is_settled_stays(world: World, status: Status) -> None:
    row = world.accept()
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(status=status))
    before = world.row(row["id"])
    assert ask(world, row["id"]) == before
    assert world.row(row["id"]) == before
    assert world.events() == []


def test_cancelling_twice_changes_nothing(world: World) -> None:
    world.provider.script.append(UNKNOWN)
    row = world.accept()
    world.work()
    first = ask(world, row["id"])
    world.clock.advance(1)
    assert ask(world, row["id"]) == first


def test_a_purchase_that_does_not_exist_is_none(world: World) -> None:
    assert ask(world, world.accept()["id"][:-4] + "0000") is None

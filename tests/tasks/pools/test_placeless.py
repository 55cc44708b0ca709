"""What was bought for a pool, and stands in no place of it, is known."""

from __future__ import annotations

import pytest

from schemas.requests import BuyNumber
from schemas.status import Status
from tasks.ledger.calls.outcomes import take_evidence
from tasks.ledger.rows import lock
from tasks.lifecycle import accept
from tasks.policies.retry import Decision
from tasks.pools import stock
from tasks.pools.placeless import placeless
from tests.tasks.pools.supplying import NAME, Supplied, supplied
from workers.database.connections import SqlDatabase


@pytest.fixture
def world(database: SqlDatabase) -> Supplied:
    """Its pool is full, but for a place whose number came to nothing, and was told as bought after that."""
    world = supplied(database)
    world.run()
    [failed] = world.lead(Status.FAILED, 1)
    world.lead(Status.PURCHASED)
    with world.write() as conn:
        stock.settle(conn, world.clock.moment)
    assert found(world) == []
    with world.write() as conn:
        row = lock(conn, failed)
        assert row is not None
        yes = Decision(status=Status.PURCHASED, provider_number_id="id-late")
        assert take_evidence(conn, row, yes, world.clock.moment) is not None
    return world


def found(world: Supplied) -> list[tuple[str, int, str]]:
    with world.runtime.database.read() as conn:
        return placeless(conn)


def late(world: Supplied) -> str:
    in_places = {place["number"] for place in world.places() if place["purchase_id"]}
    [number] = set(world.bought()) - in_places
    return number


def test_a_number_whose_yes_came_after_its_place_went_to_another(world: Supplied) -> None:
    world.run()
    assert found(world) == [(NAME, 1, late(world))]


def test_not_one_that_somebody_asked_for_since(world: Supplied) -> None:
    accept.accept_one(world.runtime, BuyNumber(number=late(world), provider="first", idempotency_key="crm"))
    assert found(world) == []

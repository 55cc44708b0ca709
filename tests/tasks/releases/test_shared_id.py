"""A provider's id that two living purchases have: nothing is deleted by it."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select, text, update

from schemas.releasing import ReleaseKind, ReleaseOutcome
from schemas.requests import RequestError
from schemas.status import DEAD, Status
from schemas.tables.pools import POOL_NUMBER, Slot
from schemas.tables.purchases import PURCHASE
from tasks.ledger.rows import Row
from tests.tasks.releasing import Returns
from tests.tasks.support import number
from workers.database.connections import SqlDatabase

SHARED = "PN1"


def change(returns: Returns, row: Row, **values: object) -> None:
    with returns.world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(**values))


def two(returns: Returns) -> tuple[Row, Row]:
    rows = returns.bought(number(1)), returns.bought(number(2))
    for row in rows:
        change(returns, row, provider_number_id=SHARED)
    return rows


@pytest.mark.parametrize("status", sorted(set(Status) - DEAD))
@pytest.mark.parametrize("force", [False, True])
def test_what_has_the_id_of_another_living_purchase_is_not_given_back(
    returns: Returns, status: Status, force: bool
) -> None:
    one, other = two(returns)
    change(returns, other, status=status)
    with pytest.raises(RequestError, match=f"portal.* mark-released {one['id']}") as failure:
        returns.ask(one, force=force)
    assert failure.value.code == "shared_id"
    assert number(2) in str(failure.value)
    assert returns.releases() == []


@pytest.mark.parametrize("status", sorted(DEAD))
def test_what_had_the_id_and_is_over_does_not_hinder(returns: Returns, status: Status) -> None:
    one, other = two(returns)
    change(returns, other, status=status)
    returns.ask(one)
    assert returns.settle(one)["status"] == Status.RELEASED


def test_what_has_the_id_at_another_account_does_not_hinder(returns: Returns) -> None:
    one, other = two(returns)
    change(returns, other, account="another")
    returns.ask(one)
    assert returns.settle(one)["status"] == Status.RELEASED


@pytest.mark.parametrize("calls", [0, 1])
def test_what_comes_to_have_the_id_before_a_call_hinders_that_call(returns: Returns, calls: int) -> None:
    one, other = returns.bought(number(1)), returns.bought(number(2))
    now = returns.world.clock.moment
    place = {"pool": "p", "slot": 1, "number": number(1), "provider": "acme", "purchase_id": one["id"], "tries": 1}
    with returns.world.write() as conn:
        conn.execute(insert(POOL_NUMBER).values(**place, status=Slot.AVAILABLE, available_at=now, updated_at=now))
    returns.ask(one)
    returns.provider.answers += [ReleaseOutcome(kind=ReleaseKind.THROTTLED, retry_after=5.0)] * calls
    for _ in range(calls):
        assert returns.step()
    change(returns, other, provider_number_id=one["provider_number_id"])
    assert returns.settle(one)["status"] == Status.PURCHASED
    assert len(returns.provider.given) == calls
    [release] = returns.releases()
    assert (release["status"], release["error_code"]) == ("kept", "shared_id")
    assert "mark-released" in release["error"]
    assert returns.world.events() == ["purchased", "purchased", "kept"]
    assert [row["status"] for row in returns.world.rows(select(POOL_NUMBER))] == [Slot.AVAILABLE]


def test_two_that_have_one_id_are_both_kept_though_both_were_asked_for(returns: Returns) -> None:
    one, other = returns.bought(number(1)), returns.bought(number(2))
    returns.ask(one)
    returns.ask(other)
    for row in (one, other):
        change(returns, row, provider_number_id=SHARED)
        with returns.world.write() as conn:
            conn.execute(text("UPDATE number_release SET provider_number_id = 'PN1'"))
    assert [returns.settle(row)["status"] for row in (one, other)] == [Status.PURCHASED] * 2
    assert returns.provider.given == []


def test_who_else_has_an_id_is_found_by_an_index(database: SqlDatabase) -> None:
    query = "SELECT number FROM purchase WHERE provider_number_id = 'PN1' AND account = 'a'"
    with database.write() as conn:
        if conn.dialect.name == "postgresql":
            conn.execute(text("SET LOCAL enable_seqscan = off"))
            plan = conn.execute(text(f"EXPLAIN {query}"))
        else:
            plan = conn.execute(text(f"EXPLAIN QUERY PLAN {query}"))
        assert "purchase_by_number_id" in str(plan.all())

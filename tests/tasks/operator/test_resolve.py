"""Held purchases settled together: all that are asked for, or none; and what meets them meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, select, update

from schemas.settling import Verdict
from schemas.status import Status
from schemas.tables.purchases import EVENT, PURCHASE, RESOLUTION
from tasks import orders
from tasks.ledger import resolve as ledger
from tasks.ledger import sweep
from tasks.ledger.orders.reopen import reopen_orders
from tasks.ledger.resolve import Resolution, Settler
from tasks.ledger.rows import Row, move, version
from tasks.operator import resolve as resolving
from tasks.operator.resolve import ResolveError
from tasks.orders import CHUNK
from tasks.reports import queries
from tests.tasks.ledger.test_resolve import held, ordered, updates
from tests.tasks.scripted_provider import REFUSED
from tests.tasks.support import NUMBER, World, number
from tests.waiting import PATIENCE

ABSENT_ID = "0190a0a0-0000-7000-8000-000000000001"


def snapshot(world: World) -> list[object]:
    return [world.rows(select(table).order_by(*table.primary_key)) for table in (PURCHASE, EVENT, RESOLUTION)]


@pytest.mark.parametrize(
    ("spoils", "message"),
    [
        (lambda world: ABSENT_ID, f"there is no purchase {ABSENT_ID}"),
        (lambda world: world.accept(number(9))["id"], "is dispatched: only a held purchase can be settled by a person"),
        (lambda world: world.claimed(number(9)).row["id"], "is purchasing: only a held purchase"),
        (lambda world: held(world, number(0))["id"], "is named twice"),
    ],
)
def test_one_that_cannot_be_settled_leaves_all_as_they_are(
    world: World, spoils: Callable[[World], str], message: str
) -> None:
    good = held(world, number(1))
    bad = spoils(world)
    wanted = [Resolution(purchase_id=one, verdict=Verdict.FAIL) for one in (good["id"], bad)]
    if "twice" in message:
        wanted.append(Resolution(purchase_id=bad, verdict=Verdict.BOUGHT))
    before = snapshot(world)
    with pytest.raises(ResolveError, match=message) as caught:
        resolving.resolve(world.runtime, wanted, "ann")
    assert [problem.resolution.purchase_id for problem in caught.value.problems] == [bad]
    assert snapshot(world) == before


def outdated(world: World, wanted: Resolution) -> str:
    before = snapshot(world)
    with pytest.raises(ResolveError) as caught:
        resolving.resolve(world.runtime, [wanted], "ann")
    assert snapshot(world) == before
    return str(caught.value)


def exported(world: World, row: Row) -> str:
    """The version that an order's export, and a list, give of the purchase."""
    with world.runtime.database.read() as conn:
        [listed] = queries.list_purchases(conn, 1, id=row["id"])
    assert listed == {**world.row(row["id"]), "version": version(row)}
    return str(listed["version"])


def held_again(world: World, row: Row) -> Row:
    """A person has the purchase bought again; that call is in doubt, and held."""
    resolving.resolve(world.runtime, [Resolution(purchase_id=row["id"], verdict=Verdict.RETRY)], "bob")
    assert world.release() == 1
    claim = world.claim(row["id"])
    with world.write() as conn:
        move(conn, claim.row, Status.HELD, world.clock())
    return world.row(row["id"])


@pytest.mark.parametrize("verdict", [Verdict.RETRY, Verdict.FAIL, Verdict.BOUGHT])
def test_a_decision_on_what_was_before_the_last_call_is_refused(world: World, verdict: Verdict) -> None:
    row = held(world, NUMBER)
    decision = Resolution(purchase_id=row["id"], verdict=verdict, line=2, version=exported(world, row))
    again = held_again(world, row)
    told = outdated(world, decision)
    assert "has moved on since this was exported" in told
    assert "decide in a new export" in told
    done = resolving.resolve(world.runtime, [replace(decision, version=exported(world, again))], "ann")
    assert len(done.settled) == 1


def test_a_decision_from_before_the_database_went_back_is_refused(world: World) -> None:
    """The purchase has come to the same revision again, by another call."""
    row = held(world, NUMBER)
    decision = Resolution(purchase_id=row["id"], verdict=Verdict.FAIL, line=2, version=exported(world, row))
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(call_deadline=world.clock() + timedelta(seconds=1)))
    assert "has moved on" in outdated(world, decision)


def test_a_decision_without_a_version_is_taken_where_no_person_had_it_bought_again(world: World) -> None:
    row = held(world, NUMBER)
    decision = Resolution(purchase_id=row["id"], verdict=Verdict.FAIL, line=2)
    held_again(world, row)
    assert "no version tells that this one is not older" in outdated(world, decision)
    # Named on the command line it is a decision of now.
    assert len(resolving.resolve(world.runtime, [replace(decision, line=None)], "ann").settled) == 1
    other = held(world, number(1))
    assert len(resolving.resolve(world.runtime, [replace(decision, purchase_id=other["id"])], "ann").settled) == 1


def test_one_that_moved_after_the_check_is_left_and_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [held(world, number(n)) for n in range(3)]
    wanted = [Resolution(purchase_id=row["id"], verdict=Verdict.FAIL) for row in rows]
    check = resolving.check

    def check_and_lose_one(*arguments: object) -> dict[str, str]:
        versions = check(*arguments)  # type: ignore[arg-type]
        # somebody else settles it, and it is held again, before the first transaction
        again = resolving.Resolution(purchase_id=rows[1]["id"], verdict=Verdict.RETRY)
        monkeypatch.setattr(resolving, "check", check)
        resolving.resolve(world.runtime, [again], "bob")
        return versions

    monkeypatch.setattr(resolving, "check", check_and_lose_one)
    done = resolving.resolve(world.runtime, wanted, "ann")
    assert [one.purchase_id for one in done.moved] == [rows[1]["id"]]
    assert {one.purchase_id for one in done.settled} == {rows[0]["id"], rows[2]["id"]}
    assert world.row(rows[1]["id"])["status"] == Status.QUEUED


def test_one_whose_database_went_back_after_the_check_is_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is held at the same revision, after another call."""
    row = held(world, NUMBER)
    check = resolving.check

    def check_and_go_back(*arguments: object) -> dict[str, str]:
        versions = check(*arguments)  # type: ignore[arg-type]
        with world.write() as conn:
            conn.execute(update(PURCHASE).values(call_deadline=world.clock() + timedelta(seconds=1)))
        return versions

    monkeypatch.setattr(resolving, "check", check_and_go_back)
    done = resolving.resolve(world.runtime, [Resolution(purchase_id=row["id"], verdict=Verdict.RETRY)], "ann")
    assert [one.purchase_id for one in done.moved] == [row["id"]]
    assert world.row(row["id"])["status"] == Status.HELD


def test_many_are_settled_by_chunks_and_their_order_is_completed_at_the_end(world: World) -> None:
    count = CHUNK + 3
    ordered(world, *(number(n) for n in range(count)))
    rows = world.rows(select(PURCHASE))
    steps: list[int] = []
    wanted = [Resolution(purchase_id=row["id"], verdict=Verdict.BOUGHT) for row in rows]
    done = resolving.resolve(world.runtime, wanted, "ann", steps.append)
    assert (len(done.settled), done.moved, steps) == (count, [], [CHUNK, 3])
    assert {one.status for one in done.settled} == {Status.PURCHASED}
    assert [event["data"]["counts"] for event in updates(world)] == [{"purchased": count}]


def test_an_order_that_is_completed_at_the_same_instant_counts_the_settlement(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who completes an order has found it finished, and waits until the settlement of its last line is committed."""
    ordered(world, number(0))
    [row] = world.rows(select(PURCHASE))
    with world.write() as conn:
        reopen_orders(conn, [row["id"]], world.clock())
    found, finished_orders = threading.Event(), sweep.finished_orders

    def find_them(conn: Connection) -> list[str]:
        try:
            return finished_orders(conn)
        finally:
            found.set()

    monkeypatch.setattr(sweep, "finished_orders", find_them)
    completer = threading.Thread(target=orders.complete_finished, args=(world.runtime,))
    wanted = [Resolution(purchase_id=row["id"], verdict=Verdict.BOUGHT)]
    with world.write() as conn:
        ledger.resolve(conn, wanted, {row["id"]: version(row)}, Settler(by="ann", now=world.clock()))
        completer.start()
        assert found.wait(PATIENCE)
        completer.join(0.2)
        assert completer.is_alive()
    completer.join(PATIENCE)
    assert [event["data"]["counts"] for event in updates(world)] == [{"purchased": 1}]


def test_settling_twice_is_refused_and_changes_nothing(world: World) -> None:
    row = held(world)
    wanted = [Resolution(purchase_id=row["id"], verdict=Verdict.BOUGHT)]
    resolving.resolve(world.runtime, wanted, "ann")
    before = snapshot(world)
    with pytest.raises(ResolveError, match="is purchased"):
        resolving.resolve(world.runtime, wanted, "ann")
    assert snapshot(world) == before


def test_a_retry_is_bought_again(world: World) -> None:
    row = held(world)
    resolving.resolve(world.runtime, [Resolution(purchase_id=row["id"], verdict=Verdict.RETRY)], "ann")
    after = world.settle(row["id"])
    assert (after["status"], after["attempts"]) == (Status.PURCHASED, 1)
    assert world.provider.charged == [(NUMBER, "id-1")]


def test_a_retry_that_is_refused_goes_through_all_looks_and_is_held_again(world: World) -> None:
    row = held(world)
    resolving.resolve(world.runtime, [Resolution(purchase_id=row["id"], verdict=Verdict.RETRY)], "ann")
    world.provider.script.append(REFUSED)
    after = world.settle(row["id"])
    assert (after["status"], after["error_code"]) == (Status.HELD, "refused")
    assert world.provider.asked == [NUMBER] * 3
    assert world.events() == ["held", "held"]

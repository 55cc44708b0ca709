"""Which marked calls a database has lost, and what is held for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from schemas.outcomes import OutcomeKind
from schemas.status import DEAD, Status
from schemas.tables.purchases import ATTEMPT, PURCHASE
from tasks.ledger import history
from tasks.ledger.history import Unvouched, WentBack
from tasks.ledger.rows import Row, new_id
from tasks.transactions import server_of
from tasks.watermark import Mark, Newest
from tests.tasks.clock import START
from tests.tasks.support import ACCOUNT, World, number

ALIVE_UNBOUGHT = sorted(set(Status) - DEAD - {Status.PURCHASED, Status.RELEASING})


def mark(index: int, revision: int = 2, purchase_id: str | None = None) -> Mark:
    return Mark(
        purchase_id=purchase_id or new_id(),
        revision=revision,
        number=number(index),
        started_at=START,
        deadline=START + timedelta(seconds=32),
    )


def known(world: World, index: int) -> Mark:
    claim = world.claimed(number(index))
    return replace(mark(index, claim.row["revision"], claim.row["id"]), started_at=claim.started_at)


def lost(world: World, marks: Sequence[Mark]) -> list[Mark]:
    with world.runtime.database.read() as conn:
        return history.lost(conn, marks, account=ACCOUNT)


def hold(world: World, *marks: Mark) -> list[Row]:
    with world.write() as conn:
        said = "ann let acme go on: seen"
        return history.hold(conn, marks, account="acme-account", alias="acme", now=world.clock(), said=said)


def test_what_is_lost_is_what_has_no_attempt(world: World) -> None:
    marks = [mark(1), known(world, 2), mark(3)]
    assert lost(world, marks) == [marks[0], marks[2]]
    assert lost(world, []) == []


def test_an_attempt_of_another_time_or_revision_is_another_call(world: World) -> None:
    one = known(world, 1)
    others = [replace(one, started_at=START + timedelta(microseconds=1)), replace(one, revision=one.revision + 2)]
    assert lost(world, [one, *others]) == others


def test_many_marks_are_looked_up_in_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_CHUNK", 2)
    marks = [known(world, index) for index in range(5)]
    assert lost(world, [*marks, mark(9)])[0].number == number(9)
    assert lost(world, marks) == []


def test_a_connection_is_vouched_for_by_account_and_only_by_marks_that_are_known(world: World) -> None:
    world.runtime.database.close()  # type: ignore[attr-defined]
    marks = [known(world, 1)]
    with world.runtime.database.read() as conn:
        history.vouched(conn).clear()
        with pytest.raises(Unvouched):
            history.vouch(conn, "acme-account", None)
        with pytest.raises(WentBack):
            history.vouch(conn, "acme-account", Newest(marks=[mark(2), *marks], server=server_of(conn)))
        with pytest.raises(Unvouched):
            history.vouch(conn, "acme-account", Newest(marks=marks, server="another"))
        history.vouch(conn, "acme-account", Newest(marks=marks, server=server_of(conn)))
        history.vouch(conn, "acme-account", None)
        with pytest.raises(Unvouched):
            history.vouch(conn, "other-account", None)


@pytest.mark.parametrize("status", [*ALIVE_UNBOUGHT])
def test_whatever_is_not_bought_is_held_by_its_last_call(world: World, status: Status) -> None:
    row = world.claimed(number(1)).row
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(status=status, call_deadline=START, error_code="refused"))
        conn.execute(update(ATTEMPT).values(deadline=START))
    last = mark(1, 4)
    [held] = hold(world, last, mark(1))
    after = world.row(row["id"])
    assert (held["id"], after["status"], after["doubt"], after["due_at"]) == (row["id"], Status.HELD, True, None)
    assert after["error"] == "the database lost a call that may have bought it; ann let acme go on: seen"
    assert (after["error_code"], after["call_deadline"]) == ("history_lost", last.deadline)
    assert world.attempts(row["id"]) == [OutcomeKind.UNKNOWN if status is Status.PURCHASING else None]
    assert hold(world, last) == []
    later = replace(last, deadline=last.deadline + timedelta(seconds=1))
    assert [one["call_deadline"] for one in hold(world, later)] == [later.deadline]


def test_a_later_call_that_is_known_is_the_last(world: World) -> None:
    claimed = world.claimed(number(1))
    [held] = hold(world, replace(mark(1), deadline=claimed.deadline - timedelta(seconds=1)))
    assert held["call_deadline"] == claimed.deadline


@pytest.mark.parametrize("status", [Status.PURCHASED, Status.RELEASING])
def test_what_was_bought_stays(world: World, status: Status) -> None:
    row = world.claimed(number(1)).row
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(status=status))
    before = world.row(row["id"])
    assert hold(world, mark(1)) == []
    assert world.row(row["id"]) == before


@pytest.mark.parametrize("status", Status)
def test_what_was_bought_is_dated_by_its_last_lost_call(world: World, status: Status) -> None:
    row = world.accept(number(1))
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(status=status))
    last = mark(1)
    earlier = replace(mark(1), started_at=START - timedelta(seconds=60), deadline=START - timedelta(seconds=28))
    for marks, account in ((last, "other-account"), (earlier, ACCOUNT), (last, ACCOUNT), (earlier, ACCOUNT)):
        with world.write() as conn:
            history.answer(conn, [marks], account=account, now=world.clock())
    bought = status in (Status.PURCHASED, Status.RELEASING, Status.PROCESSING)
    assert world.row(row["id"])["call_deadline"] == (last.deadline if bought else None)


def test_what_is_unknown_here_is_held_under_its_own_id(world: World) -> None:
    one = mark(1, 4)
    assert [row["id"] for row in hold(world, mark(1, 2), one)] == [one.purchase_id]
    after = world.row(one.purchase_id)
    assert (after["status"], after["success"], after["doubt"], after["already_owned"]) == (
        Status.HELD,
        None,
        True,
        False,
    )
    assert (after["revision"], after["call_deadline"], after["due_at"]) == (5, one.deadline, None)
    assert world.events(of=one.purchase_id) == ["held"]
    assert hold(world, one) == []


def test_one_whose_id_is_another_ended_purchase_gets_an_id_of_its_own(world: World) -> None:
    ended = world.claimed(number(1)).row
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(status=Status.FAILED, finished_at=world.clock()))
    [held] = hold(world, mark(1, 6, ended["id"]))
    assert held["id"] != ended["id"]
    assert world.row(ended["id"])["status"] == Status.FAILED

"""The one way in which a row changes."""

from __future__ import annotations

from itertools import product

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError

from schemas.events import EVENT_OF
from schemas.status import DEAD, MOVES, Status, success_of
from schemas.tables.purchases import EVENT, PURCHASE
from tasks.ledger.rows import Row, WrongMove, find, lock, move
from tests.tasks.support import NUMBER, Killed, World, die


def put_in(world: World, status: Status) -> Row:
    """A purchase that stands in *status*."""
    row = world.accept()
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(status=status))
        conn.execute(EVENT.delete())
    return world.row(row["id"])


@pytest.mark.parametrize("at", Status)
def test_exactly_the_moves_of_the_state_machine_exist(world: World, at: Status) -> None:
    row = put_in(world, at)
    for to in Status:
        with world.write() as conn, conn.begin_nested() as undone:
            if to in MOVES[at] or to == at:
                after = move(conn, row, to, world.clock())
                assert after is not None
                assert (after["status"], after["revision"]) == (to, row["revision"] + 1)
            else:
                with pytest.raises(WrongMove, match=f"{at} -> {to}"):
                    move(conn, row, to, world.clock())
            undone.rollback()


@pytest.mark.parametrize(("at", "to"), [(at, to) for at, to in product(Status, Status) if to in MOVES[at]])
def test_a_status_and_its_event_are_written_together(world: World, at: Status, to: Status) -> None:
    row = put_in(world, at)
    with world.write() as conn:
        move(conn, row, to, world.clock())
    after = world.row(row["id"])
    assert (after["status"], after["success"]) == (to, success_of(to))
    assert (after["finished_at"] is not None) == (to in DEAD or to in (Status.PURCHASED, Status.RELEASING))
    [told] = world.rows(select(EVENT)) or [None]
    assert (told and told["type"]) == EVENT_OF.get(to)
    if told:
        assert told["sequence"] == after["revision"]
        assert told["data"]["status"] == to


def test_a_stale_row_changes_nothing_and_tells_nothing(world: World) -> None:
    stale = put_in(world, Status.UNKNOWN)
    with world.write() as conn:
        assert move(conn, stale, Status.PURCHASED, world.clock()) is not None
        assert move(conn, stale, Status.HELD, world.clock()) is None
        assert move(conn, {**stale, "revision": stale["revision"] + 1}, Status.HELD, world.clock()) is None
    assert world.row(stale["id"])["status"] == Status.PURCHASED
    assert world.events() == ["purchased"]


def test_an_event_is_undone_with_its_status(world: World) -> None:
    row = put_in(world, Status.UNKNOWN)

    def move_and_die() -> None:
        with world.write() as conn:
            move(conn, row, Status.PURCHASED, world.clock())
            die()

    with pytest.raises(Killed):
        move_and_die()
    assert world.row(row["id"]) == row
    assert world.events() == []


@pytest.mark.parametrize("status", Status)
def test_one_purchase_of_a_number_is_alive(world: World, status: Status) -> None:
    row = put_in(world, status)
    again = {**row, "id": "0" * 8 + row["id"][8:], "idempotency_key": None, "status": Status.QUEUED}
    with world.write() as conn, conn.begin_nested() as undone:
        if status in DEAD:
            conn.execute(insert(PURCHASE).values(again))
        else:
            with pytest.raises(IntegrityError):
                conn.execute(insert(PURCHASE).values(again))
        undone.rollback()


def test_a_status_that_does_not_exist_cannot_be_written(world: World) -> None:
    row = world.accept()
    with pytest.raises(IntegrityError), world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(status="bought"))


def test_ids_and_times_read_well_by_hand(world: World) -> None:
    row = world.accept()
    with world.runtime.database.read() as conn:
        found = conn.execute(text("SELECT id, status, number FROM purchase")).one()
    assert (str(found[0]), *found[1:]) == (row["id"], "dispatched", NUMBER)
    assert len(row["id"].split("-")) == 5
    assert world.row(row["id"])["created_at"] == world.clock.moment


def test_what_is_not_there_is_none(world: World) -> None:
    absent = world.accept()["id"][:-4] + "0000"
    with world.write() as conn:
        assert find(conn, absent) is None
        assert lock(conn, absent) is None

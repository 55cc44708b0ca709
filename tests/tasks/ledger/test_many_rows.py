"""One statement that writes many rows, on both databases alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import DataError, SQLAlchemyError

from schemas.tables.purchases import ATTEMPT, EVENT, PURCHASE
from tasks.ledger.many_rows import inserting, updating
from tasks.ledger.rows import new_id
from tests.tasks.support import World, number

_NAMES = ("id", "type", "source", "subject", "sequence", "time", "data", "traceparent")
_EVENTS = inserting(EVENT, *_NAMES)
_KEYS = {"at_id": PURCHASE.c.id, "at_revision": PURCHASE.c.revision}
_PURCHASES = updating(PURCHASE, _KEYS, ("revision", "error", "doubt"))


@contextmanager
def statements(world: World) -> Iterator[list[bool]]:
    """Whether each statement that is run meanwhile is run for several rows by the driver."""
    found: list[bool] = []

    def note(*arguments: Any) -> None:
        found.append(arguments[-1])

    engine = world.runtime.database.engine  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


def told(world: World, index: int, **data: Any) -> dict[str, Any]:
    values = (new_id(), "made", "here", number(index), None, world.clock(), {"index": index, **data}, None)
    return dict(zip(_NAMES, values, strict=True))


@pytest.mark.parametrize("count", [1, 2, 60])
def test_rows_are_written_as_they_are_and_in_their_order(world: World, count: int) -> None:
    rows = [told(world, index, words='"ä\\\n', half=0.1, none=None, many=[{"a": True}]) for index in range(count)]
    with world.write() as conn:
        _EVENTS.write(conn, rows)
    found = world.rows(select(EVENT).order_by(EVENT.c.seq))
    assert [{name: row[name] for name in _NAMES} for row in found] == rows
    assert {row["replays"] for row in found} == {0}
    assert all(row["published_at"] is None for row in found)


def test_only_what_stands_as_expected_is_updated(world: World) -> None:
    rows = [world.accept(number(index)) for index in range(3)]
    found = [
        {"at_id": row["id"], "at_revision": row["revision"], "revision": 9, "error": row["number"], "doubt": True}
        for row in rows
    ]
    found[1]["at_revision"] += 1
    with world.write() as conn:
        assert _PURCHASES.write(conn, found) == 2
    after = [world.row(row["id"]) for row in rows]
    changed = [{**row, "revision": 9, "error": row["number"], "doubt": True} for row in rows]
    assert after == [changed[0], rows[1], changed[2]]


def test_postgresql_is_asked_once(world: World) -> None:
    with world.write() as conn, statements(world) as asked:
        _EVENTS.write(conn, [told(world, index) for index in range(9)])
    assert asked == [conn.dialect.name == "sqlite"]


@pytest.mark.parametrize("words", ["\0", "\ud800"])
def test_what_cannot_be_stored_is_refused_as_in_a_row_alone(world: World, words: str) -> None:
    rows = [{**told(world, index), "subject": words} for index in range(2)]
    for some in (rows, rows[:1]):
        with world.write() as conn, conn.begin_nested() as undone:
            if conn.dialect.name == "postgresql" or words != "\0":
                with pytest.raises((DataError, ValueError)):
                    _EVENTS.write(conn, some)
            undone.rollback()


def test_what_is_too_long_is_refused_by_postgresql(world: World) -> None:
    rows = [{**told(world, index), "source": "x" * 101} for index in range(2)]
    with world.write() as conn, conn.begin_nested() as undone:
        if conn.dialect.name == "postgresql":
            with pytest.raises(DataError):
                _EVENTS.write(conn, rows)
        undone.rollback()


def test_a_row_that_is_there_already_undoes_all(world: World) -> None:
    row = world.accept()
    call = {"purchase_id": row["id"], "revision": 1, "started_at": world.clock(), "deadline": world.clock()}
    calls = inserting(ATTEMPT, *call)
    with world.write() as conn, conn.begin_nested() as undone:
        calls.write(conn, [call])
        with pytest.raises(SQLAlchemyError):
            calls.write(conn, [{**call, "revision": 2}, call])
        undone.rollback()
    assert world.rows(select(ATTEMPT)) == []

"""What reads much holds nothing up: it reads in steps, and no transaction is open between two of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from typing import Any

import pytest
from sqlalchemy import Connection, insert, text, update

from schemas.settling import Finding
from schemas.status import Status
from schemas.tables.purchases import LINE, PURCHASE
from tasks.ledger.audit import differences
from tasks.reports import queries
from tests.tasks.ledger.audit.test_differences import shown, standing, walks
from tests.tasks.orders.test_orders import begin
from tests.tasks.support import World, number
from workers.database.connections import SqlDatabase

OPEN = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend' AND (xact_start IS NOT NULL OR backend_xmin IS NOT NULL)"
)


@pytest.fixture(autouse=True)
def _short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "STEP", 2)
    monkeypatch.setattr(differences, "STEP", 2)


def held_up(database: SqlDatabase) -> Any:
    """What a reader keeps the database from: truthy where SQLite cannot empty its log, or a transaction is open."""
    engine = database.engine
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            return conn.execute(OPEN).scalar_one()
    with closing(sqlite3.connect(engine.url.database, timeout=0)) as conn:
        busy, left, _ = conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return busy or left


def test_what_holds_up_is_seen(world: World) -> None:
    begin(world, 1)
    with world.runtime.database.read() as conn:
        conn.execute(text("SELECT 1 FROM purchase")).first()
        begin(world, 2)
        assert held_up(world.runtime.database)
    assert not held_up(world.runtime.database)


def test_an_export_that_is_left_open_holds_nothing_up(world: World) -> None:
    order_id = begin(world, *range(5))
    rows = queries.each_result(world.runtime.database.read, order_id)
    taken = [next(rows)["line"]]
    for n in range(10, 13):
        begin(world, n)
        assert not held_up(world.runtime.database)
        taken.append(next(rows)["line"])
    taken += [row["line"] for row in rows]
    assert taken == [1, 2, 3, 4, 5]


def test_no_step_reads_ahead(world: World) -> None:
    order_id, read = begin(world, *range(5)), world.runtime.database.read
    rows, metadata = queries.each_result(read, order_id), queries.each_metadata(read, order_id)
    before = next(rows)["status"]
    assert next(metadata) == {}
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(status="held", metadata={"read": "later"}))
    assert [row["status"] for row in rows] == [before, *["held"] * 3]
    assert list(metadata) == [{}, *[{"read": "later"}] * 3]


@pytest.mark.parametrize("lines", [0, 1, 2, 3, 4])
def test_each_line_comes_once_and_in_the_files_order(world: World, lines: int) -> None:
    order_id = begin(world, *range(lines))
    begin(world, 7, 8, 9)
    found = [row["number"] for row in queries.each_result(world.runtime.database.read, order_id)]
    assert found == [number(n) for n in range(lines)]


def test_lines_that_are_loaded_meanwhile_and_gaps_repeat_and_lose_none(world: World) -> None:
    order_id = begin(world, 0, 1, 2)
    rows = queries.each_result(world.runtime.database.read, order_id)
    first = next(rows)["line"]
    with world.write() as conn:
        known = world.rows(LINE.select().where(LINE.c.line == 1))[0]
        conn.execute(insert(LINE), [{**known, "line": 100 + n} for n in range(3)])
    assert [first, *(row["line"] for row in rows)] == [1, 2, 3, 100, 101, 102]


def test_only_the_lines_in_a_status_and_each_once(world: World) -> None:
    order_id = begin(world, *range(7))
    with world.write() as conn:
        conn.execute(
            update(PURCHASE).where(PURCHASE.c.number.in_([number(1), number(5), number(6)])).values(status="held")
        )
    found = queries.each_result(world.runtime.database.read, order_id, Status.HELD)
    assert [row["line"] for row in found] == [2, 6, 7]


def compare(world: World, seen: differences.Shown, at_each: Callable[[int], object]) -> list[Finding]:
    """The comparison, and what happens before each of its transactions."""
    begun: list[None] = []

    def read() -> AbstractContextManager[Connection]:
        begun.append(None)
        at_each(len(begun))
        opened: AbstractContextManager[Connection] = world.runtime.database.read()
        return opened

    return differences.compare(read, walks(world, seen))


def test_an_audit_sees_all_that_stands_and_holds_nothing_up(world: World) -> None:
    for n in range(5):
        standing(world, Status.PURCHASED, number(n))
    held: list[Any] = []
    found = compare(
        world, shown(number(0), number(3), number(9)), lambda _: held.append(held_up(world.runtime.database))
    )
    assert [(one.kind, one.number) for one in found] == [
        ("missing", number(1)),
        ("missing", number(2)),
        ("missing", number(4)),
        ("orphan", number(9)),
    ]
    assert len(held) > 4
    assert not any(held)


def test_an_audit_judges_what_it_has_read_with_no_transaction_open(world: World) -> None:
    for n in range(3):
        standing(world, Status.PURCHASED, number(n))
    rows = differences.alive(world.runtime.database.read, "acme-account")
    assert next(rows).number == number(0)
    begin(world, 7)
    assert not held_up(world.runtime.database)
    assert [row.number for row in rows] == [number(1), number(2), number(7)]


@pytest.mark.parametrize("moment", [2, 3])
@pytest.mark.parametrize("before", [None, Status.FAILED])
def test_what_comes_to_life_during_an_audit_is_no_orphan(world: World, moment: int, before: Status | None) -> None:
    for n in (5, 6):
        standing(world, Status.PURCHASED, number(n))
    if before:
        standing(world, before, number(1))

    def happens(step: int) -> None:
        if step == moment:
            world.accept(number(1))

    assert compare(world, shown(number(1), number(5), number(6)), happens) == []

"""A column among several values, as one statement for any number of them."""

from __future__ import annotations

import pytest
from sqlalchemy import String, column, select, table
from sqlalchemy.dialects import postgresql, sqlite

from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.ledger.among import among, any_of
from tests.tasks.support import World, number

_BY_ID = select(PURCHASE.c.number).where(among(PURCHASE.c.id, "ids"), PURCHASE.c.revision == 0).order_by(PURCHASE.c.id)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_it_finds_the_given_and_no_others(world: World, count: int) -> None:
    rows = [world.accept(number(index)) for index in range(4)]
    ids = [row["id"] for row in rows[:count]]
    query = select(PURCHASE.c.id).where(among(PURCHASE.c.id, "ids")).order_by(PURCHASE.c.id)
    with world.runtime.database.read() as conn:
        assert list(conn.execute(query, {"ids": ids}).scalars()) == ids


def test_one_statement_takes_any_number_of_values_where_there_are_arrays() -> None:
    told = str(_BY_ID.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    assert "purchase.id = ANY (%(ids)s::UUID[])" in told


def test_it_stands_bare_where_there_are_none() -> None:
    # `(...) = 1` reads the whole table: SQLite finds no index for it.
    told = str(_BY_ID.compile(dialect=sqlite.dialect()))
    assert "WHERE purchase.id IN (" in told
    assert ") = 1" not in told


def test_what_is_always_the_same_is_no_parameter() -> None:
    thing = table("thing", column("state", String))
    told = str(any_of(thing.c.state, {Status.QUEUED, Status.HELD}))  # type: ignore[arg-type]
    assert told == "thing.state IN ('held', 'queued')"

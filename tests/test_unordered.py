"""Tests lean on no order of rows that nobody asked for."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, create_engine, text

from tests import unordered

ROWS = list(range(100))


@pytest.fixture
def conn() -> Connection:
    connection = create_engine("sqlite://").connect()
    connection.execute(text("CREATE TABLE number (id INTEGER PRIMARY KEY)"))
    connection.execute(text("INSERT INTO number VALUES (:id)"), [{"id": one} for one in ROWS])
    return connection


@pytest.mark.parametrize(
    "query",
    ["SELECT id FROM number", "SELECT id FROM (SELECT id FROM number ORDER BY id)", "DELETE FROM number RETURNING id"],
)
def test_rows_come_in_an_order_of_the_tests_own_where_none_is_asked_for(conn: Connection, query: str) -> None:
    found = list(conn.execute(text(query)).scalars())
    assert found != ROWS
    assert sorted(found) == ROWS


def test_the_same_test_has_the_same_order_again(conn: Connection) -> None:
    found = []
    for _ in range(2):
        unordered.draw_from("a test")
        found.append(conn.execute(text("SELECT id FROM number")).all())
    assert found[0] == found[1]


def test_what_is_ordered_stays_so(conn: Connection) -> None:
    assert (
        list(conn.execute(text("SELECT id FROM number WHERE id IN (SELECT 1) OR id > 1 ORDER BY id")).scalars())
        == ROWS[1:]
    )

"""Pools are asked again and again: each question finds its index, however many numbers there are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert

from schemas.pool_requests import ReturnNumber, TakeNumber
from schemas.tables.pools import POOL_NUMBER, POOL_REQUEST, Slot
from tasks.pools.requests import take_and_return
from tests.tasks.clock import START
from tests.tasks.ledger.test_plans import plans
from tests.tasks.pools.stocking import FIRST, POOL, slots
from tests.tasks.support import World, make_world
from workers.database.connections import SqlDatabase

ROWS = 8000
PLACE = r"[\s\S]*(pool_number_pkey|pool=\? AND slot=\?)"
"""Then what was chosen is found by its place, and not among all that is available."""


def _fill(conn: Connection) -> None:
    """Every other number is taken."""
    rows = []
    for row in slots(ROWS):
        taken = row["slot"] % 2
        changed = {"status": Slot.TAKEN, "request_id": f"m{row['slot']}"} if taken else {"request_id": None}
        rows.append({**row, **changed})
    conn.execute(insert(POOL_NUMBER), rows)
    done = {"fingerprint": "", "pool": POOL, "task": "take", "numbers": [], "created_at": START}
    conn.execute(insert(POOL_REQUEST), [{**done, "request_id": f"m{slot}"} for slot in range(ROWS)])
    known = TakeNumber(pool=POOL, request_id="known")
    conn.execute(insert(POOL_REQUEST), [{**done, "request_id": "known", "fingerprint": known.fingerprint}])


@pytest.fixture(scope="module", params=["without statistics", "with statistics"])
def filled(request: pytest.FixtureRequest, file_url: str) -> Iterator[World]:
    """A world with thousands of numbers in a pool; a database counts them when it finds the time."""
    database = SqlDatabase(file_url)
    with database.write() as conn:
        conn.execute(delete(POOL_NUMBER))
        conn.execute(delete(POOL_REQUEST))
        _fill(conn)
    if request.param == "with statistics":
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.exec_driver_sql("ANALYZE")
    yield make_world(database)
    database.close()


def _take(action: Callable[[Connection, TakeNumber, Any], Any], **fields: Any) -> Callable[[Connection], Any]:
    return lambda conn: action(conn, TakeNumber(pool=POOL, request_id="new", **fields), START)


QUESTIONS: dict[str, tuple[str, Callable[[Connection], Any]]] = {
    "take": (f"pool_number_available{PLACE}", _take(take_and_return._take_free)),
    "take many": ("pool_number_available", _take(take_and_return._take_free, count=100)),
    "take a thousand": ("pool_number_available", _take(take_and_return._take_free, count=1000)),
    "take the last": (f"pool_number_available{PLACE}", _take(take_and_return._take_waiting)),
    "take again": (
        "pool_number_by_request",
        lambda conn: take_and_return._take_free(conn, TakeNumber(pool=POOL, request_id="known"), START),
    ),
    "give back": (
        "pool_number_live",
        lambda conn: take_and_return._give_back(conn, ReturnNumber(pool=POOL, number=FIRST, request_id="new"), START),
    ),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_finds_its_index(filled: World, name: str) -> None:
    index, ask = QUESTIONS[name]
    told = plans(filled, ask)
    assert re.search(index, told), told
    assert not re.search(r"SCAN pool_|Seq Scan on pool_|TEMP B-TREE|Sort", told), told

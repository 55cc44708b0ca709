"""Which aliases have something due: each that has is named, whoever else waits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update

from schemas.releasing import ReleaseStatus
from schemas.status import Status
from schemas.tables.purchases import PROVIDER, PURCHASE
from schemas.tables.releases import RELEASE
from tasks.ledger import due
from tasks.ledger.queue.dispatch import ensure_providers
from tasks.ledger.rows import new_id
from tests.tasks.clock import START
from workers.database.connections import SqlDatabase

ALIASES = [f"account{index:04d}" for index in range(1_200)]
BEFORE, AFTER = START - timedelta(seconds=1), START + timedelta(seconds=1)


@pytest.fixture
def database(database_url: str) -> Iterator[SqlDatabase]:
    database = SqlDatabase(database_url)
    yield database
    database.close()


def _row(alias: str, status: Status, **values: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "number": f"+1415{alias.removeprefix('account')}000",
        "provider": alias,
        "account": f"signalwire|{alias}",
        "status": str(status),
        "due_at": BEFORE,
        "options": {},
        "metadata": {},
        "created_at": START,
        "updated_at": START,
        **dict.fromkeys(("attempts", "revision", "looks", "look_failures"), 0),
        **dict.fromkeys(("already_owned", "doubt"), False),
        "tried_seconds": 0.0,
        **values,
    }


def _insert(conn: Connection, *rows: dict[str, Any]) -> None:
    conn.execute(insert(PURCHASE), [*rows])


def test_every_alias_of_very_many_that_has_something_due_is_named(database: SqlDatabase) -> None:
    some = ALIASES[::2]
    with database.write() as conn:
        for status in (Status.QUEUED, Status.DISPATCHED, Status.PURCHASING, Status.UNKNOWN, Status.PROCESSING):
            number = {"account": str(status)}
            _insert(conn, *(_row(alias, status, **number) for alias in some))
            _insert(conn, *(_row(alias, status, due_at=AFTER, **number) for alias in ALIASES[1::2]))
    with database.read() as conn:
        for ask in (due.to_buy, due.to_look, due.overdue):
            assert ask(conn, START) == set(some)
            assert ask(conn, AFTER) == set(ALIASES)


def test_what_is_over_or_held_is_not_due_and_nothing_is_where_there_is_nothing(database: SqlDatabase) -> None:
    with database.write() as conn:
        _insert(conn, _row("account0000", Status.PURCHASED), _row("account0001", Status.HELD, due_at=None))
    with database.read() as conn:
        assert [ask(conn, START) for ask in (due.to_buy, due.to_look, due.overdue, due.to_give_back)] == [set()] * 4


def test_of_paused_ones_those_alone_are_named_whose_probe_is_due(database: SqlDatabase) -> None:
    probes = {"account0000": None, "account0001": AFTER, "account0002": BEFORE}
    with database.write() as conn:
        _insert(conn, *(_row(alias, Status.QUEUED) for alias in ALIASES[:4]))
        ensure_providers(conn, ALIASES[:4], START)
        for alias, probe_at in probes.items():
            conn.execute(
                update(PROVIDER).where(PROVIDER.c.provider == alias).values(paused_at=BEFORE, probe_at=probe_at)
            )
    with database.read() as conn:
        assert due.to_buy(conn, START) == {"account0002", "account0003"}


@pytest.mark.parametrize("many", [1, due.MANY])
def test_releases_are_told_by_alias_until_there_are_too_many_to_tell(database: SqlDatabase, many: int) -> None:
    rows = [_row("account0001", Status.RELEASING, due_at=None, account=str(number)) for number in range(many)]
    with database.write() as conn:
        _insert(conn, *rows)
        conn.execute(insert(RELEASE), [_release(row["id"]) for row in rows])
    with database.read() as conn:
        assert due.to_give_back(conn, START) == ({"account0001"} if many < due.MANY else None)
        assert due.to_give_back(conn, BEFORE - timedelta(seconds=1)) == set()


def _release(purchase_id: str) -> dict[str, Any]:
    return {
        "id": new_id(),
        "purchase_id": purchase_id,
        "status": str(ReleaseStatus.OPEN),
        "provider_number_id": "id",
        "due_at": BEFORE,
        "metadata": {},
        "created_at": START,
        "updated_at": START,
        **dict.fromkeys(("attempts", "revision", "looks", "look_failures"), 0),
        "doubt": False,
        "by": "a person",
        "asked_for": 1,
    }

"""Answers that were given without an account are of the account that their purchase stands at, or of none."""

from __future__ import annotations

from alembic import command
from sqlalchemy import insert, select

from schemas.requests import BuyNumber
from schemas.tables.history import ANSWERED, AnsweredCall
from schemas.tables.purchases import PURCHASE
from tasks.ledger.requests.accept import Entry, accept
from tasks.ledger.rows import new_id
from tests.tasks.clock import START
from tests.tasks.support import number
from tests.workers.migrations.test_versions import alembic
from workers.database.connections import SqlDatabase, migrate


def test_only_an_answer_whose_purchase_stands_is_of_an_account(database_url: str) -> None:
    database, former = SqlDatabase(database_url), AnsweredCall.__table__  # type: ignore[attr-defined]
    with database.write() as conn:
        request = BuyNumber(number=number(1), provider="acme")
        accept(conn, [Entry(request=request, account="acme-account")], START, None)
        known = conn.execute(select(PURCHASE.c.id)).scalar_one()
        values = {"revision": 2, "started_at": START, "answered_at": START}
        conn.execute(insert(former), [{"purchase_id": one, **values} for one in (known, new_id())])
        alembic(conn, command.downgrade, "0016")
    migrate(database_url)
    with database.read() as conn:
        found = [tuple(row) for row in conn.execute(select(ANSWERED))]
    database.close()
    assert found == [("acme-account", known, 2, START, START)]

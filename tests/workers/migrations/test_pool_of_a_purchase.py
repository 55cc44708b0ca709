"""What pools had ordered before is known as theirs."""

from __future__ import annotations

from alembic import command
from sqlalchemy import insert, select

from schemas.requests import BuyNumber
from schemas.tables.pools import POOL_RUN
from schemas.tables.purchases import PURCHASE
from tasks.ledger.requests.accept import Entry, accept
from tasks.ledger.rows import new_id
from tests.tasks.clock import START
from tests.tasks.support import number
from tests.workers.migrations.test_versions import alembic
from workers.database.connections import SqlDatabase, migrate


def test_purchases_of_a_pools_orders_are_the_pools(database_url: str) -> None:
    database, order_id = SqlDatabase(database_url), new_id()
    with database.write() as conn:
        for index, order in enumerate((order_id, new_id(), None)):
            request = BuyNumber(number=number(index), provider="acme")
            accept(conn, [Entry(request=request, account="acme-account")], START, order)
        values = {"pool": "support", "at": START, "level": 0, "wanted": 1, "ordered": 1, "reason": None}
        conn.execute(insert(POOL_RUN), [{"id": new_id(), "order_id": one, **values} for one in (order_id, None)])
        alembic(conn, command.downgrade, "0004")
    migrate(database_url)
    with database.read() as conn:
        found = {row.number: row.pool for row in conn.execute(select(PURCHASE))}
    database.close()
    assert found == {number(0): "support", number(1): None, number(2): None}

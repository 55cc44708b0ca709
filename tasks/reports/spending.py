"""What was spent: the prices of what was bought, summed exactly on every database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping, and_, func, or_, select, text

from schemas.money import amount_text
from schemas.status import Status
from schemas.tables.purchases import POOLED, PROVIDER, PURCHASE
from tasks.ledger.among import any_of

By = Literal["provider", "pool", "order"]

_EXACT = 60
"""Digits of a sum: an amount has 24, and a count fewer than 20."""

# Where no price is told, PostgreSQL expects as many prices as rows, and with less room sorts them all on its disk.
_ROOM = text("SET LOCAL work_mem = '16MB'")

_AT = PURCHASE.c
_COLUMN = {"provider": _AT.provider, "pool": _AT.pool, "order": _AT.order_id}
_BOUGHT = (Status.PURCHASED, Status.RELEASING, Status.RELEASED)
_UNSETTLED = (Status.PROCESSING, Status.UNKNOWN, Status.HELD)


@dataclass
class Spent:
    """What was bought under one key in one currency, None for numbers without a price.

    monthly and setup are the sums of what is told, total of both; without_setup counts those of `bought` whose setup
    price is not. unsettled: further purchases that may have been charged, in no sum.
    """

    key: str | None
    currency: str | None
    bought: int = 0
    monthly: Decimal = field(default_factory=Decimal)
    setup: Decimal = field(default_factory=Decimal)
    total: Decimal = field(default_factory=Decimal)
    without_monthly: int = 0
    without_setup: int = 0
    unsettled: int = 0

    def add(self, row: RowMapping) -> None:
        """`count` purchases of one price."""
        count, monthly, setup = row["count"], row["monthly_price"], row["setup_price"]
        if row["status"] not in _BOUGHT:
            self.unsettled += count
            return
        self.bought += count
        self.without_monthly += count if monthly is None else 0
        self.without_setup += count if setup is None else 0
        self.monthly += count * Decimal(monthly or 0)
        self.setup += count * Decimal(setup or 0)
        self.total = self.monthly + self.setup

    def document(self, by: By) -> dict[str, Any]:
        """As plain data; amounts are decimal text, null where none is told."""
        told = self.currency is not None
        return {
            by: self.key,
            "currency": self.currency,
            "bought": self.bought,
            "monthly": amount_text(self.monthly) if told else None,
            "setup": amount_text(self.setup) if told else None,
            "total": amount_text(self.total) if told else None,
            "without_monthly": self.without_monthly,
            "without_setup": self.without_setup,
            "unsettled": self.unsettled,
        }


def spent(
    conn: Connection, by: By, since: datetime, until: datetime | None = None, *, pool: str | None = None
) -> list[Spent]:
    """What the calls to buy from *since* to before *until* bought, by key and currency; of all pools or of one *pool*.

    A call counts by its deadline, which is to come where it was made just now: without *until* it counts too. Left out
    is what was ours already. Rows are counted by price in the database, and multiplied here: SQLite has no exact sum.
    """
    if conn.dialect.name == "postgresql":
        conn.execute(_ROOM)
    with localcontext(prec=_EXACT):
        return _summed(conn.execute(_query(by, since, until, pool)).mappings())


def _query(by: By, since: datetime, until: datetime | None, pool: str | None) -> Any:
    counted = or_(any_of(_AT.status, (*_BOUGHT, *_UNSETTLED)), and_(_AT.status == Status.QUEUED, _AT.doubt))
    groups = (_COLUMN[by].label("key"), _AT.currency, _AT.monthly_price, _AT.setup_price, _AT.status)
    # so that an index is read: that of last calls, by provider, or that of the pools
    among = [_AT.provider.in_(select(PROVIDER.c.provider))] if pool is None else [POOLED, _AT.pool == pool]
    during = [_AT.call_deadline >= since] if until is None else [_AT.call_deadline >= since, _AT.call_deadline < until]
    return (
        select(*groups, func.count().label("count"))
        .where(*among, *during)
        .where(counted, _AT.already_owned.is_(False))
        .group_by(*groups)
    )


def _summed(rows: Iterable[RowMapping]) -> list[Spent]:
    found: dict[tuple[str | None, str | None], Spent] = {}
    for row in rows:
        of = (row["key"], row["currency"])
        found.setdefault(of, Spent(*of)).add(row)
    return sorted(found.values(), key=lambda one: (one.key or "", one.currency or "~"))

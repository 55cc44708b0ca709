"""Numbers that were bought for a pool, and stand in no place of it: who takes numbers never gets one of these.

A place goes to another number once its purchase came to nothing. Where a yes comes after that, the number is paid for
all the same; so is what an audit took in after a restore. Neither goes into the pool by itself: somebody may have it.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from schemas.status import Status
from schemas.tables.pools import POOL_NUMBER
from schemas.tables.purchases import POOLED, PURCHASE
from tasks.pools.stock import ASKED_BY_OTHERS

_BOUGHT = PURCHASE.c
_PLACE = select(POOL_NUMBER.c.slot).where(POOL_NUMBER.c.purchase_id == _BOUGHT.id)
_PLACELESS = (
    select(_BOUGHT.pool, func.count(), func.min(_BOUGHT.number))
    .where(POOLED, _BOUGHT.status == Status.PURCHASED)
    .where(~_PLACE.exists(), ~ASKED_BY_OTHERS)
    .group_by(_BOUGHT.pool)
    .order_by(_BOUGHT.pool)
)


def placeless(conn: Connection) -> list[tuple[str, int, str]]:
    """The pools that have some, how many, and one of the numbers; without those that somebody else asked for too."""
    return [(row[0], row[1], row[2]) for row in conn.execute(_PLACELESS)]

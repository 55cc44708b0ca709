"""A pool's bound in money: what it buys in any 24 hours costs so much at the most, each setup and first month."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from schemas.money import Money
from schemas.tables.purchases import POOLED, PURCHASE
from tasks.ledger.queue.pool_limits import CHARGED, DOUBTFUL_AGAIN, MOVING, WAITING, called_within
from tasks.ledger.queue.purses import Purse, purse_beside


def purse(conn: Connection, pool: str, bound: Money, now: datetime, *, waiting: bool) -> Purse:
    """What the pool may spend now, beside what counts for its daily limit; with *waiting* beside all that waits too."""
    its = (POOLED, PURCHASE.c.pool == pool)
    waits = WAITING if waiting else (*DOUBTFUL_AGAIN, called_within(now))
    return purse_beside(conn, bound, [(*its, MOVING), (*its, CHARGED, called_within(now)), (*its, *waits)])

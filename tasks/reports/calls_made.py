"""How many calls to buy were made, minute by minute: how much of a limit is used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from schemas.tables.purchases import ATTEMPT, PROVIDER, PURCHASE
from tasks.ledger.by_time import step_of

MINUTE = 60


def calls_by_minute(conn: Connection, now: datetime, minutes: int) -> Mapping[str, list[int]]:
    """By provider, the calls of each of the last *minutes* whole ones, the oldest first; none for who made none.

    A call for several numbers is one: they share the moment of its begin.
    """
    end = int(now.timestamp()) // MINUTE
    since = now - timedelta(minutes=minutes + 1)
    minute = step_of(ATTEMPT.c.started_at, MINUTE)
    query = (
        select(PURCHASE.c.provider, minute, func.count(ATTEMPT.c.started_at.distinct()))
        .join_from(PURCHASE, ATTEMPT, PURCHASE.c.id == ATTEMPT.c.purchase_id)
        # so that the index of last calls is read, by provider: no call ends before it began
        .where(PURCHASE.c.provider.in_(select(PROVIDER.c.provider)), PURCHASE.c.call_deadline >= since)
        .where(ATTEMPT.c.started_at >= since)
        .group_by(PURCHASE.c.provider, minute)
    )
    found: defaultdict[str, list[int]] = defaultdict(lambda: [0] * minutes)
    for provider, at, count in conn.execute(query):
        if 0 <= (place := at - (end - minutes)) < minutes:
            found[provider][place] = count
    return found

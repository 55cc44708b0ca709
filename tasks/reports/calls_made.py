"""How many calls to buy were made, minute by minute: how much of a limit is used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, or_, select

from schemas.outcomes import OutcomeKind
from schemas.tables.purchases import ATTEMPT, PROVIDER, PURCHASE
from tasks.ledger.by_time import step_of

MINUTE = 60


def calls_by_minute(
    conn: Connection, now: datetime, minutes: int, batches: Mapping[str, int]
) -> Mapping[str, list[int]]:
    """By provider, the calls of each of the last *minutes* whole ones, the oldest first; none for who made none.

    *batches* are how many numbers one call may carry, by provider; 1 where it is not said. Attempts of one call share
    its reference. Without one only their begin tells, which claims of one commit share, too: those are counted as as
    few calls as can carry them. What was not sent is no call.
    """
    end = int(now.timestamp()) // MINUTE
    at, since = ATTEMPT.c, now - timedelta(minutes=minutes + 1)
    minute, named = step_of(at.started_at, MINUTE).label("minute"), func.count(at.reference)
    begun = (
        select(PURCHASE.c.provider, minute, func.count(at.reference.distinct()).label("calls"))
        .add_columns((func.count() - named).label("unnamed"))
        .join_from(PURCHASE, ATTEMPT, PURCHASE.c.id == at.purchase_id)
        # so that the index of last calls is read, by provider: no call ends before it began
        .where(PURCHASE.c.provider.in_(select(PROVIDER.c.provider)), PURCHASE.c.call_deadline >= since)
        .where(at.started_at >= since, or_(at.outcome.is_(None), at.outcome != OutcomeKind.NOT_SENT))
        .group_by(PURCHASE.c.provider, minute, at.started_at)
        .subquery()
    )
    of, moments = begun.c, func.count()
    # Few rows, however many calls: moments of one minute that have as many attempts are one.
    query = select(of.provider, of.minute, of.unnamed, moments, func.sum(of.calls))
    found: defaultdict[str, list[int]] = defaultdict(lambda: [0] * minutes)
    for provider, when, unnamed, times, calls in conn.execute(query.group_by(of.provider, of.minute, of.unnamed)):
        if 0 <= (place := when - (end - minutes)) < minutes:
            found[provider][place] += int(calls) + times * -(-unnamed // batches.get(provider, 1))
    return found

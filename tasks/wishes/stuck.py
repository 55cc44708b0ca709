"""Lines that wait for long at a paused provider: numbers of other providers take their place, where there are some.

Only what was never called for is given up, in the transaction that writes its replacement down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, exists, select

from schemas.money import Money, price_of
from schemas.status import Status
from schemas.tables.purchases import LINE, PURCHASE
from tasks.ledger.orders.cancel import give_way
from tasks.ledger.queue import pausing
from tasks.ledger.queue.purses import cost
from tasks.ledger.rows import Row
from tasks.reports.queries import provider_states
from tasks.runtime import Runtime
from tasks.supply.offers import Offer, less, within
from tasks.transactions import Raced

PATIENCE = timedelta(minutes=10)
"""How long a provider is paused, and a line waits there, before it is looked for elsewhere."""

AT_ONCE = 500
"""Lines that one run replaces."""

_AT = PURCHASE.c
_OTHERS = LINE.alias("others")


def closed_for_long(conn: Connection, runtime: Runtime, now: datetime) -> dict[str, str]:
    """The aliases that have been paused for PATIENCE, and why.

    Not those for which a database that went back in time is behind: what was never called for by it may be ours.
    """
    states = provider_states(conn, runtime.accounts.values())
    paused = {alias: row for alias, row in states.items() if row["paused_at"] and row["paused_at"] <= now - PATIENCE}
    behind = pausing.behind(conn) if paused else set()
    return {alias: row["reason"] for alias, row in paused.items() if alias not in behind}


def stuck_lines(conn: Connection, wish: Row, closed: Mapping[str, str], now: datetime) -> list[Row]:
    """What waits at *closed* for a wish that names others too, AT_ONCE at the most: rows of id, provider and price.

    Left out is what somebody else waits for too.
    """
    if not closed or set(wish["criteria"]["providers"]) <= closed.keys():
        return []
    mine = (LINE.c.purchase_id == _AT.id, LINE.c.order_id == wish["order_id"], LINE.c.wish == wish["position"])
    others = exists().where(_OTHERS.c.purchase_id == _AT.id, _OTHERS.c.order_id != wish["order_id"])
    untried = (_AT.status == Status.QUEUED, _AT.attempts == 0, ~_AT.doubt, _AT.cancel_requested_at.is_(None))
    query = (
        select(_AT.id, _AT.provider, _AT.monthly_price, _AT.setup_price, _AT.currency)
        .where(_AT.order_id == wish["order_id"], *untried, _AT.provider.in_(sorted(closed)))
        .where(_AT.created_at <= now - PATIENCE, ~_AT.joined, exists().where(*mine), ~others)
        .order_by(_AT.id)
        .limit(AT_ONCE)
    )
    # The dearest first: what it frees pays for most others.
    return sorted(map(dict, conn.execute(query).mappings()), key=_amount, reverse=True)


def with_freed(spend: Money | None, lines: Sequence[Row]) -> Money | None:
    """What may be spent once *lines* are given up; None for any."""
    if spend is None:
        return None
    freed = [cost(price_of(line), spend) or Decimal(0) for line in lines]
    return Money(spend.amount + sum(freed, Decimal(0)), spend.currency)


def in_their_place(
    offers: Sequence[Offer], missing: int, lines: Sequence[Row], spend: Money | None
) -> tuple[list[Offer], list[Row]]:
    """The offers to order for what is *missing*, then for stuck *lines*, and those of the lines that are given up.

    Each fits into what may be spent beside all others; what a line costs is free once it is given up.
    """
    chosen: list[Offer] = []
    given: list[Row] = []
    for offer in offers:
        line = [] if len(chosen) - len(given) < missing else lines[len(given) : len(given) + 1]
        left = with_freed(spend, line)
        if len(chosen) - len(given) >= missing and not line:
            break
        if left is not None:
            if not within([offer], left):
                continue
            spend = less(left, [offer])
        chosen.append(offer)
        given += line
    return chosen, given


def give_up(conn: Connection, order_id: str, lines: Sequence[Row], closed: Mapping[str, str], now: datetime) -> None:
    """Give up stuck *lines*, all of them. Raises Raced where one of them waits no more."""
    for alias in sorted({line["provider"] for line in lines}):
        ids = [line["id"] for line in lines if line["provider"] == alias]
        if give_way(conn, order_id, ids, _why(alias, closed), now) < len(ids):
            raise Raced


def lacking(missing: int, stuck: Sequence[Row], closed: Mapping[str, str]) -> str:
    """What a wish has not got, and why: so many are missing, and how many wait where."""
    counts = Counter(line["provider"] for line in stuck)
    lacks = [f"{missing} are missing"] if missing or not stuck else []
    waits = [f"{count} wait for others, since {_why(alias, closed)}" for alias, count in sorted(counts.items())]
    return "; ".join(lacks + waits)


def _amount(row: Row) -> Decimal:
    return sum((Decimal(row[name] or 0) for name in ("monthly_price", "setup_price")), Decimal(0))


def _why(alias: str, closed: Mapping[str, str]) -> str:
    return f"{alias} is paused: {closed[alias]}"

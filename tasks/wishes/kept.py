"""What a wish's searches showed beyond what it was missing: it is kept, and takes the place of what is refused.

It may be sold by now, as any number that was found; its provider refuses it then, which costs a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from schemas.money import price_columns, price_of
from tasks.ledger.orders import wishes
from tasks.ledger.rows import Row
from tasks.runtime import Runtime
from tasks.supply.candidates import Found
from tasks.supply.offers import Offer

FRESH = timedelta(minutes=10)
"""After its search, how long an offer is of use: the longer it is, the more are sold."""

MOST = 2_000
"""Offers that are kept for one wish: the preferred ones."""

Kept = dict[tuple[str, str], Row]
"""Offers as they are kept, by provider and number."""


def kept_for(conn: Connection, runtime: Runtime, wish: Row, now: datetime) -> Kept:
    """What is kept for a locked wish and still fresh, of the accounts at which it was found."""
    found = wishes.kept_offers(conn, wish)
    return {(row["provider"], row["number"]): row for row in found if _is_fresh(runtime, row, now)}


def worth_keeping(found: Found, missing: int, chosen: Sequence[Offer]) -> list[Offer]:
    """What a search showed beyond the *chosen* ones, without what may be sold for long: each would cost a call."""
    numbers = {one.number for one in chosen}
    beyond = [one for one in found.offers[missing:] if one.number not in numbers]
    return [one for one in beyond if one.provider not in found.stale]


def rows_of(runtime: Runtime, offers: Sequence[Offer], before: Kept, searched_at: datetime) -> list[Row]:
    """The first of *offers*, found at *searched_at* or among those kept *before*, as they are kept."""
    return [before.get((one.provider, one.number)) or _row(runtime, one, searched_at) for one in offers[:MOST]]


def offers_of(kept: Kept) -> list[Offer]:
    """The offers that were kept."""
    return [
        Offer(number=row["number"], provider=row["provider"], price=price_of(row), options=row["options"])
        for row in kept.values()
    ]


def _is_fresh(runtime: Runtime, row: Row, now: datetime) -> bool:
    binding = runtime.providers.get(row["provider"])
    at_hand = binding is not None and binding.account == row["account"]
    return at_hand and timedelta(0) <= now - datetime.fromisoformat(row["seen_at"]) <= FRESH


def _row(runtime: Runtime, offer: Offer, searched_at: datetime) -> dict[str, Any]:
    return {
        "number": offer.number,
        "provider": offer.provider,
        "account": runtime.providers[offer.provider].account,
        **price_columns(offer.price),
        "options": dict(offer.options),
        "seen_at": searched_at.isoformat(),
    }

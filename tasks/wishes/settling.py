"""The end of a wish that has all it is going to have."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from schemas.tables.wishes import WishState
from tasks.ledger.orders import wishes
from tasks.ledger.orders.wishes import Tally
from tasks.ledger.rows import Row


def settle(conn: Connection, wish: Row, tally: Tally, now: datetime) -> bool:
    """End a locked wish that is missing nothing, and of which all is settled. Whether it ended."""
    if tally.missing(wish["count"]) or tally.unsettled:
        return False
    less = wish["count"] - tally.bought - tally.held
    state = WishState.SHORT if less > 0 else WishState.REACHED
    wishes.end(conn, wish, state, _told_at_end(less), now)
    return True


def _told_at_end(less: int) -> str | None:
    if less > 0:
        return f"{less} were cancelled by a person"
    if less < 0:
        return f"{-less} more than asked for are ours, by a yes that came late: dialstock release gives them back"
    return None

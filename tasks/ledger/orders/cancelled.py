"""Orders that are cancelled: whether the cancel has come to all of their purchases, and stands."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, bindparam, exists, literal, or_, select, update

from schemas.status import UNSETTLED, OrderStatus, Status
from schemas.tables.purchases import ORDER, PURCHASE, UNFINISHED

PATIENCE = timedelta(seconds=10)
"""After the last chunk of an order's cancel, until the sweep goes on with it: whoever cancels may have died."""

STOPPABLE = UNSETTLED - {Status.PROCESSING}
"""What a cancel still stops, at once or when its call and its doubt are settled."""


def still_cancelled(conn: Connection, order_id: str, now: datetime) -> bool:
    """Whether the order, which the caller has locked, is cancelled: a retry may have taken the cancel back.

    Also where it came to its end otherwise: what waits in it is released by nobody. Tells the sweep that somebody is
    at it.
    """
    ended = ORDER.c.status.in_((OrderStatus.COMPLETED, OrderStatus.ABANDONED))
    cancelled = (ORDER.c.id == order_id, or_(ORDER.c.cancel_requested_at.is_not(None), ended))
    return conn.execute(update(ORDER).where(*cancelled).values(updated_at=now)).rowcount == 1


def half_cancelled(conn: Connection, now: datetime) -> list[str]:
    """Open orders whose cancel stopped before it came to all of their purchases."""
    return list(conn.execute(_HALF, {"since": now - PATIENCE}).scalars())


def goes_on(*but: str) -> ColumnElement[bool]:
    """Whether an order has purchases, other than *but*, that nobody has asked to stop and that still can be."""
    at = PURCHASE.c
    going_on = (at.status.in_(sorted(STOPPABLE)), at.cancel_requested_at.is_(None), at.id.not_in(but))
    return exists().where(at.order_id == ORDER.c.id, *going_on)


# Asked once a second by every worker, so built once.
_HALF = select(ORDER.c.id).where(
    UNFINISHED,
    ORDER.c.status == literal(str(OrderStatus.OPEN)),
    ORDER.c.cancel_requested_at.is_not(None),
    ORDER.c.updated_at <= bindparam("since"),
    goes_on(),
)

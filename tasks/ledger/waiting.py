"""No row waits for what cannot come.

Every purchase that the machine has not ended can be picked, without anybody's help, by one of these:

- what is *queued* and in no order, or in one that is open and not cancelled: by a release, as soon as it is due and its
  provider, its account's daily limit and its pool's have room. What an order's own limit leaves is cancelled by the
  sweep when nothing of the order is under way.
- what is in an order that is loading: the order is opened, or given up when its patience is over.
- what is in an order that is cancelled: by the cancel, with which the sweep goes on where it was left half way.
- what is dispatched or purchasing: by the sweep, and what is processing or unknown: by a look, when it is due.
- what is releasing: by its open release, when that is due; the doctor looks for what has none.

So whoever puts a purchase into *queued* sees to it that its order can release it, and every status but those that end
a purchase, *releasing* and *held*, has a `due_at`. Two things a row may wait for that only a person can give, and is
told of elsewhere: a provider that a person has paused, and an alias that the configuration does not name any more.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, null, or_, select, union_all

from schemas.status import OrderStatus
from schemas.tables.purchases import FOLLOWED, ORDER, PURCHASE, QUEUED, RUNNING
from tasks.ledger.rows import Row
from tasks.ledger.sweep import MESSAGE_PATIENCE

LATE = timedelta(minutes=1)
"""How long after its time the sweep may come to an order."""

_ENDED = (OrderStatus.COMPLETED, OrderStatus.ABANDONED)


def stuck(conn: Connection, now: datetime) -> list[Row]:
    """The purchases that wait for what cannot come, or for a sweep that is late: none, where workers run.

    Rows of id, order_id and order_status; both are None where it is the purchase that has no time to be due. One query
    over what waits; it knows no configuration, see above.
    """
    at, order = PURCHASE.c, ORDER.c
    late = or_(
        order.status.in_(_ENDED),
        and_(order.cancel_requested_at.is_not(None), order.updated_at <= now - LATE),
        and_(order.status == OrderStatus.LOADING, order.updated_at <= now - MESSAGE_PATIENCE - LATE),
    )
    in_order = select(at.id, order.id.label("order_id"), order.status.label("order_status")).join(
        ORDER, order.id == at.order_id
    )
    undated = [select(at.id, null(), null()).where(waits, at.due_at.is_(None)) for waits in (QUEUED, RUNNING, FOLLOWED)]
    query = union_all(in_order.where(QUEUED, late), *undated)
    return [dict(row) for row in conn.execute(query).mappings()]

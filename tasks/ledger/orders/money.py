"""An order's own bound in money: what it buys costs so much at the most, each number its setup and first month.

What was bought, is under way, held or in doubt counts with the price that its row has. Lines are only written where
they fit beside all others, and released where they fit beside what counts by then: a yes may come late.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy import Connection, exists, literal, or_, select

from schemas.money import Money, parse_money, price_of
from schemas.status import SETTLED, OrderStatus, Status
from schemas.tables.purchases import LINE, ORDER, PURCHASE, QUEUED, UNFINISHED
from tasks.ledger.queue.purses import cost, purse_beside, spending
from tasks.ledger.rows import Row

_AT = PURCHASE.c
_OVER = (Status.FAILED, Status.CANCELLED)


def bound_of(order: Row) -> Money | None:
    """What an order may spend; None for any."""
    return None if order["max_spend"] is None else parse_money(order["max_spend"])


def left_of(conn: Connection, order: Row) -> Money | None:
    """What a locked order may spend beside all its lines, those that wait too; None for any."""
    if (bound := bound_of(order)) is None:
        return None
    lines = select(LINE.c.purchase_id).where(LINE.c.order_id == order["id"])
    left = purse_beside(conn, bound, [(_AT.id.in_(lines), _AT.status.not_in(_OVER))]).left
    return Money(left, bound.currency)


def left_for_calls(conn: Connection, order_id: str, bound: Money) -> Decimal:
    """What a locked order may spend beside all that was, or may have been, called for.

    Below 0 where that costs more: evidence comes whatever is left.
    """
    called = or_(_AT.status.not_in((*_OVER, Status.QUEUED)), _AT.doubt)
    spent, unknown = spending(conn, bound, [(_AT.order_id == order_id, _AT.status.not_in(_OVER), called)])
    return min(bound.amount - spent, Decimal(0)) if unknown else bound.amount - spent


def may_get_back(conn: Connection, order: Row) -> bool:
    """Whether some of what counts for the bound of an order may yet come to nothing."""
    moving = select(_AT.id).where(_AT.order_id == order["id"], _AT.status.not_in(SETTLED)).limit(1)
    return order["max_spend"] is not None and conn.execute(moving).first() is not None


_WAITS = (_AT.order_id == ORDER.c.id, QUEUED)
_MOVES = exists().where(_AT.order_id == ORDER.c.id, _AT.status.not_in((*SETTLED, Status.QUEUED)))
_DOUBTED = exists().where(*_WAITS, _AT.doubt)
_WAITING = select(ORDER.c.id, ORDER.c.max_spend).where(
    UNFINISHED,
    ORDER.c.status == literal(str(OrderStatus.OPEN)),
    ORDER.c.max_spend.is_not(None),
    exists().where(*_WAITS),
    ~_MOVES,
)
# Asked about once a second by every worker, so built once.
_STUCK, _DOUBTFUL = _WAITING.where(~_DOUBTED), _WAITING.where(_DOUBTED)


def stuck_orders(conn: Connection) -> list[str]:
    """Open orders of which something waits that costs more than what is left, with nothing under way."""
    found = [(row["id"], bound_of(dict(row))) for row in conn.execute(_STUCK).mappings()]
    return [order_id for order_id, bound in found if bound and too_dear(conn, order_id, bound)]


def overdrawn_orders(conn: Connection) -> list[str]:
    """Open orders that may have spent more than they may, and of which something waits with a doubt.

    It is not called for again. Nothing is under way.
    """
    found = [(row["id"], bound_of(dict(row))) for row in conn.execute(_DOUBTFUL).mappings()]
    return [order_id for order_id, bound in found if bound and left_for_calls(conn, order_id, bound) < 0]


def too_dear(conn: Connection, order_id: str, bound: Money) -> list[str]:
    """The purchases of an order that wait, were never in doubt, and alone cost more than what is left."""
    left = left_for_calls(conn, order_id, bound)
    waits = select(PURCHASE).where(_AT.order_id == order_id, QUEUED, ~_AT.doubt).order_by(_AT.id)
    rows: Sequence[Row] = [dict(row) for row in conn.execute(waits).mappings()]
    return [row["id"] for row in rows if (amount := cost(price_of(row), bound)) is None or amount > left]

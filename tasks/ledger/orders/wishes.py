"""The wishes of orders by criteria: their rows, the lines that were found for them, and what those came to.

A wish is locked after its order. How many more numbers it needs is counted under that lock, and the lines for them are
written in the same transaction: so it never has more than its count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Integer, and_, bindparam, delete, exists, false, func, insert, or_, select, update

from schemas.requests import RequestError
from schemas.status import SETTLED, OrderStatus, Status
from schemas.tables.purchases import LINE, ORDER, PURCHASE
from schemas.tables.wishes import OFFERS, OPEN_WISH, WISH, WishState
from tasks.ledger.among import among
from tasks.ledger.orders.cancel import GAVE_WAY
from tasks.ledger.requests.accept import Entry, accept, line_row
from tasks.ledger.rows import Row
from tasks.telemetry.traceparent import within
from tasks.transactions import Raced

_AT = WISH.c
MOST_TOLD = 5
"""Reasons that one event tells."""

_WENT_BACK = (
    "the database went back in time, and lost what was bought since: count what is ours before you order the rest; "
    "`dialstock order retry` looks for all that it knows nothing of"
)
# Null where there is no code, which groups with false.
_GAVE_WAY = func.coalesce(and_(PURCHASE.c.status == Status.CANCELLED, PURCHASE.c.error_code == GAVE_WAY), false())
_BOUGHT = (Status.PURCHASED, Status.RELEASING, Status.RELEASED)

_HAS_OFFERS = exists().where(OFFERS.c.order_id == _AT.order_id, OFFERS.c.position == _AT.position).label("has_offers")

# Asked four times a second by every worker, so built once.
_FREE = or_(_AT.leased_until.is_(None), _AT.leased_until <= bindparam("now"))
_DUE = (
    select(WISH, ORDER.c.cancel_requested_at, _HAS_OFFERS)
    .join(ORDER, ORDER.c.id == _AT.order_id)
    .where(OPEN_WISH, _AT.next_run_at <= bindparam("now"), _FREE)
    .order_by(_AT.next_run_at)
    .limit(bindparam("most", type_=Integer))
)
_PUT_OFF = (
    update(WISH)
    .where(_AT.order_id == bindparam("of"), _AT.position == bindparam("place"), OPEN_WISH)
    .where(_AT.next_run_at == bindparam("was"))
    .values(next_run_at=bindparam("until"))
)
_COUNTED = (
    select(LINE.c.wish, PURCHASE.c.status, _GAVE_WAY, func.count())
    .join(PURCHASE, PURCHASE.c.id == LINE.c.purchase_id)
    .where(LINE.c.order_id == bindparam("of"), among(LINE.c.wish, "positions"))
    .group_by(LINE.c.wish, PURCHASE.c.status, _GAVE_WAY)
)
ANY_OPEN = select(_AT.order_id).where(OPEN_WISH).order_by(_AT.next_run_at).limit(1)
HAS_OPEN_WISH = exists().where(_AT.order_id == ORDER.c.id, OPEN_WISH)
"""Whether numbers are still looked for: such an order is not completed."""


@dataclass(frozen=True)
class Tally:
    """What became of the lines of one wish. All that was not refused counts: what is in doubt, and what is held, too.

    A number that a person gave back was bought. One whose purchase a person cancelled is not replaced, unless a retry
    asked for that: `forgiven` are so many.
    """

    statuses: Mapping[str, int] = field(default_factory=dict)
    forgiven: int = 0

    @property
    def found(self) -> int:
        """All lines."""
        return sum(self.statuses.values())

    @property
    def bought(self) -> int:
        """Numbers that were bought, those that were given back since, too."""
        return self._of(*_BOUGHT)

    @property
    def held(self) -> int:
        """Numbers that wait for a person."""
        return self._of(Status.HELD)

    @property
    def refused(self) -> int:
        """Numbers that came to nothing, or were given up for others: these take their place."""
        return self._of(Status.FAILED)

    @property
    def cancelled(self) -> int:
        """Numbers that a person wants no more."""
        return self._of(Status.CANCELLED)

    @property
    def unsettled(self) -> int:
        """Numbers that are being bought; of a status that only a newer program knows, too."""
        return sum(count for status, count in self.statuses.items() if status not in SETTLED)

    def missing(self, count: int) -> int:
        """How many more numbers there are to find."""
        return max(0, count - (self.found - self.refused - min(self.forgiven, self.cancelled)))

    def _of(self, *statuses: Status) -> int:
        return sum(self.statuses.get(one, 0) for one in statuses)


def insert_wishes(conn: Connection, rows: Sequence[Row], now: datetime) -> None:
    """Write the wishes of a new order: rows of order_id, position, count, at_least, reserve, criteria and metadata."""
    state = {"state": str(WishState.OPEN), "searches": 0, "batch": 0, "fruitless": 0, "forgiven": 0}
    times = dict.fromkeys(("next_run_at", "search_at", "progress_at", "created_at", "updated_at"), now)
    conn.execute(insert(WISH), [{**state, **times, **row} for row in rows])


def wishes_of(conn: Connection, order_id: str) -> list[Row]:
    """The wishes of an order, in their order; none where it names its numbers itself."""
    found = conn.execute(select(WISH).where(_AT.order_id == order_id).order_by(_AT.position)).mappings()
    return [dict(row) for row in found]


def tallies(conn: Connection, wishes: Sequence[Row]) -> dict[int, Tally]:
    """What became of the lines of *wishes*, all of one order, by their positions."""
    if not wishes:
        return {}
    [order_id] = {row["order_id"] for row in wishes}
    values = {"of": order_id, "positions": [row["position"] for row in wishes]}
    statuses: dict[int, Counter[str]] = {}
    for position, status, gave_way, count in conn.execute(_COUNTED, values):
        statuses.setdefault(position, Counter())[Status.FAILED if gave_way else status] += count
    return {row["position"]: Tally(statuses.get(row["position"], {}), row["forgiven"]) for row in wishes}


def why(wish: Row, tally: Tally) -> str | None:
    """Why a wish has no more: what its last search came to, and what a person may do now."""
    told = [wish["reason"]] if wish["reason"] else []
    if tally.held:
        told.append(f"{tally.held} are held, and not replaced before: dialstock purchase list --status held")
    if wish["state"] == WishState.REACHED and (missing := tally.missing(wish["count"])):
        told.append(f"{missing} came to nothing since: dialstock order retry looks for others")
    return "; ".join(told) or None


def summary(conn: Connection, order_id: str) -> Row | None:
    """All wishes of an order counted together, and why some came to less; None where it has none."""
    rows = wishes_of(conn, order_id)
    if not rows:
        return None
    found = tallies(conn, rows)
    missing = sum(found[row["position"]].missing(row["count"]) for row in rows)
    told = {row["position"]: why(row, found[row["position"]]) for row in rows}
    reasons = [f"wish {position}: {one}" for position, one in told.items() if one]
    counts = {
        name: sum(getattr(one, name) for one in found.values()) for name in ("found", "bought", "held", "refused")
    }
    return {"count": sum(row["count"] for row in rows), **counts, "missing": missing, "reasons": reasons[:MOST_TOLD]}


def due_wishes(conn: Connection, now: datetime, most: int) -> list[Row]:
    """Open wishes that a worker is to look at, the longest due first.

    Each with its order's `cancel_requested_at`, and `has_offers`: whether some are kept for it.
    """
    return [dict(row) for row in conn.execute(_DUE, {"now": now, "most": most}).mappings()]


def put_off(conn: Connection, wish: Row, until: datetime) -> bool:
    """Have nobody look at a wish before *until*. False where somebody else has done so since it was read."""
    same = {"of": wish["order_id"], "place": wish["position"], "was": wish["next_run_at"]}
    return conn.execute(_PUT_OFF, {**same, "until": until}).rowcount == 1


def lock_open(conn: Connection, order_id: str, position: int, now: datetime) -> tuple[Row, Row, Tally] | None:
    """An order, its wish, and what became of its lines, locked until the transaction ends; None where it is not open.

    The wish of an order that is cancelled ends here.
    """
    order = conn.execute(select(ORDER).where(ORDER.c.id == order_id).with_for_update()).mappings().first()
    query = select(WISH).where(_AT.order_id == order_id, _AT.position == position)
    wish = conn.execute(query.with_for_update()).mappings().first()
    if order is None or wish is None or wish["state"] != WishState.OPEN:
        return None
    if order["cancel_requested_at"] is not None:
        cancel_wishes(conn, order_id, now)
        return None
    return dict(order), dict(wish), tallies(conn, [dict(wish)])[position]


def change(conn: Connection, wish: Row, now: datetime, **values: Any) -> None:
    """Change a locked wish."""
    here = (_AT.order_id == wish["order_id"], _AT.position == wish["position"])
    conn.execute(update(WISH).where(*here).values(**values, updated_at=now))


def set_lease(conn: Connection, order_id: str, position: int, run: int, until: datetime | None) -> None:
    """Have the *run*-th search keep its wish until then, or give it back; nothing where a later one has it by now."""
    mine = (_AT.order_id == order_id, _AT.position == position, _AT.searches == run, OPEN_WISH)
    conn.execute(update(WISH).where(*mine).values(leased_until=until))


def kept_offers(conn: Connection, wish: Row) -> list[Row]:
    """What `keep_offers` wrote for a locked wish."""
    here = (OFFERS.c.order_id == wish["order_id"], OFFERS.c.position == wish["position"])
    return conn.execute(select(OFFERS.c.offers).where(*here)).scalar() or []


def keep_offers(conn: Connection, wish: Row, offers: Sequence[Row]) -> None:
    """Keep *offers*, and no others, for a locked wish; what they are, `tasks.wishes.kept` knows."""
    here = {"order_id": wish["order_id"], "position": wish["position"]}
    conn.execute(delete(OFFERS).where(*(OFFERS.c[name] == value for name, value in here.items())))
    if offers:
        conn.execute(insert(OFFERS).values(**here, offers=[*offers]))


def end(conn: Connection, wish: Row, state: WishState, reason: str | None, now: datetime) -> None:
    """Look for no more numbers of a locked wish."""
    keep_offers(conn, wish, [])
    change(conn, wish, now, state=str(state), reason=reason, leased_until=None, finished_at=now)


def cancel_wishes(conn: Connection, order_id: str, now: datetime) -> None:
    """End the open wishes of an order that is cancelled, and locked."""
    ended = {"state": str(WishState.CANCELLED), "leased_until": None, "finished_at": now, "updated_at": now}
    conn.execute(delete(OFFERS).where(OFFERS.c.order_id == order_id))
    conn.execute(update(WISH).where(_AT.order_id == order_id, OPEN_WISH).values(**ended))


def stop_wishes(conn: Connection, others: Collection[str], now: datetime) -> None:
    """End the open wishes of a database that went back in time, but for those that buy at *others*, which are aliases.

    Their lines may be lost: what they counted as missing may be ours.
    """
    found = [dict(row) for row in conn.execute(select(WISH).where(OPEN_WISH)).mappings()]
    here = [row for row in found if not set(row["criteria"]["providers"]) <= set(others)]
    orders = sorted({row["order_id"] for row in here})
    conn.execute(select(ORDER.c.id).where(ORDER.c.id.in_(orders)).order_by(ORDER.c.id).with_for_update())
    for wish in here:
        this = (_AT.order_id == wish["order_id"], _AT.position == wish["position"], OPEN_WISH)
        if conn.execute(select(_AT.position).where(*this)).first():
            end(conn, wish, WishState.SHORT, _WENT_BACK, now)


def only_at(conn: Connection, alias: str, others: Collection[str]) -> list[str]:
    """The orders with an open wish that may be bought at *alias*, and at none of *others*."""
    found = conn.execute(select(_AT.order_id, _AT.criteria).where(OPEN_WISH))
    named = [(row.order_id, {*row.criteria["providers"]}) for row in found]
    return sorted({order_id for order_id, providers in named if alias in providers and not providers & {*others}})


def lacking(conn: Connection, order_id: str) -> list[tuple[Row, Tally]]:
    """The wishes of an order that ended with less than their count, each with what became of its lines."""
    ended = [wish for wish in wishes_of(conn, order_id) if wish["state"] != WishState.OPEN]
    found = tallies(conn, ended)
    told = [(wish, found[wish["position"]]) for wish in ended]
    return [(wish, tally) for wish, tally in told if replace(tally, forgiven=tally.cancelled).missing(wish["count"])]


def look_again(conn: Connection, order_id: str, now: datetime) -> int:
    """Have the wishes of an order that came to less than their count look for the rest. Returns how many.

    A cancel of the order is taken back then.
    """
    conn.execute(select(ORDER.c.id).where(ORDER.c.id == order_id).with_for_update())
    again = lacking(conn, order_id)
    for wish, tally in again:
        opened = {"state": str(WishState.OPEN), "reason": None, "finished_at": None, "fruitless": 0, "batch": 0}
        times = dict.fromkeys(("next_run_at", "search_at", "progress_at"), now)
        change(conn, wish, now, **opened, **times, forgiven=tally.cancelled)
    if again:
        reopened = {"status": str(OrderStatus.OPEN), "cancel_requested_at": None, "updated_at": now}
        conn.execute(update(ORDER).where(ORDER.c.id == order_id).values(**reopened))
    return len(again)


def add_lines(conn: Connection, order: Row, position: int, entries: Sequence[Entry], now: datetime) -> None:
    """Add the lines of numbers that were found for a wish, all of them or none, to its locked order.

    Raises Raced where somebody else has one of the numbers by now.
    """
    numbered = [replace(one, line=order["lines"] + n) for n, one in enumerate(entries, 1)]
    try:
        with within(order["traceparent"]):
            accepted = accept(conn, numbered, now, order["id"])
    except RequestError as exc:
        raise Raced from exc
    if not all(one.created for one in accepted):
        raise Raced
    rows = [line_row(order["id"], entry, one) for entry, one in zip(numbered, accepted, strict=True)]
    conn.execute(insert(LINE), [{**row, "wish": position} for row in rows])
    # An older program may have completed it: it knows no wishes.
    more = {"lines": order["lines"] + len(rows), "status": str(OrderStatus.OPEN), "updated_at": now}
    conn.execute(update(ORDER).where(ORDER.c.id == order["id"]).values(**more))

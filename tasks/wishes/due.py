"""Which wishes are due: every worker looks, and has what is missing searched for by whoever takes the message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy import Connection

from tasks.ledger.orders import wishes
from tasks.ledger.orders.wishes import Tally
from tasks.ledger.rows import Row
from tasks.runtime import PUBLIC_QUEUE, Message, Runtime
from tasks.wishes.settling import settle
from tasks.wishes.stuck import closed_for_long, stuck_lines

FIND_NUMBERS = "dialstock.internal.find_numbers"

AT_ONCE = 50
"""Wishes that one look takes."""

RESEND = timedelta(seconds=15)
"""After a message was sent, until the next where it was lost."""

LOOK_AGAIN = timedelta(seconds=0.25)
LINES_A_SECOND = 50_000
WISHES_A_SECOND = 50
"""Where many lines are counted, or many wishes put off, that is done more seldom: it takes a tenth of the time."""

_LAST = 10
"""A search goes before the last tenth of what was being bought is, so that buying does not wait for it."""

_AHEAD = 5.0
"""Seconds of purchases before the last one at which what was kept takes the place of what is refused."""


def look(runtime: Runtime) -> bool:
    """Send a message for each wish that is to be searched for, and end what has all. Whether there may be more."""
    if not runtime.database.may_find(wishes.ANY_OPEN):
        return False
    now = runtime.now()
    with runtime.database.read() as conn:
        due = wishes.due_wishes(conn, now, AT_ONCE)
        counted: dict[tuple[str, int], Tally] = {}
        for order_id, rows in _by_order(due):
            counted |= {(order_id, position): tally for position, tally in wishes.tallies(conn, rows).items()}
        closed = closed_for_long(conn, runtime, now) if due else {}
        stuck = [wish for wish in due if wish["search_at"] <= now and stuck_lines(conn, wish, closed, now)]
    turns = [(wish, counted[wish["order_id"], wish["position"]], wish in stuck) for wish in due]
    again = now + LOOK_AGAIN + timedelta(seconds=len(due) / WISHES_A_SECOND)
    messages = [m for wish, tally, waits in turns if (m := _turn(runtime, wish, tally, now, again, stuck=waits))]
    if messages:
        runtime.send(messages)
    return len(due) == AT_ONCE


def _by_order(due: Iterable[Row]) -> Iterator[tuple[str, list[Row]]]:
    for order_id, rows in groupby(sorted(due, key=_order_of), _order_of):
        yield order_id, list(rows)


def _order_of(wish: Row) -> str:
    return str(wish["order_id"])


def _turn(runtime: Runtime, wish: Row, tally: Tally, now: datetime, again: datetime, *, stuck: bool) -> Message | None:
    """What a wish is due for: a message where it is to be searched for; *stuck* is whether its lines are.

    Else it is looked at *again*, later where it has many lines.
    """
    missing = tally.missing(wish["count"])
    if wish["cancel_requested_at"] is not None or not (missing or tally.unsettled):
        _end(runtime, wish)
        return None
    seeks = stuck or (missing and (wish["search_at"] <= now or _runs_out(runtime, wish, tally)))
    until = now + RESEND if seeks else again + timedelta(seconds=tally.found / LINES_A_SECOND)
    mine = runtime.database.run(lambda conn: wishes.put_off(conn, wish, until))
    if not (mine and seeks):
        return None
    which = {"order_id": wish["order_id"], "position": wish["position"]}
    return Message(task=FIND_NUMBERS, queue=PUBLIC_QUEUE, kwargs=which)


def _end(runtime: Runtime, wish: Row) -> None:
    def ended(conn: Connection) -> None:
        now = runtime.now()
        if (locked := wishes.lock_open(conn, wish["order_id"], wish["position"], now)) is not None:
            settle(conn, locked[1], locked[2], now)

    runtime.database.run(ended)


def _runs_out(runtime: Runtime, wish: Row, tally: Tally) -> bool:
    """Whether its providers would soon have nothing to buy for a wish; sooner where no search is needed for more."""
    if wish["fruitless"]:
        return False
    last: int = wish["batch"] // _LAST
    return tally.unsettled <= (max(last, _soon(runtime, wish)) if wish["has_offers"] else last)


def _soon(runtime: Runtime, wish: Row) -> int:
    """Purchases that its providers can make within _AHEAD."""
    here = [one for alias in wish["criteria"]["providers"] if (one := runtime.providers.get(alias))]
    return sum(one.buying.calls_within(_AHEAD) * one.batch for one in here)

"""One run of a wish: what is missing is counted, searched for, counted again and written down as lines.

It has the wish for itself by a lease. No promise rests on that: what it writes is counted under the order's lock, so
that no run, however many there are and wherever one is killed, brings a wish above its count. A number in doubt counts,
so it is not replaced before its doubt is settled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from schemas.by_criteria.criteria import Criteria
from schemas.money import Money
from schemas.requests import BuyNumber
from schemas.tables.wishes import WishState
from tasks.ledger.orders import money, reservations, wishes
from tasks.ledger.orders.wishes import Tally
from tasks.ledger.requests.accept import Entry
from tasks.ledger.rows import Row
from tasks.renewed_claim import renewed
from tasks.restored_database.detect import on_compared_server
from tasks.runtime import Runtime
from tasks.supply.candidates import Found, find
from tasks.supply.offers import Offer, usable, within
from tasks.wishes.kept import Kept, kept_for, offers_of, rows_of, worth_keeping
from tasks.wishes.reserving import reserve
from tasks.wishes.settling import settle
from tasks.wishes.stuck import closed_for_long, give_up, in_their_place, lacking, stuck_lines, with_freed

LEASE = timedelta(seconds=30)
"""After a run's last word until another one takes its place: a search may be long, and a worker may die over it."""

SEARCH_AGAIN = timedelta(seconds=10)
"""Between two searches while numbers are being bought: what was found is sold by then, and a search shows others."""

A_NUMBER = timedelta(seconds=0.1)
"""The same for each number that the search before found; the next goes sooner once the most of them are bought."""

LONGEST_WAIT = timedelta(minutes=5)
"""After a search that failed, or while a provider buys nothing: twice as long each time, up to this."""

GIVE_UP_AFTER = timedelta(hours=48)
"""Since the last number was found: a daily limit leaves more within 24 hours, and a person sees a pause in another."""

MAX_REASON = 2_000
"""Characters of a wish's reason."""


@dataclass(frozen=True)
class _This:
    """Which wish a run is for."""

    runtime: Runtime
    order_id: str
    position: int

    def locked(self, conn: Connection, now: datetime) -> tuple[Row, Row, Tally] | None:
        return wishes.lock_open(conn, self.order_id, self.position, now)


@dataclass(frozen=True, kw_only=True)
class _Begun:
    """What a run found at its beginning: `settled` is whether nothing was being bought, `spend` what its order may.

    `run` counts the wish's searches. `beyond` is how many of what is missing will be refused, if it goes on as before.
    `closed` are paused providers at which lines are stuck, and why: their numbers are looked for at others. `reserve`
    is whether what it finds is reserved before it is written down, `kept` what earlier searches showed.
    """

    at: datetime
    run: int
    criteria: Criteria
    missing: int
    beyond: int
    urgent: int
    settled: bool
    spend: Money | None
    closed: Mapping[str, str]
    reserve: bool
    kept: Kept


def run(runtime: Runtime, order_id: str, position: int) -> None:
    """Look for what the wish is missing, where it is open and no other run has it.

    Raises redis.RedisError where a search needs its turn and Redis is away, and what else it fails with; the wish is
    searched for later then.
    """
    this = _This(runtime, order_id, position)
    begun = runtime.database.run(lambda conn: _begin(conn, this))
    if begun is None:
        return
    runtime.reached("leased")
    try:
        with _leased(this, begun):
            found = _find(runtime, begun)
        runtime.reached("searched")
        with _leased(this, begun):
            told = _reserve(this, begun, found)
        # What it counts as missing may have been bought, and lost.
        on_compared_server(runtime, lambda conn: _conclude(conn, this, begun, found, told))
    except Exception as exc:
        _fail(this, begun, type(exc).__name__)
        raise


def _leased(this: _This, begun: _Begun) -> AbstractContextManager[None]:
    """The wish stays this run's in the block, however long its calls take."""
    return renewed(LEASE.total_seconds() / 3, lambda: this.runtime.database.run(lambda conn: _renew(conn, this, begun)))


def _renew(conn: Connection, this: _This, begun: _Begun) -> None:
    wishes.set_lease(conn, this.order_id, this.position, begun.run, this.runtime.now() + LEASE)


def _find(runtime: Runtime, begun: _Begun) -> Found:
    return find(
        runtime,
        begun.criteria,
        begun.missing,
        urgent=begun.urgent,
        beyond=begun.beyond,
        kept=offers_of(begun.kept),
        spend=begun.spend,
    )


def _begin(conn: Connection, this: _This) -> _Begun | None:
    """Take the lease and tell what is missing; None where nothing is to be searched for."""
    now = this.runtime.now()
    locked = this.locked(conn, now)
    if locked is None:
        return None
    order, wish, tally = locked
    missing, closed = tally.missing(wish["count"]), closed_for_long(conn, this.runtime, now)
    stuck = stuck_lines(conn, wish, closed, now)
    if (wish["leased_until"] is not None and wish["leased_until"] > now) or not (missing or stuck):
        settle(conn, wish, tally, now)
        return None
    spend = with_freed(money.left_of(conn, order), stuck[:1])
    if spend is not None and not spend.amount:
        why = f"{lacking(missing, stuck, closed)}; nothing is left of max_spend, {order['max_spend']}"
        state = WishState.SHORT if tally.found else WishState.FAILED
        _none(conn, wish, why, now, final=not money.may_get_back(conn, order), state=state, fails=False)
        return None
    criteria = Criteria.model_validate(wish["criteria"])
    if stuck:
        others = tuple(alias for alias in criteria.providers if alias not in closed)
        criteria = criteria.model_copy(update={"providers": others})
    wishes.change(conn, wish, now, leased_until=now + LEASE, searches=wish["searches"] + 1)
    # The preferred provider's next page may have the rest; but whether there is enough is judged at once.
    urgent = wish["at_least"] if tally.found == 0 else 1
    return _Begun(
        at=now,
        run=wish["searches"] + 1,
        criteria=criteria,
        missing=missing + len(stuck),
        beyond=min(missing, missing * tally.refused // max(tally.bought, 1)),
        urgent=urgent,
        settled=not tally.unsettled,
        spend=spend,
        closed=closed if stuck else {},
        reserve=wish["reserve"],
        kept=kept_for(conn, this.runtime, wish, now),
    )


def _reserve(this: _This, begun: _Begun, found: Found) -> str | None:
    """Reserve as many of what was found as are missing, where it is wanted; what was not reserved, and why."""
    if not begun.reserve or len(found.offers) < begun.urgent:
        return None
    found.offers[:], told = reserve(this.runtime, (this.order_id, this.position), found.offers, begun.missing)
    return told


def _conclude(conn: Connection, this: _This, begun: _Begun, found: Found, told: str | None) -> None:
    """Count again, and write down what is still missing as far as it was found; else say why there is none.

    *told* is what a person hears while what was found is bought.
    """
    now = this.runtime.now()
    locked = this.locked(conn, now)
    if locked is None:
        return
    order, wish, tally = locked
    wishes.set_lease(conn, this.order_id, this.position, begun.run, None)
    missing = tally.missing(wish["count"])
    offers, why, waits = _fitting(conn, this, order, found)
    if tally.found == 0 and len(offers) < wish["at_least"]:
        few = f"{len(offers)} were found{why}, and at_least is {wish['at_least']}: nothing was bought"
        _too_few(conn, wish, _with_reasons(few, found), now, empty=not waits, state=WishState.FAILED, found=found)
    elif chosen := _in_place_of(conn, this, begun, found) if begun.closed else offers[:missing]:
        entries = [_entry(this.runtime, offer, wish["metadata"]) for offer in chosen]
        wishes.add_lines(conn, order, wish["position"], entries, now)
        if begun.reserve:
            reservations.attach(conn, this.order_id, this.position)
        beyond = worth_keeping(found, begun.missing, chosen)
        wishes.keep_offers(conn, wish, rows_of(this.runtime, beyond, begun.kept, begun.at))
        # Until the most of it is bought, a search would show it again.
        search_at = now + SEARCH_AGAIN + len(chosen) * A_NUMBER
        again = {"search_at": search_at, "next_run_at": now, "batch": tally.unsettled + len(chosen), "fruitless": 0}
        wishes.change(conn, wish, now, **again, progress_at=now, reason=told and told[:MAX_REASON])
    elif not settle(conn, wish, tally, now):
        empty = begun.settled and not (tally.unsettled or waits or offers)
        stuck = stuck_lines(conn, wish, begun.closed, now)
        told = _with_reasons(f"{lacking(missing, stuck, begun.closed)}{why}", found)
        _too_few(conn, wish, told, now, empty=empty, state=WishState.SHORT, found=found)
    this.runtime.reached("ordering")


def _in_place_of(conn: Connection, this: _This, begun: _Begun, found: Found) -> Sequence[Offer]:
    """The offers for what is missing, and for the stuck lines, which are given up for them. Raises Raced."""
    now = this.runtime.now()
    locked = this.locked(conn, now)
    if locked is None:
        return []
    order, wish, tally = locked
    stuck, offers = stuck_lines(conn, wish, begun.closed, now), usable(conn, this.runtime, found.offers)
    chosen, given = in_their_place(offers, tally.missing(wish["count"]), stuck, money.left_of(conn, order))
    give_up(conn, this.order_id, given, begun.closed, now)
    return chosen


def _entry(runtime: Runtime, offer: Offer, metadata: Mapping[str, object]) -> Entry:
    request = BuyNumber.model_construct(
        number=offer.number,
        provider=offer.provider,
        idempotency_key=None,
        options=dict(offer.options),
        metadata=dict(metadata),
    )
    return Entry(request=request, account=runtime.providers[offer.provider].account, price=offer.price)


def _fitting(conn: Connection, this: _This, order: Row, found: Found) -> tuple[list[Offer], str, bool]:
    """What can be ordered now of what was *found*, why that is less where its price keeps some away, and whether there
    may be more another time.
    """
    offers = usable(conn, this.runtime, found.offers)
    # What another order took during the search hid what the next one shows.
    waits = bool(found.later) or len(offers) < len(found.offers)
    spend = money.left_of(conn, order)
    if spend is None:
        return offers, "", waits
    fitting = [*within(offers, spend)]
    why = f" within {spend}, which is left of max_spend" if len(fitting) < len(offers) else ""
    return fitting, why, waits or money.may_get_back(conn, order)


def _with_reasons(why: str, found: Found) -> str:
    return "; ".join([why, *(f"{alias}: {told}" for alias, told in found.reasons.items())])


def _too_few(
    conn: Connection, wish: Row, reason: str, now: datetime, *, empty: bool, state: WishState, found: Found
) -> None:
    """A search showed too few; *empty* is whether that was all there is. A wish ends where the one before said so too.

    A list may show for a while what was just bought, and not yet what else there is; and a gateway may show none.
    """
    before = wish["empty_at"] is not None and wish["empty_at"] >= wish["progress_at"]
    _none(conn, wish, reason, now, final=empty and before, state=state, fails=bool(found.later))
    wishes.change(conn, wish, now, empty_at=now if empty else None)


def _none(
    conn: Connection, wish: Row, reason: str, now: datetime, *, final: bool, state: WishState, fails: bool
) -> None:
    """No number was written down: a wish ends where that is *final*, or where it has been so for too long."""
    if final or now - wish["progress_at"] > GIVE_UP_AFTER:
        wishes.end(conn, wish, state, reason[:MAX_REASON], now)
    else:
        _later(conn, wish, reason, now, fails=fails)


def _fail(this: _This, begun: _Begun, error: str) -> None:
    """Give the lease back, where that can be done now."""

    def failed(conn: Connection) -> None:
        now = this.runtime.now()
        if (locked := this.locked(conn, now)) is not None:
            wishes.set_lease(conn, this.order_id, this.position, begun.run, None)
            _later(conn, locked[1], f"a search failed with {error}: a worker's log tells more", now, fails=True)

    with suppress(SQLAlchemyError):
        this.runtime.database.run(failed)


def _later(conn: Connection, wish: Row, reason: str, now: datetime, *, fails: bool) -> None:
    wait = min(SEARCH_AGAIN * 2 ** min(wish["fruitless"], 10), LONGEST_WAIT) if fails else SEARCH_AGAIN
    again = {"search_at": now + wait, "next_run_at": now}
    wishes.change(conn, wish, now, **again, fruitless=wish["fruitless"] + 1, reason=reason[:MAX_REASON])

"""Topping a pool up: what is missing is counted, looked for, counted again and ordered, all of it or nothing.

A run has the pool for itself by a lease. No promise rests on that: what it orders is counted under the pool's lock, so
that no run, however many there are and wherever one is killed, brings the level above the target.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from redis.exceptions import RedisError
from sqlalchemy import Connection, insert, update

from schemas.pool_tables import POOL, POOL_RUN, PoolStatus
from schemas.requests import BuyNumber
from tasks.ledger.accept import Entry, Raced, accept_lines, begin_order, open_order, with_retry
from tasks.ledger.cancel import cancel
from tasks.ledger.rows import Row, new_id
from tasks.pools import stock
from tasks.pools.candidates import STOCK_FILE, Found, Offer, find, usable
from tasks.pools.needs import Need, Run, count_need
from tasks.pools.standing import Standing, exhausted, judge, write_standing
from tasks.pools.stock import Supply
from tasks.runtime import Runtime

NEXT_PAGE = timedelta(seconds=10)
"""After a search that gave too few, until the next: what was ordered is sold by then, and a search shows others."""


class NotNow(Exception):
    """Nothing was run: the pool is not due, or another run has it."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a run found and did, or would do.

    level: before it. missing: up to the target, before it. candidates: what was ordered, or would be. reasons: why a
    provider gave less than was asked of it, by alias; problems of the stock file under `stock_file`.
    """

    pool: str
    level: int
    missing: int
    ordered: int = 0
    order_id: str | None = None
    status: PoolStatus
    reason: str | None = None
    candidates: list[Offer] = field(default_factory=list)
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def standing(self) -> Standing:
        """How the pool stands after it."""
        return Standing(status=self.status, reason=self.reason)


def run(
    runtime: Runtime, name: str, *, by_person: bool = False, without_held: bool = False, dry_run: bool = False
) -> Report:
    """Top the pool *name* up, where it is due or a person wants it.

    *without_held* counts held purchases as lost for this run. *dry_run* looks, and changes nothing.
    Raises NotNow, and redis.RedisError where a search needs its turn and Redis is away.
    """
    pool = runtime.config.pools[name]
    this = Run(
        runtime=runtime, name=name, pool=pool, by_person=by_person, with_held=pool.count_held and not without_held
    )
    if dry_run:
        return _look(this)
    with runtime.database.read() as conn:
        _refuse(this, stock.find_pool(conn, name))
    begun = with_retry(lambda: _begin(this))
    if isinstance(begun, Report):
        return begun
    runtime.reached("leased")
    try:
        found = find(runtime, pool, begun.most)
    except RedisError:
        # no provider was asked: due as before
        _give_up(this)
        raise
    runtime.reached("searched")
    return with_retry(lambda: _conclude(this, found))


def _refuse(this: Run, state: Row | None) -> None:
    """Raise NotNow where the pool is not due, or another run has it."""
    now = this.runtime.now()
    if state is None:
        return
    if state["leased_until"] is not None and state["leased_until"] > now:
        raise NotNow(f"pool {this.name} is being topped up already: wait for a moment")
    if not this.by_person and state["next_run_at"] > now:
        raise NotNow(f"pool {this.name} is not due before {state['next_run_at']}")


def _begin(this: Run) -> Report | Need:
    """Take the lease and tell what is needed; where that is nothing, the run is over."""
    now = this.runtime.now()
    with this.runtime.database.write() as conn:
        _refuse(this, stock.lock_pool(conn, this.name, now))
        stock.settle(conn, now, this.name)
        need = count_need(conn, this, now)
        if need.most == 0:
            return _finish(conn, this, need, Found(), now)
        stock.set_lease(conn, this.name, now + this.lease)
    return need


def _give_up(this: Run) -> None:
    with this.runtime.database.write() as conn:
        stock.set_lease(conn, this.name, None)


def _look(this: Run) -> Report:
    """What a run would order."""
    with this.runtime.database.read() as conn:
        need = count_need(conn, this, this.runtime.now())
    found = find(this.runtime, this.pool, need.most) if need.most else Found()
    return _report(this, need, found, need.supply, found.offers[: need.most])


def _conclude(this: Run, found: Found) -> Report:
    """Count again, order, and end the run."""
    now = this.runtime.now()
    with this.runtime.database.write() as conn:
        stock.lock_pool(conn, this.name, now)
        stock.settle(conn, now, this.name)
        return _finish(conn, this, count_need(conn, this, now, lock=True), found, now)


def _finish(conn: Connection, this: Run, need: Need, found: Found, now: datetime) -> Report:
    """Order what is needed, as far as it was found, and write down how the run ended."""
    offers = usable(conn, this.runtime, found.offers)
    moved = min(need.movable, max(0, len(offers) - need.budget))
    _give_way(conn, [row["purchase_id"] for row in need.stuck[:moved]], now)
    chosen = offers[: need.budget + moved]
    order_id = _order(conn, this, need.missing + moved, chosen, now)
    supply = stock.supply(conn, this.name, this.pool.target) if order_id else need.supply
    report = _report(this, need, found, supply, chosen)
    left = need.missing - len(chosen) + moved
    changed = write_standing(conn, this.name, this.pool, now, stands=report.standing, supply=supply, missing=left)
    next_run = this.pool.schedule.next_after(now)
    if found.searched and 0 < len(chosen) < need.budget:
        next_run = min(next_run, now + NEXT_PAGE)
    ended = {"last_run_at": now, "next_run_at": next_run, "leased_until": None}
    conn.execute(update(POOL).where(POOL.c.name == this.name).values(**ended))
    report = replace(report, order_id=order_id, ordered=len(chosen))
    if order_id or (need.missing and changed):
        _remember(conn, report, now)
    return report


def _give_way(conn: Connection, purchase_ids: Sequence[str], now: datetime) -> None:
    """Cancel locked purchases that wait in a queue; their places are wanted again."""
    for purchase_id in purchase_ids:
        cancel(conn, purchase_id, now)
    stock.vacate(conn, purchase_ids, now)


def _order(conn: Connection, this: Run, wanted: int, chosen: Sequence[Offer], now: datetime) -> str | None:
    """Order the chosen numbers for the pool's first *wanted* places; all of them or none.

    Raises Raced where somebody else has ordered one of them meanwhile.
    """
    places = stock.make_places(conn, this.name, wanted, now)
    if not chosen:
        return None
    order_id, about = new_id(), {"pool": this.name}
    order = {"id": order_id, "name": f"pool {this.name}", "idempotency_key": None, "fingerprint": None}
    begin_order(conn, {**order, "metadata": about}, now)
    requests = [
        BuyNumber(
            number=offer.number,
            provider=offer.provider,
            idempotency_key=f"pool:{this.name}:{place['slot']}:{place['tries'] + 1}",
            options=dict(offer.options),
            metadata=about,
        )
        for place, offer in zip(places, chosen, strict=False)
    ]
    accounts = {alias: binding.account for alias, binding in this.runtime.providers.items()}
    entries = [Entry(request=one, account=accounts[one.provider], line=line) for line, one in enumerate(requests, 1)]
    accepted = accept_lines(conn, order_id, entries, now)
    if not all(one.created for one in accepted):
        raise Raced
    open_order(conn, order_id, now)
    stock.fill(conn, this.name, places, [one.row for one in accepted], now)
    this.runtime.reached("ordering")
    return order_id


def _report(this: Run, need: Need, found: Found, supply: Supply, chosen: Sequence[Offer]) -> Report:
    stands = _judge(this, need, found, supply, len(chosen))
    return Report(
        pool=this.name,
        level=need.level,
        missing=need.missing,
        status=stands.status,
        reason=stands.reason,
        candidates=list(chosen),
        reasons=found.reasons,
    )


def _judge(this: Run, need: Need, found: Found, supply: Supply, count: int) -> Standing:
    """How the pool stands after *count* numbers were ordered."""
    reasons = dict(found.reasons) if count < need.budget else _only(found.reasons, STOCK_FILE)
    if need.budget < need.wanted:
        reasons["daily_limit"] = f"{this.pool.daily_limit} numbers in 24 hours are spent"
    enough = count >= need.budget or (count > 0 and found.searched)
    if not enough or need.budget < need.wanted or STOCK_FILE in reasons:
        return exhausted(reasons)
    stuck = Counter(row["provider"] for row in need.stuck[max(0, count - need.budget) :])
    return judge(this.name, this.pool, supply, stuck, need.closed)


def _only(reasons: Mapping[str, str], name: str) -> dict[str, str]:
    return {name: reasons[name]} if name in reasons else {}


def _remember(conn: Connection, report: Report, now: datetime) -> None:
    values = {"id": new_id(), "at": now, "wanted": report.missing}
    same = {name: getattr(report, name) for name in ("pool", "order_id", "level", "ordered", "reason")}
    conn.execute(insert(POOL_RUN).values(**values, **same))

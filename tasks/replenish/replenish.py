"""Topping a pool up: what is missing is counted, looked for, counted again and ordered, all of it or nothing.

A run has the pool for itself by a lease. No promise rests on that: what it orders is counted under the pool's lock, so
that no run, however many there are and wherever one is killed, brings the level above the target.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from redis.exceptions import RedisError
from sqlalchemy import Connection, insert
from sqlalchemy.exc import SQLAlchemyError

from schemas.money import Money
from schemas.status import Status
from schemas.tables.pools import POOL_RUN, PoolStatus
from tasks.ledger.queue.purses import Purse, affordable
from tasks.ledger.rows import Row, new_id
from tasks.outages.database_away import is_away
from tasks.pools import stock
from tasks.pools.counting import Supply
from tasks.renewed_claim import renewed
from tasks.replenish.candidates import STOCK_FILE, find
from tasks.replenish.needs import DAILY, LEASE, Need, Run, count_need
from tasks.replenish.ordering import give_way, order_numbers
from tasks.replenish.standing import Standing, broken, exhausted, judge, tells_of_failure, write_standing
from tasks.runtime import Runtime
from tasks.supply.candidates import Found
from tasks.supply.offers import Offer, usable

log = logging.getLogger(__name__)

NEXT_PAGE = timedelta(seconds=10)
"""After a search that gave too few, until the next: what was ordered is sold by then, and a search shows others."""

SHORTEST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(minutes=5)
"""After a run that failed, until the next: twice as long each time."""


class NotNow(Exception):
    """Nothing was run: the pool is not due, or another run has it."""


class RunFailed(Exception):
    """A scheduled run ended in an error that nobody foresaw: it is logged, the pool is blocked and runs more seldom."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a run found and did, or would do.

    level: before it. missing: up to the target, before it. candidates: what was ordered, or would be; `moved` of them
    are in place of numbers that waited at a provider which buys nothing now. reasons: why a provider gave less than
    was asked of it, by alias; problems of the stock file under `stock_file`.
    """

    pool: str
    level: int
    missing: int
    moved: int = 0
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
    Raises NotNow, RunFailed, redis.RedisError where a search needs its turn and Redis is away, and what `is_away`
    tells of the database. A person's run that fails raises what it failed with, and the schedule stays as it is.
    """
    pool = runtime.config.pools[name]
    this = Run(
        runtime=runtime, name=name, pool=pool, by_person=by_person, with_held=pool.count_held and not without_held
    )
    if dry_run:
        return _look(this)
    try:
        return _top_up(this)
    except (NotNow, RedisError):
        raise
    except Exception as exc:
        if by_person or is_away(exc):
            raise
        _back_off(this, exc)
        raise RunFailed(f"a run of pool {name} failed") from exc


def _top_up(this: Run) -> Report:
    with this.runtime.database.read() as conn:
        _refuse(this, stock.find_pool(conn, this.name))
    begun = this.runtime.database.run(lambda conn: _begin(conn, this))
    if isinstance(begun, Report):
        return begun
    this.runtime.reached("leased")
    try:
        with renewed(LEASE.total_seconds() / 3, lambda: this.runtime.database.run(lambda conn: _renew(conn, this))):
            found = find(this.runtime, this.pool, begun.most, urgent=begun.low_by)
        this.runtime.reached("searched")
        return this.runtime.database.run(lambda conn: _conclude(conn, this, found))
    except Exception:
        # Nothing was ordered: due as before, or as soon as the lease lapses.
        with suppress(SQLAlchemyError):
            _give_up(this)
        raise


def _refuse(this: Run, state: Row | None) -> None:
    """Raise NotNow where the pool is not due, or another run has it."""
    now = this.runtime.now()
    if state is None:
        return
    if state["leased_until"] is not None and state["leased_until"] > now:
        until = f"until {state['leased_until']:%H:%M:%S} UTC at most"
        raise NotNow(f"pool {this.name} is being topped up already, {until}: wait for a moment")
    followed = state["schedule"] == str(this.pool.schedule)
    if not this.by_person and followed and state["next_run_at"] > now:
        raise NotNow(f"pool {this.name} is not due before {state['next_run_at']}")


def _begin(conn: Connection, this: Run) -> Report | Need:
    """Take the lease and tell what is needed; where that is nothing, the run is over."""
    now = this.runtime.now()
    _refuse(this, stock.lock_pool(conn, this.name, this.pool, now))
    stock.settle(conn, now, this.name)
    need = count_need(conn, this, now)
    if need.most == 0:
        return _finish(conn, this, need, Found(), now)
    stock.set_lease(conn, this.name, now + LEASE)
    return need


def _renew(conn: Connection, this: Run) -> None:
    stock.renew_lease(conn, this.name, this.runtime.now() + LEASE)


def _give_up(this: Run) -> None:
    this.runtime.database.run(lambda conn: stock.set_lease(conn, this.name, None))


def _back_off(this: Run, exc: Exception) -> None:
    """Block the pool, and wait for as long as its runs fail already, within bounds. Counts nothing: that may fail."""
    now, stands = this.runtime.now(), broken(exc)

    def block(conn: Connection) -> tuple[Row, timedelta]:
        state = stock.lock_pool(conn, this.name, this.pool, now)
        write_standing(conn, this.name, this.pool, now, stands=stands)
        failing_for = now - state["since"] if tells_of_failure(state["reason"]) else SHORTEST_WAIT
        wait = min(max(failing_for, SHORTEST_WAIT), LONGEST_WAIT)
        stock.end_run(conn, this.name, now, now + wait)
        return state, wait

    state, wait = this.runtime.database.run(block)
    if state["reason"] == stands.reason:
        log.warning("pool %s: a run failed again, with %s; the next one is in %s", this.name, type(exc).__name__, wait)
    else:
        log.error("pool %s: a run failed; the next one is in %s", this.name, wait, exc_info=exc)


def _look(this: Run) -> Report:
    """What a run would order."""
    with this.runtime.database.read() as conn:
        need = count_need(conn, this, this.runtime.now())
    found = find(this.runtime, this.pool, need.most, urgent=need.low_by) if need.most else Found()
    chosen, moved = _choose(this, need, found.offers)
    return _report(this, need, found, chosen, moved)


def _conclude(conn: Connection, this: Run, found: Found) -> Report:
    """Count again, order, and end the run."""
    now = this.runtime.now()
    stock.lock_pool(conn, this.name, this.pool, now)
    stock.settle(conn, now, this.name)
    return _finish(conn, this, count_need(conn, this, now, lock=True), found, now)


def _finish(conn: Connection, this: Run, need: Need, found: Found, now: datetime) -> Report:
    """Order what is needed, as far as it was found, and write down how the run ended."""
    chosen, moved = _choose(this, need, usable(conn, this.runtime, found.offers))
    give_way(conn, [row["purchase_id"] for row in need.stuck[:moved]], now)
    order_id = order_numbers(conn, this, need.missing + moved, chosen, now)
    report = _report(this, need, found, chosen, moved)
    left = need.missing - len(chosen) + moved
    supply = _after(need, len(chosen) - moved)
    changed = write_standing(conn, this.name, this.pool, now, stands=report.standing, supply=supply, missing=left)
    next_run = this.pool.schedule.next_after(now)
    too_dear = need.purse is not None and len(chosen) < len(found.offers)
    if found.searched and 0 < len(chosen) < need.most and not too_dear:
        next_run = min(next_run, now + NEXT_PAGE)
    stock.end_run(conn, this.name, now, next_run)
    report = replace(report, order_id=order_id, ordered=len(chosen))
    if order_id or (need.missing and changed):
        _remember(conn, report, now)
    return report


def _choose(this: Run, need: Need, offers: Sequence[Offer]) -> tuple[Sequence[Offer], int]:
    """What to order of *offers*, and in place of how many stuck purchases."""
    if this.pool.max_spend is not None and need.purse is not None:
        fitting = affordable([one.price for one in offers], this.pool.max_spend, need.purse.left)
        offers = [offers[place] for place in fitting]
    moved = min(need.movable, max(0, len(offers) - need.budget))
    return offers[: need.budget + moved], moved


def _after(need: Need, more: int) -> Supply:
    """The supply when *more* are on their way."""
    coming = need.supply.on_the_way
    return replace(need.supply, on_the_way={**coming, Status.QUEUED: coming.get(Status.QUEUED, 0) + more})


def _report(this: Run, need: Need, found: Found, chosen: Sequence[Offer], moved: int) -> Report:
    stands = _judge(this, need, found, len(chosen), moved)
    return Report(
        pool=this.name,
        level=need.level,
        missing=need.missing,
        moved=moved,
        status=stands.status,
        reason=stands.reason,
        candidates=list(chosen),
        reasons=found.reasons,
    )


def _judge(this: Run, need: Need, found: Found, count: int, moved: int) -> Standing:
    """How the pool stands after *count* numbers were ordered."""
    reasons = dict(found.reasons) if count < need.budget or STOCK_FILE in found.reasons else {}
    if need.withheld and need.wanted:
        return exhausted({"waits": need.withheld})
    if need.budget < need.wanted and (need.purse is None or need.purse.left):
        limit = this.pool.daily_limit
        spent = limit - max(0, need.budget - count)
        reasons["daily_limit"] = f"{spent} of {limit} numbers in 24 hours are spent, and {need.wanted} were wanted"
    elif need.held_back:
        reasons["daily_limit"] = f"{need.held_back} purchases wait until it leaves more than was bought in 24 hours"
    if this.pool.max_spend is not None and need.purse is not None:
        reasons |= _of_money(this.pool.max_spend, need, need.purse, len(found.offers), count)
    enough = count >= need.budget or (count > 0 and found.searched)
    if not enough or reasons.keys() & {"daily_limit", "max_spend", STOCK_FILE}:
        return exhausted(reasons)
    stuck = Counter(row["provider"] for row in need.stuck[moved:])
    return judge(this.name, this.pool, _after(need, count - moved), stuck, need.closed)


def _of_money(bound: Money, need: Need, purse: Purse, found: int, count: int) -> dict[str, str]:
    """Why the bound in money keeps numbers away, if it does, where *count* of *found* were ordered."""
    left = f"{Money(purse.left, bound.currency)} of {bound} is left in 24 hours"
    uncounted = purse.uncounted(DAILY)
    if Status.QUEUED in need.supply.on_the_way and (uncounted or purse.overdrawn):
        return {"max_spend": uncounted or f"what waits costs more than is left of {bound} in 24 hours"}
    if need.wanted and not need.most:
        return {"max_spend": left}
    if count < min(need.most, found):
        passed = f"{found - count} numbers cost more, or tell no setup and monthly price in its currency"
        return {"max_spend": f"{left}: {passed}"}
    return {}


def _remember(conn: Connection, report: Report, now: datetime) -> None:
    values = {"id": new_id(), "at": now, "wanted": report.missing + report.moved}
    same = {name: getattr(report, name) for name in ("pool", "order_id", "level", "ordered", "reason")}
    conn.execute(insert(POOL_RUN).values(**values, **same))

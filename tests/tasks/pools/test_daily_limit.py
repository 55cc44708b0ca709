"""What a pool is charged for in any 24 hours is within its limit, whenever it was ordered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from schemas.pool_requests import TakeNumber
from schemas.settling import Verdict
from schemas.status import DEAD, Status
from schemas.tables.pools import PoolStatus
from schemas.tables.purchases import PURCHASE
from tasks.ledger.queue import pausing, pool_limits
from tasks.ledger.resolve import Resolution
from tasks.lifecycle import release_and_sweep
from tasks.operator import resolve
from tasks.pools.requests import take_and_return
from tests.tasks.pools.supplying import NAME, Make, Supplied, supplied
from tests.tasks.scripted_provider import NOT_SENT, REFUSED, THROTTLED, UNKNOWN
from tests.tasks.support import clear
from tests.waiting import at_once
from workers.database.connections import SqlDatabase

HOUR, DAY = 3600.0, timedelta(hours=24)
ALIASES = ("first", "second")


def release_at_once(world: Supplied) -> None:
    """What is due at both providers, twice each."""

    def release(alias: str) -> None:
        for _ in range(5):
            release_and_sweep.release_due(world.runtime, world.runtime.providers[alias])

    assert at_once(*[partial(release, alias) for alias in ALIASES * 2]) == [None] * 4


def record(world: Supplied) -> list[datetime]:
    """The moments of all charges from now on."""
    moments: list[datetime] = []
    for alias in ALIASES:
        shop = world.shop(alias)

        def charge(wanted: str, *, charge: Callable[..., Any] = shop.charge, **fields: Any) -> Any:
            moments.append(world.clock.moment)
            return charge(wanted, **fields)

        object.__setattr__(shop, "charge", charge)
    return moments


def most_in_a_day(moments: list[datetime]) -> int:
    """The most charges of any 24 hours."""
    return max((sum(first <= one < first + DAY for one in moments) for first in moments), default=0)


def buy(world: Supplied) -> None:
    """A minute of timers and workers."""
    for _ in range(4):
        world.timers()
        world.work()
        world.clock.advance(15)
    world.settle_all()


def resume(world: Supplied) -> None:
    with world.write() as conn:
        for alias in ALIASES:
            pausing.resume(conn, alias, world.clock(), by_machine=False)


def say(world: Supplied, verdict: Verdict, count: int | None = None) -> None:
    """A person settles held purchases: so where they were not bought."""
    held = world.rows(select(PURCHASE).where(PURCHASE.c.status == Status.HELD).order_by(PURCHASE.c.id))[:count]
    ours = {sold for alias in ALIASES for sold, _ in world.shop(alias).charged}
    said = {row["id"]: Verdict.BOUGHT if row["number"] in ours else verdict for row in held}
    resolve.resolve(world.runtime, [Resolution(purchase_id=one, verdict=said[one]) for one in said], "ann")


def empty(world: Supplied) -> None:
    """All that is available is taken."""
    if world.supply().available:
        take_and_return.take(
            world.runtime, TakeNumber(pool=NAME, count=world.supply().available), f"{world.clock.moment}"
        )


def test_what_waited_for_a_paused_provider_counts_on_the_day_on_which_it_is_bought(make: Make) -> None:
    world = make(daily_limit=12, low=12, target=12, providers=["first"])
    charged = record(world)
    world.run()
    world.stop_provider()
    world.clock.advance(23.5 * HOUR)
    resume(world)
    for _ in range(35):
        empty(world)
        world.run()
        buy(world)
    assert len(charged) == 12
    world.clock.advance(24 * HOUR)
    world.run()
    buy(world)
    assert (len(charged), most_in_a_day(charged)) == (24, 12)


@pytest.fixture
def old(make: Make) -> Supplied:
    """A pool whose 4 purchases were held two days ago, beside the 4 of today, which are its limit."""
    world = make(daily_limit=4, low=4, target=4, count_held=False)
    world.run()
    world.lead(Status.HELD, doubt=True)
    world.clock.advance(48 * HOUR)
    world.run()
    buy(world)
    return world


def test_what_a_person_has_bought_again_is_held_back_by_the_limit_told_and_bought_later(old: Supplied) -> None:
    charged = record(old)
    say(old, Verdict.RETRY)
    old.sent.clear()
    buy(old)
    assert (charged, old.count(Status.QUEUED)) == ([], 4)
    report = old.run()
    assert (report.status, report.ordered) == (PoolStatus.EXHAUSTED, 0)
    assert report.reason == "daily_limit: 4 purchases wait until it leaves more than was bought in 24 hours"
    old.clock.advance(24 * HOUR + 360)
    buy(old)
    assert (len(charged), old.count(Status.QUEUED)) == (4, 0)
    # a full pool needs nothing, and nothing waits
    assert old.run().status == PoolStatus.OK


def test_an_old_doubt_takes_from_the_limit_when_it_is_called_for_again(make: Make) -> None:
    world = make(daily_limit=4, low=4, target=4)
    charged = record(world)
    world.run()
    world.lead(Status.HELD, doubt=True)
    world.clock.advance(48 * HOUR)
    world.configure(daily_limit=2)
    say(world, Verdict.RETRY)
    buy(world)
    assert (len(charged), world.count(Status.QUEUED)) == (2, 2)


def test_what_the_limit_counts_already_is_called_for_again_within_it(make: Make) -> None:
    world = make(daily_limit=2, low=2, target=2)
    world.run()
    world.lead(Status.HELD, doubt=True)
    say(world, Verdict.RETRY)
    buy(world)
    assert world.supply().available == 2


def test_what_is_counted_waits_where_more_may_be_bought_than_the_limit_allows(make: Make) -> None:
    world = make(daily_limit=4, low=4, target=4)
    charged = record(world)
    world.run()
    world.lead(Status.HELD, 2, doubt=True)
    world.lead(Status.PURCHASED, 2)
    world.configure(daily_limit=3)
    say(world, Verdict.RETRY)
    buy(world)
    assert (charged, world.count(Status.QUEUED)) == ([], 2)
    world.clock.advance(24 * HOUR + 360)
    buy(world)
    assert (len(charged), world.count(Status.QUEUED)) == (2, 0)


def test_what_waits_with_a_doubt_counts_for_a_day_after_its_call(make: Make) -> None:
    world = make(low=4, target=4)
    world.run()
    world.lead(Status.HELD, 2, doubt=True)
    say(world, Verdict.RETRY)
    found = []
    for seconds in (0.0, 24 * HOUR, 301.0):
        world.clock.advance(seconds)
        with world.runtime.database.read() as conn:
            found.append(pool_limits.left(conn, pool_limits.PoolLimit(pool=NAME, daily=4), world.clock()))
    assert found == [2, 2, 4]


@pytest.mark.parametrize("status", sorted(Status))
def test_all_that_may_be_charged_counts_for_a_day_after_its_call(make: Make, status: Status) -> None:
    world = make(daily_limit=4, low=4, target=4)
    world.run()
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(status=status, call_deadline=world.clock.moment))

    def left() -> int:
        with world.runtime.database.read() as conn:
            return pool_limits.left(conn, pool_limits.PoolLimit(pool=NAME, daily=4), world.clock())

    free = status in (Status.FAILED, Status.CANCELLED, Status.QUEUED)
    assert left() == (4 if free else 0)
    world.clock.advance(pool_limits.WINDOW.total_seconds())
    moves = status in (Status.DISPATCHED, Status.PURCHASING, Status.PROCESSING, Status.UNKNOWN)
    assert left() == (0 if moves else 4)


def test_what_is_surely_not_bought_takes_nothing_from_the_limit(make: Make) -> None:
    world = make(daily_limit=3, low=3, target=3)
    charged = record(world)
    world.shop().script += [REFUSED, THROTTLED, NOT_SENT]
    for _ in range(3):
        world.run()
        buy(world)
    assert len(charged) == 3


def test_nothing_is_asked_of_the_database_for_pools_without_a_limit(old: Supplied, monkeypatch: Any) -> None:
    old.configure(daily_limit=0)
    monkeypatch.setattr(pool_limits, "left", lambda *_: pytest.fail("counted"))
    monkeypatch.setattr(release_and_sweep.release, "lock_left", lambda *_: pytest.fail("locked"))
    say(old, Verdict.RETRY)
    buy(old)
    assert old.count(Status.QUEUED) == 0


def test_what_a_pool_ordered_that_is_not_configured_any_more_is_bought(make: Make) -> None:
    world = make(daily_limit=10)
    world.run()
    object.__setattr__(world.runtime.config, "pools", {})
    buy(world)
    assert world.count(Status.PURCHASED) == 10


def test_no_release_takes_a_write_lock_for_what_the_limit_holds_back(old: Supplied, monkeypatch: Any) -> None:
    say(old, Verdict.RETRY)
    monkeypatch.setattr(type(old.runtime.database), "write", lambda _: pytest.fail("a write"))
    assert release_and_sweep.release_due(old.runtime, old.runtime.providers["first"]) == 0


@pytest.mark.parametrize("attempt", range(3))
def test_releases_at_two_providers_at_once_keep_to_the_limit(make: Make, attempt: int) -> None:
    world = make(daily_limit=0, low=20, target=20)
    world.shop().offers = world.shop().offers[:10]
    world.run()
    world.run()
    assert {len(world.bought(alias)) for alias in ALIASES} == {10}
    world.configure(daily_limit=10)
    release_at_once(world)
    assert world.count(Status.DISPATCHED) == 10


steps = st.lists(
    st.tuples(
        st.sampled_from([60.0, HOUR, 6 * HOUR, 23.5 * HOUR]),
        st.sampled_from(["run", "run", "run", "pause", "resume", "retry", "fail", "take", "outage"]),
        st.sampled_from(["sells", "sells", "unheard", "fails", "refuses", "throttles"]),
    ),
    min_size=5,
    max_size=25,
)


def live(world: Supplied, does: str, act: str) -> None:
    """What happens in a minute; *act* is what the preferred provider does with its next calls."""
    shop = world.shop()
    acts = {"unheard": shop.charge_unseen, "fails": UNKNOWN, "refuses": REFUSED, "throttles": THROTTLED}
    shop.script.clear()
    shop.script.extend([acts[act]] * 2 if act in acts else [])
    shop.lookup = "none" if does == "outage" else "by_number"
    if does == "pause":
        world.stop_provider()
    elif does == "resume":
        resume(world)
    elif does in ("retry", "fail"):
        say(world, Verdict.RETRY if does == "retry" else Verdict.FAIL, 2)
    elif does == "take":
        empty(world)
    world.run()
    buy(world)


def over_days(
    database: SqlDatabase, keeps: Callable[[SqlDatabase, list[tuple[float, str, str]]], None], examples: int = 12
) -> None:
    """Have *keeps* live through drawn days; fewer of them on PostgreSQL."""
    limited = settings(
        max_examples=examples if database.engine.dialect.name == "sqlite" else 3,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.reuse, Phase.generate],
    )
    limited(given(days=steps)(lambda days: keeps(database, days)))()


def test_in_any_24_hours_no_more_is_charged_than_the_limit(database: SqlDatabase) -> None:
    over_days(database, keeps_to_the_limit)


def keeps_to_the_limit(database: SqlDatabase, days: Any) -> None:
    clear(database)
    world = supplied(database, daily_limit=4, low=5, target=6, count_held=False, max_per_run=3)
    charged = record(world)
    for seconds, does, act in days:
        world.clock.advance(seconds)
        live(world, does, act)
    assert most_in_a_day(charged) <= 4
    # and what was held back is bought, or ended, as the days go by
    resume(world)
    for _ in range(4):
        world.clock.advance(25 * HOUR)
        live(world, "run", "sells")
    assert most_in_a_day(charged) <= 4
    waits = select(func.count().label("n")).where(PURCHASE.c.status.not_in([*DEAD, Status.PURCHASED, Status.HELD]))
    assert world.rows(waits) == [{"n": 0}]
    assert world.supply().available + world.supply().moving >= 5

"""When a run comes, what keeps it from ordering, and what it says of that: in a dry run the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from schemas.requests import BuyNumber
from schemas.status import Status
from schemas.tables.pools import POOL, PoolStatus
from tasks.lifecycle import accept
from tasks.pools import stock
from tasks.replenish import replenish
from tasks.replenish.replenish import NotNow
from tests.tasks.pools.supplying import NAME, Supplied, area, minutes
from tests.waiting import eventually


def test_a_changed_schedule_is_followed(world: Supplied) -> None:
    world.configure(schedule="0 0 1 1 *")
    world.run()
    assert world.pool()["next_run_at"] > world.clock.moment + timedelta(days=1)
    world.configure(schedule="5m")
    assert replenish.run(world.runtime, NAME).missing == 0
    assert (world.pool()["next_run_at"], world.pool()["schedule"]) == (world.clock.moment + minutes(5), "5m")
    with pytest.raises(NotNow, match="not due"):
        replenish.run(world.runtime, NAME)


def test_a_worker_that_starts_with_another_schedule_makes_the_pool_due(world: Supplied) -> None:
    world.run()
    for schedule, due in (("1m", minutes(1)), ("1d", minutes(0))):
        world.configure(schedule=schedule)
        with world.write() as conn:
            stock.ensure_pools(conn, world.runtime.config.pools, world.clock.moment)
        assert world.pool()["next_run_at"] == world.clock.moment + due


def test_who_holds_the_pool_is_told_with_the_end_of_it(world: Supplied) -> None:
    world.run()
    with world.write() as conn:
        until = world.clock.moment + minutes(3)
        conn.execute(update(POOL).values(leased_until=until))
    with pytest.raises(NotNow, match=f"until {until:%H:%M:%S} UTC at most"):
        replenish.run(world.runtime, NAME, by_person=True)


def test_a_run_keeps_its_pool_for_as_long_as_its_search_takes(world: Supplied, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replenish, "LEASE", timedelta(seconds=0.3))
    kept: list[bool] = []

    def slowly() -> None:
        world.clock.advance(3600)
        kept.append(eventually(lambda: world.pool()["leased_until"] > world.clock.moment))
        with pytest.raises(NotNow, match="topped up already"):
            replenish.run(world.runtime, NAME)

    world.shop().happens.append(slowly)
    world.run()
    assert (kept, world.pool()["leased_until"]) == ([True], None)


@pytest.mark.parametrize("deleted", [False, True])
def test_what_waits_at_a_provider_that_was_taken_out_gives_way(world: Supplied, deleted: bool) -> None:
    world.run()
    world.configure(providers=["second"])
    if deleted:
        providers = {"second": world.runtime.providers["second"]}
        world.runtime = replace(world.runtime, providers=providers)
    offers, world.shop("second").offers = world.shop("second").offers, []
    world.run()
    reason = "10 purchases wait at first, which is not among its providers any more"
    assert (world.pool()["status"], world.pool()["reason"]) == (PoolStatus.BLOCKED, reason)
    world.shop("second").offers = offers
    report = world.run()
    assert (report.missing, report.moved, report.ordered, report.status) == (0, 10, 10, PoolStatus.OK)
    assert world.bought() == area(628, 10)
    assert world.runs()[-1]["wanted"] == 10


def test_the_preferred_providers_next_page_comes_before_the_next_provider(world: Supplied) -> None:
    pages = [world.shop().offers[:6], world.shop().offers[6:8], []]
    ordered = []
    for page in pages:
        world.shop().offers = page
        ordered.append(replenish.run(world.runtime, NAME).ordered)
        world.clock.advance(10)
    assert ordered == [6, 2, 2]
    assert world.bought() == [*area(415, 8), *area(628, 2)]


@pytest.mark.parametrize("number", [area(212, 1)[0], area(415, 1)[0]])
def test_a_key_that_somebody_else_used_is_passed_over(world: Supplied, number: str) -> None:
    for tries in (1, 2):
        key = f"pool:{NAME}:3:{tries}"
        accept.accept_one(world.runtime, BuyNumber(number=number, provider="first", idempotency_key=key))
    assert world.run().ordered == 10
    assert [place["tries"] for place in world.places()] == [1, 1, 3, *[1] * 7]


def test_with_a_bad_stock_file_nothing_is_bought_anywhere(world: Supplied, tmp_path: Path) -> None:
    world.configure(stock_file=tmp_path)
    report = world.run()
    assert (report.ordered, report.status, world.shop().searches) == (0, PoolStatus.EXHAUSTED, [])
    assert report.reason == f"stock_file: {tmp_path}: is a directory: have stock_file name a file in it"


def test_rows_that_are_not_of_the_pools_numbers_are_told(world: Supplied, tmp_path: Path) -> None:
    path = tmp_path / "support.csv"
    path.write_text("number,provider\n" + "".join(f"{one},first\n" for one in [*area(415, 2, 500), *area(628, 3)]))
    world.shop().offers = []
    world.configure(stock_file=path, prefix="415", providers=["first"])
    told = "the search finds no more; 3 of its rows in the stock file are not of country US and prefix 415"
    assert world.run().reasons == {"first": told}


def test_how_much_of_the_daily_limit_is_left_is_told(world: Supplied) -> None:
    world.shop().offers = world.shop().offers[:1]
    world.configure(daily_limit=3, providers=["first"])
    world.run()
    reason = world.run().reason
    assert reason is not None
    assert reason.endswith("; daily_limit: 1 of 3 numbers in 24 hours are spent, and 9 were wanted")


def held(world: Supplied) -> Any:
    world.run()
    world.lead(Status.HELD, 6)
    return {"by_person": True, "without_held": True}


def stuck(world: Supplied) -> Any:
    world.run()
    world.stop_provider()


def few(world: Supplied) -> Any:
    world.configure(daily_limit=4)


def none(world: Supplied) -> Any:
    for alias in ("first", "second"):
        world.shop(alias).offers = []


@pytest.mark.parametrize("begin", [held, stuck, few, none])
def test_a_dry_run_says_what_the_run_says(world: Supplied, begin: Callable[[Supplied], Any]) -> None:
    terms = begin(world) or {}
    dry = world.run(**terms, dry_run=True)
    wet = world.run(**terms)
    assert dry == replace(wet, ordered=0, order_id=None)

"""Several runs at once, and runs that are killed: never one number above the target."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update

from schemas.outcomes import Candidate
from schemas.pool_requests import TakeNumber
from schemas.requests import BuyNumber
from schemas.status import Status
from schemas.tables.pools import POOL
from schemas.tables.purchases import ORDER, PURCHASE
from tasks.lifecycle import accept
from tasks.pools import stock
from tasks.pools.requests import take_and_return
from tasks.providers.adapter import SearchQuery
from tasks.replenish import ordering, replenish
from tasks.replenish.replenish import NotNow
from tests.tasks.pools.supplying import NAME, Make, Supplied, area, supplied
from tests.tasks.support import Killed, World, die
from tests.waiting import PATIENCE
from workers.database.connections import SqlDatabase


@pytest.mark.parametrize("by_person", [False, True])
def test_another_run_waits_for_the_one_that_searches(world: Supplied, by_person: bool) -> None:
    def another() -> None:
        with pytest.raises(NotNow, match="topped up already"):
            replenish.run(world.runtime, NAME, by_person=by_person)

    world.shop().happens.append(another)
    assert world.run().ordered == 10
    assert len(world.shop().searches) == 1


def test_two_runs_past_their_lease_order_once(world: Supplied) -> None:
    def another() -> None:
        world.clock.advance(3600)
        assert replenish.run(world.runtime, NAME).ordered == 10

    world.shop().happens.append(another)
    assert world.run().ordered == 0
    assert (world.level(), len(world.places()), len(world.rows(select(ORDER)))) == (10, 10, 1)


@pytest.mark.parametrize("point", ["leased", "searched", "ordering"])
def test_a_killed_run_is_made_up_once(world: Supplied, point: str) -> None:
    world.points[point] = die
    with pytest.raises(Killed):
        world.run()
    assert (world.places(), world.rows(select(PURCHASE)), world.rows(select(ORDER))) == ([], [], [])
    with pytest.raises(NotNow, match="topped up already"):
        replenish.run(world.runtime, NAME)
    world.clock.moment = world.pool()["leased_until"]
    assert replenish.run(world.runtime, NAME).ordered == 10
    with pytest.raises(NotNow):
        replenish.run(world.runtime, NAME)
    assert world.level() == 10


def at_once(action: Callable[[], object], count: int) -> None:
    threads = [threading.Thread(target=action) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)


def test_of_two_messages_at_once_one_gets_the_lease(world: Supplied, monkeypatch: pytest.MonkeyPatch) -> None:
    world.configure(schedule="1d")
    barrier = threading.Barrier(2)
    find_pool = stock.find_pool
    answers: list[object] = []

    def found_due(*args: Any) -> Any:
        state = find_pool(*args)
        barrier.wait(PATIENCE)
        return state

    def one() -> None:
        try:
            answers.append(replenish.run(world.runtime, NAME).ordered)
        except NotNow:
            answers.append("not now")

    monkeypatch.setattr(stock, "find_pool", found_due)
    at_once(one, 2)
    assert sorted(answers, key=str) == [10, "not now"]
    assert len(world.shop().searches) == 1


def test_many_runs_at_once_never_pass_the_target(world: Supplied, monkeypatch: pytest.MonkeyPatch) -> None:
    # without leases, all of them counted before the first has ordered, and each found other numbers
    barrier = threading.Barrier(6)
    turns = iter(range(6))

    def search(_query: SearchQuery) -> list[Candidate]:
        mine = 10 * next(turns)
        barrier.wait(PATIENCE)
        return [Candidate(number=one) for one in area(415, 10, mine)]

    def reached(point: str) -> None:
        if point == "leased":
            with world.write() as conn:
                conn.execute(update(POOL).values(leased_until=None, next_run_at=world.clock.moment))

    monkeypatch.setattr(world.shop(), "search", search)
    world.runtime = replace(world.runtime, reached=reached)
    ordered: list[int] = []

    def one() -> None:
        # with connections and locks of its own, as a process has them
        database = SqlDatabase(world.runtime.database.engine.url.render_as_string(hide_password=False))  # type: ignore[attr-defined]
        runtime = replace(world.runtime, database=database)
        with closing(database):
            while True:
                with suppress(NotNow):
                    ordered.append(replenish.run(runtime, NAME).ordered)
                    return

    at_once(one, 6)
    assert sorted(ordered) == [0, 0, 0, 0, 0, 10]
    assert (world.level(), len(world.bought())) == (10, 10)


@pytest.fixture
def on_postgresql(postgres: World) -> SqlDatabase:
    """For what comes between two statements of a transaction: nobody can write there on SQLite."""
    database = postgres.runtime.database
    assert isinstance(database, SqlDatabase)
    return database


def before_the_insert(world: Supplied, monkeypatch: pytest.MonkeyPatch, asked: BuyNumber) -> list[Any]:
    """Have *asked* accepted between a run's first count and its insert. Returns the tries to insert, as they come."""
    accept_lines = ordering.accept_lines
    tries: list[Any] = []

    def meanwhile(*args: Any) -> Any:
        tries.append(args)
        if len(tries) == 1:
            accept.accept_one(world.runtime, asked)
        return accept_lines(*args)

    monkeypatch.setattr(ordering, "accept_lines", meanwhile)
    return tries


def test_what_is_accepted_at_the_same_instant_is_not_the_pools(
    on_postgresql: SqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = supplied(on_postgresql)
    tries = before_the_insert(world, monkeypatch, BuyNumber(number=area(415, 1)[0], provider="first"))
    report = world.run()
    assert len(tries) == 2
    assert [offer.number for offer in report.candidates] == area(415, 10, 1)
    assert len(world.rows(select(ORDER))) == 1
    assert world.level() == 10


def test_two_pools_never_have_one_number(on_postgresql: SqlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    # between the look at the other pool's numbers and the order
    world = supplied(on_postgresql, low=10)
    ours = world.runtime.config.pools[NAME]
    pools = {
        NAME: ours.model_copy(update={"providers": ("first",)}),
        "other": ours.model_copy(update={"providers": ("second",)}),
    }
    world.runtime = replace(world.runtime, config=world.runtime.config.model_copy(update={"pools": pools}))
    # one number, for sale at two accounts
    world.shop("second").offers = list(world.shop().offers)
    fill, barrier, first_two = stock.fill, threading.Barrier(2), iter(range(2))

    def together(*args: Any) -> None:
        if next(first_two, None) is not None:
            barrier.wait(PATIENCE)
        fill(*args)

    monkeypatch.setattr(stock, "fill", together)
    names = iter(pools)
    ordered: list[int] = []
    at_once(lambda: ordered.append(replenish.run(world.runtime, next(names)).ordered), 2)
    numbers = [place["number"] for place in world.places()]
    assert ordered == [10, 10]
    assert sorted(numbers) == area(415, 20)
    assert len(world.rows(select(ORDER))) == 2


def test_a_key_that_somebody_uses_at_the_same_instant_is_passed_over(
    on_postgresql: SqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = supplied(on_postgresql)
    foreign = BuyNumber(number=area(212, 1)[0], provider="first", idempotency_key="pool:support:1:1")
    before_the_insert(world, monkeypatch, foreign)
    assert world.run().ordered == 10
    assert [place["tries"] for place in world.places()] == [2] + [1] * 9


def test_a_long_life_never_passes_the_target(make: Make, seed: int) -> None:
    rng = random.Random(seed)
    world = make(low=4, target=8, max_per_run=5)
    world.shop().offers += [Candidate(number=one) for one in area(415, 900, 100)]
    for n in range(40):
        world.clock.advance(rng.choice([1, 70, 4000]))
        status = rng.choice([Status.PURCHASED, Status.FAILED, Status.HELD, Status.CANCELLED, Status.UNKNOWN])
        world.lead(status, rng.randrange(4))
        if rng.random() < 0.5:
            world.settle_all()
        take_and_return.take(world.runtime, TakeNumber(pool=NAME, count=rng.randrange(1, 4)), f"m{n}")
        before = world.level()
        point = rng.choice(["leased", "searched", "ordering", "none"])
        world.points[point] = die
        try:
            report = replenish.run(world.runtime, NAME, by_person=rng.random() < 0.5)
        except (NotNow, Killed):
            assert world.level() == before
        else:
            assert world.level() == before + report.ordered <= max(8, before), report
        world.points.clear()

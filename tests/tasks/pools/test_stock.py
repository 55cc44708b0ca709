"""The places of a pool: how supply moves them, in whatever order workers come."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, select

from schemas.config.pools import PoolConfig
from schemas.pool_requests import TakeNumber
from schemas.settling import FindingKind
from schemas.status import Status
from schemas.tables.pools import POOL_NUMBER, Slot
from schemas.tables.purchases import KEY, LINE, PURCHASE
from tasks.audit import compare
from tasks.ledger.queue import pool_limits
from tasks.ledger.resolve import Settler
from tasks.ledger.rows import Row
from tasks.pools import counting, reserved, stock
from tasks.pools.requests import take_and_return
from tasks.replenish import replenish
from tasks.supply import offers
from tasks.supply.budgets import budgets
from tests.tasks.beside import beside
from tests.tasks.clock import START
from tests.tasks.ledger.audit.test_findings import about
from tests.tasks.ledger.test_plans import plans
from tests.tasks.pools.supplying import NAME, Supplied, area, minutes, supplied
from tests.tasks.support import World
from tests.waiting import PATIENCE
from workers.database.connections import SqlDatabase


@pytest.fixture
def world(database: SqlDatabase) -> Supplied:
    return supplied(database, low=10)


def test_settling_makes_places_available_or_wanted(world: Supplied) -> None:
    world.run()
    [bought] = world.lead(Status.PURCHASED, 1, provider_number_id="id-7")
    [failed] = world.lead(Status.FAILED, 1)
    world.clock.advance(5)
    assert (world.settle_all(), world.settle_all()) == (2, 0)
    first, second = world.places()[:2]
    assert (first["status"], first["purchase_id"], first["provider_number_id"]) == (Slot.AVAILABLE, bought, "id-7")
    assert first["available_at"] == world.clock.moment
    assert (second["status"], second["purchase_id"]) == (Slot.WANTED, None)
    assert failed
    assert world.pool()["next_run_at"] == world.clock.moment


def test_what_is_counted_as_available_can_be_taken_before_anybody_settled_it(world: Supplied) -> None:
    world.run()
    [bought] = world.lead(Status.PURCHASED, 1)
    with world.runtime.database.read() as conn:
        assert counting.levels(conn, NAME, world.clock()).available == 1
    answer = take_and_return.take(world.runtime, TakeNumber(pool=NAME, taker="shop"), "m1")
    assert (answer["success"], [place["purchase_id"] for place in world.places(Slot.TAKEN)]) == (True, [bought])
    refused = take_and_return.take(world.runtime, TakeNumber(pool=NAME, taker="shop"), "m2")
    assert refused["error_code"] == "pool_empty"


def test_a_take_of_many_settles_them_all(world: Supplied, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "CHUNK", 3)
    monkeypatch.setattr(take_and_return, "CHUNK", 3)
    world.run()
    world.lead(Status.PURCHASED, 8)
    answer = take_and_return.take(world.runtime, TakeNumber(pool=NAME, taker="shop", count=8), "m1")
    assert (answer["success"], len(answer["numbers"])) == (True, 8)


def test_a_take_waits_for_whoever_settles_what_it_wants(postgres: World) -> None:
    world = supplied(postgres.runtime.database, low=10)
    world.run()
    world.lead(Status.PURCHASED, 1)
    answers: list[Row] = []
    request = TakeNumber(pool=NAME, taker="shop")
    with beside(world, lambda: answers.append(take_and_return.take(world.runtime, request, "m1"))) as conn:
        assert stock.settle(conn, world.clock()) == 1
    assert [answer["success"] for answer in answers] == [True]


def test_only_one_pool_is_settled_where_it_is_named(world: Supplied) -> None:
    world.run()
    world.lead(Status.PURCHASED)
    with world.write() as conn:
        assert stock.settle(conn, world.clock(), "other") == 0
        assert stock.settle(conn, world.clock(), NAME) == 10


def test_what_is_bought_makes_no_pool_due(world: Supplied) -> None:
    world.run()
    world.lead(Status.PURCHASED)
    world.settle_all()
    assert world.pool()["next_run_at"] == world.clock.moment + minutes(1)


def test_the_timer_settles_by_chunks(world: Supplied, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "CHUNK", 4)
    assert stock.settle_due(world.runtime) is False
    world.run()
    world.lead(Status.PURCHASED)
    assert [stock.settle_due(world.runtime) for _ in range(4)] == [True, True, False, False]
    assert len(world.places(Slot.AVAILABLE)) == 10


def test_many_workers_settle_each_place_once(world: Supplied) -> None:
    world.configure(low=60, target=60)
    world.run()
    world.lead(Status.PURCHASED, 30)
    world.lead(Status.FAILED)
    barrier = threading.Barrier(5)
    counts: list[int] = []

    def one() -> None:
        barrier.wait(PATIENCE)
        counts.append(world.settle_all())

    threads = [threading.Thread(target=one) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    # what another has locked is left to it
    assert sum(counts) == 60
    assert (len(world.places(Slot.AVAILABLE)), len(world.places(Slot.WANTED))) == (30, 30)


@pytest.mark.parametrize("taken", [False, True])
def test_a_released_number_is_gone(world: Supplied, taken: bool) -> None:
    world.run()
    ids = world.lead(Status.PURCHASED)
    world.settle_all()
    if taken:
        take_and_return.take(world.runtime, TakeNumber(pool=NAME, count=10), "m")
    with world.write() as conn:
        stock.gone(conn, ids[0], world.clock())
    assert [place["purchase_id"] for place in world.places(Slot.GONE)] == [ids[0]]
    assert world.level() == (0 if taken else 9)


def test_what_an_audit_finds_to_be_lost_leaves_its_pool(world: Supplied) -> None:
    world.run()
    world.lead(Status.PURCHASED)
    world.settle_all()
    lost = world.rows(select(PURCHASE).order_by(PURCHASE.c.number))[0]
    shows_by = world.clock.moment + minutes(1)
    with world.write() as conn:
        settler = Settler(by="ann", now=shows_by)
        assert len(compare.release(conn, [about(lost, FindingKind.MISSING)], settler, shows_by)) == 1
    assert [place["number"] for place in world.places(Slot.GONE)] == [lost["number"]]
    # a place of its own is ordered for it, and the number that is lost is not bought again
    assert [offer.number for offer in world.run().candidates] == area(415, 1, 10)


def test_a_number_that_is_released_before_it_was_settled_is_never_available(world: Supplied) -> None:
    world.run()
    ids = world.lead(Status.RELEASED, 2)
    with world.write() as conn:
        stock.gone(conn, ids[0], world.clock())
    world.settle_all()
    assert [place["status"] for place in world.places()[:2]] == [Slot.GONE, Slot.WANTED]


def test_places_are_made_kept_and_forgotten(world: Supplied) -> None:
    def make(count: int) -> list[int]:
        with world.write() as conn:
            stock.lock_pool(conn, NAME, world.runtime.config.pools[NAME], START)
            return [place["slot"] for place in stock.make_places(conn, NAME, count, START)]

    assert (make(3), make(3), make(1), make(3)) == ([1, 2, 3], [1, 2, 3], [1], [1, 4, 5])
    assert make(0) == []
    assert (world.places(), world.pool()["next_slot"]) == ([], 6)


ROWS = 8000
COMING = (Status.QUEUED, Status.PURCHASED, Status.FAILED, Status.HELD)


def _place(n: int) -> dict[str, Any]:
    """Much that is taken, and a little of all else."""
    status = Slot.AVAILABLE if n % 100 == 5 else Slot.TAKEN
    if n % 400 < 2:
        status = Slot.ORDERED if n % 2 else Slot.WANTED
    return {
        "pool": NAME,
        "slot": n,
        "status": status,
        "tries": 1,
        "number": f"+1415{n:07d}",
        "provider": "first",
        "purchase_id": None if status == Slot.WANTED else f"00000000-0000-7000-8000-{n:012d}",
        "ordered_at": START - timedelta(minutes=n),
        "available_at": START,
        "updated_at": START,
    }


def _purchase(place: dict[str, Any]) -> dict[str, Any]:
    bought = Status.PURCHASED if place["status"] != Slot.ORDERED else COMING[place["slot"] // 400 % 4]
    flags = ("attempts", "revision", "looks", "look_failures")
    return {
        "id": place["purchase_id"],
        "number": place["number"],
        "provider": "first",
        "account": "first-account",
        "status": bought,
        "options": {},
        "metadata": {},
        "created_at": START,
        "updated_at": START,
        "already_owned": False,
        "doubt": False,
        "tried_seconds": 0.0,
        "pool": NAME,
        **dict.fromkeys(flags, 0),
    }


def _line(line: int, row: dict[str, Any]) -> dict[str, Any]:
    same = {name: row[name] for name in ("number", "provider")}
    return {"order_id": "00000000-0000-7000-8000-999999999999", "line": line, "purchase_id": row["id"], **same}


def _key(row: dict[str, Any]) -> dict[str, Any]:
    return {"idempotency_key": row["number"], "fingerprint": "", "purchase_id": row["id"], "created_at": START}


def _fill(conn: Connection, count: int) -> None:
    places = [_place(n) for n in range(count)]
    conn.execute(insert(POOL_NUMBER), places)
    purchases = [_purchase(place) for place in places if place["purchase_id"]]
    conn.execute(insert(PURCHASE), purchases)
    conn.execute(insert(LINE), [_line(n, row) for n, row in enumerate(purchases)])
    conn.execute(insert(KEY), [_key(row) for row in purchases])
    pool = PoolConfig(providers=("first",), low=1, target=1, daily_limit=0)
    stock.ensure_pools(conn, {NAME: pool}, START)


@pytest.fixture(scope="module")
def filled(file_url: str) -> Iterator[Supplied]:
    """A world with thousands of numbers in a pool, of each kind in turn."""
    database = SqlDatabase(file_url)
    with database.write() as conn:
        _fill(conn, ROWS)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("ANALYZE")
    yield supplied(database)
    database.close()


def _budgets(world: Supplied, conn: Connection) -> None:
    first = world.runtime.providers["first"]
    policy = first.policy.model_copy(update={"daily_limit": 1000})
    runtime = replace(world.runtime, providers={"first": replace(first, policy=policy)})
    budgets(conn, runtime, ["first"])


QUESTIONS: dict[str, tuple[str, Callable[[Supplied, Connection], Any]]] = {
    "anything to settle": ("pool_number_ordered", lambda w, c: stock.any_ended(c)),
    "anything of a pool to settle": ("pool_number_ordered", lambda w, c: stock.any_ended(c, NAME)),
    "settle": ("pool_number_ordered", lambda w, c: stock.settle(c, START, NAME)),
    "supply": ("pool_number_ordered(.|\n)*pool_number_available", lambda w, c: counting.supply(c, NAME, 1000)),
    "wanted": ("pool_number_wanted", lambda w, c: stock.make_places(c, NAME, 20, START)),
    "spoken for": ("purchase_by_pool", lambda w, c: pool_limits.spoken_for(c, NAME, START)),
    "left": (
        "purchase_by_pool",
        lambda w, c: pool_limits.lock_left(c, pool_limits.PoolLimit(pool=NAME, daily=9), START),
    ),
    "waiting": ("pool_number_ordered|purchase_queued", lambda w, c: stock.waiting(c, NAME, ["first"], lock=True)),
    "in pools": ("pool_number_live", lambda w, c: stock.in_pools(c, area(415, 100))),
    "reserved": (
        "pool_number_live",
        lambda w, c: reserved.pools_of(c, [("first-account", number) for number in area(415, 10)]),
    ),
    "budgets": ("purchase_queued|pool_number_ordered", _budgets),
    "gone": ("pool_number_by_purchase", lambda w, c: stock.gone(c, _place(2)["purchase_id"], START)),
    "candidates": (
        "purchase_by_number",
        lambda w, c: offers._used(c, w.runtime, "first", area(415, 100)),
    ),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_finds_its_index(filled: Supplied, name: str) -> None:
    index, ask = QUESTIONS[name]
    told = plans(filled, lambda conn: ask(filled, conn))
    assert re.search(index, told), told
    tables = "(pool_number|purchase|purchase_order_line|purchase_key)"
    assert not re.search(rf"SCAN {tables}\b(?! USING)|Seq Scan on {tables}\b", told), told


def test_a_run_that_needs_nothing_reads_little_in_a_pool_of_many(world: Supplied) -> None:
    with world.write() as conn:
        conn.execute(insert(POOL_NUMBER), [{**_place(n), "status": Slot.AVAILABLE} for n in range(20_000)])
    world.run()
    world.clock.advance(60)
    with reads(world) as read:
        assert replenish.run(world.runtime, NAME).missing == 0
    assert world.shop().searches == []
    assert read["statements"] <= 30
    assert read["rows"] <= 50
    assert read["steps"] <= 20_000, "one for each place, or more"


@contextmanager
def reads(world: Supplied) -> Iterator[Counter[str]]:
    """Counts statements, rows that PostgreSQL gives, and steps of SQLite's machine."""
    counted: Counter[str] = Counter()

    def before(_conn: Any, cursor: Any, *_: Any) -> None:
        counted["statements"] += 1
        if isinstance(cursor, sqlite3.Cursor):
            cursor.connection.set_progress_handler(lambda: counted.update(steps=100), 100)

    def after(_conn: Any, cursor: Any, *_: Any) -> None:
        counted["rows"] += max(0, cursor.rowcount)

    engine = world.runtime.database.engine  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    yield counted
    event.remove(engine, "before_cursor_execute", before)
    event.remove(engine, "after_cursor_execute", after)


def test_nothing_moves_what_is_not_on_its_way(world: Supplied) -> None:
    world.run()
    world.lead(Status.PURCHASED)
    world.settle_all()
    with world.write() as conn:
        stock.vacate(conn, [place["purchase_id"] for place in world.places()], START)
    assert len(world.places(Slot.AVAILABLE)) == 10

"""Many take and give back at once: threads, and processes that share no transaction."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, select, text

from schemas.pool_requests import ReturnNumber, TakeNumber
from schemas.tables.pools import POOL_NUMBER
from schemas.tables.purchases import EVENT
from tasks.ledger.rows import Row
from tasks.pools.requests import take_and_return
from tasks.telemetry.traceparent import within
from tests import forked
from tests.tasks.pools.stocking import FIRST, POOL, SECOND, fill, give_back, numbers, take
from tests.tasks.support import World, make_world
from tests.waiting import PATIENCE, eventually
from workers.database.connections import SqlDatabase


def url_of(world: World) -> str:
    return str(world.runtime.database.engine.url.render_as_string(hide_password=False))  # type: ignore[attr-defined]


@contextmanager
def others(world: World, count: int) -> Iterator[list[World]]:
    """The same database, as from as many other processes: none shares its transactions with another."""
    databases = [SqlDatabase(url_of(world)) for _ in range(count)]
    yield [make_world(database) for database in databases]
    for database in databases:
        database.close()


def at_once(*actions: Callable[[], Row]) -> list[Row]:
    """Their answers; all begin at the same moment."""
    barrier = threading.Barrier(len(actions))

    def run(action: Callable[[], Row]) -> Row:
        barrier.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as executor:
        return list(executor.map(run, actions))


def test_fifty_at_once_get_fifty_numbers(world: World) -> None:
    fill(world, 60)
    answers = at_once(*[lambda n=n: take(world, f"m{n}") for n in range(50)])
    assert len({number for one in answers for number in numbers(one)}) == 50
    left = world.rows(select(POOL_NUMBER).where(POOL_NUMBER.c.status == "available"))
    # None was skipped.
    assert sorted(row["slot"] for row in left) == list(range(51, 61))


def test_each_is_told_in_its_callers_trace(world: World) -> None:
    """One thread writes for all that wait."""
    fill(world, 30)
    traces = {f"m{n}": f"00-{n + 1:032x}-00f067aa0ba902b7-01" for n in range(30)}

    def traced(name: str) -> Row:
        with within(traces[name]):
            return take(world, name)

    at_once(*[lambda name=name: traced(name) for name in traces])
    told = world.rows(select(EVENT).where(EVENT.c.type == "dialstock.pool.taken"))
    assert {row["data"]["request_id"]: row["traceparent"] for row in told} == traces


def test_the_last_numbers_go_to_several_processes_once_each_and_the_others_hear_it(world: World) -> None:
    fill(world, 30)
    with others(world, 3) as worlds:
        answers = at_once(*[lambda n=n: take(worlds[n % 3], f"m{n}") for n in range(48)])
    got = Counter(number for one in answers for number in numbers(one))
    assert (len(got), set(got.values())) == (30, {1})
    assert Counter(one["error_code"] for one in answers) == {None: 30, "pool_empty": 18}


def test_whoever_asks_for_one_is_refused_only_where_none_is_left(world: World) -> None:
    fill(world, 25)
    with others(world, 3) as worlds:
        answers = at_once(*[lambda n=n: take(worlds[n % 3], f"m{n}", count=1 + n % 2 * 2) for n in range(60)])
    got = Counter(number for one in answers for number in numbers(one))
    assert (len(got), set(got.values())) == (25, {1})


def test_the_same_takes_at_several_processes_are_done_once(world: World) -> None:
    fill(world, 12)
    with others(world, 3) as worlds:
        answers = at_once(*[lambda w=w, n=n: take(w, f"m{n}") for w in worlds for n in range(12)])
    assert all(one["success"] for one in answers)
    assert len({(one["request_id"], *numbers(one)) for one in answers}) == 12
    assert Counter(one["repeat"] for one in answers) == {False: 12, True: 24}


def test_the_same_returns_at_several_processes_are_done_once(world: World) -> None:
    fill(world, 8)
    taken = numbers(take(world, count=8))
    with others(world, 3) as worlds:
        answers = at_once(*[lambda w=w, n=n: give_back(w, f"r{n}", taken[n]) for w in worlds for n in range(8)])
    assert all(one["success"] for one in answers)
    assert Counter(one["repeat"] for one in answers) == {False: 8, True: 16}


def test_two_processes_of_many_threads_get_each_number_once(world: World) -> None:
    fill(world, 70)
    with ExitStack() as stack:
        processes = [stack.enter_context(taker(world, name)) for name in ("a", "b")]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        answers = [one for process in processes for one in json.loads(process.communicate(timeout=PATIENCE)[0])]
    got = Counter(answers)
    assert got.pop("pool_empty") == 10
    assert (len(got), set(got.values())) == (70, {1})


def test_the_same_refused_takes_at_several_processes_are_answered_once_for_all(world: World) -> None:
    fill(world, 12)
    with others(world, 3) as worlds:
        answers = at_once(*[lambda w=w, n=n: take(w, f"m{n}", count=1 + n % 2) for w in worlds for n in range(18)])
    told: dict[str, set[tuple[str, ...]]] = {}
    for one in answers:
        told.setdefault(one["request_id"], set()).add((str(one["error_code"]), *numbers(one)))
    assert {len(answers) for answers in told.values()} == {1}
    assert Counter(one["repeat"] for one in answers) == {False: 18, True: 36}


@contextmanager
def taker(world: World, name: str) -> Iterator[subprocess.Popen[str]]:
    """A process that takes 40 numbers with 20 threads, once it is told to."""
    command = [sys.executable, "-m", "tests.tasks.pools.requests.taker", url_of(world), POOL, "20", "40", name]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with forked.start(command, env=os.environ, text=True, **pipes) as process:
        yield process


@pytest.fixture
def beside() -> Iterator[Callable[..., Future[Any]]]:
    """Runs something in a thread."""
    with ThreadPoolExecutor(4) as executor:
        yield executor.submit


@contextmanager
def unfinished(world: World) -> Iterator[Connection]:
    """A transaction that may stand still for as long as the test takes."""
    with world.write() as conn:
        conn.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        yield conn


def wait_until_one_waits(world: World) -> None:
    query = text("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")

    def waits() -> bool:
        with world.runtime.database.read() as conn:
            return conn.execute(query).first() is not None

    eventually(waits, what="a transaction waits for another")


def test_a_taker_does_not_wait_for_the_numbers_of_another(postgres: World, beside: Callable[..., Future[Row]]) -> None:
    fill(postgres, 2)
    with unfinished(postgres) as conn:
        take_and_return._take_free(conn, TakeNumber(pool=POOL, request_id="m1"), postgres.clock())
        assert numbers(beside(take, postgres, "m2").result(PATIENCE)) == [SECOND]


@pytest.mark.parametrize("commits", [True, False])
def test_the_last_number_in_the_hands_of_another_is_waited_for(
    postgres: World, beside: Callable[..., Future[Row]], commits: bool
) -> None:
    fill(postgres, 1)
    with unfinished(postgres) as conn:
        take_and_return._take_free(conn, TakeNumber(pool=POOL, request_id="m1"), postgres.clock())
        waiting = beside(take, postgres, "m2")
        wait_until_one_waits(postgres)
        if not commits:
            conn.rollback()
    answer = waiting.result(PATIENCE)
    assert (answer["error_code"], numbers(answer)) == (("pool_empty", []) if commits else (None, [FIRST]))


def test_a_take_that_is_being_refused_takes_nothing_when_it_comes_again_meanwhile(
    postgres: World, beside: Callable[..., Future[Row]]
) -> None:
    with unfinished(postgres) as conn:
        first = take_and_return._take_free(conn, TakeNumber(pool=POOL, request_id="m"), postgres.clock())
        fill(postgres, 1)
        waiting = beside(take, postgres, "m")
        wait_until_one_waits(postgres)
    assert first is not None
    assert waiting.result(PATIENCE) == {**first, "repeat": True}
    assert [row["status"] for row in postgres.rows(select(POOL_NUMBER))] == ["available"]


@pytest.mark.parametrize("commits", [True, False])
def test_a_take_that_comes_again_gets_its_own_while_another_has_the_last_number_in_its_hands(
    postgres: World, beside: Callable[..., Future[Row]], commits: bool
) -> None:
    fill(postgres, 2)
    first = take(postgres, "m1")
    with unfinished(postgres) as conn:
        take_and_return._take_free(conn, TakeNumber(pool=POOL, request_id="m2"), postgres.clock())
        waiting = beside(take, postgres, "m1")
        wait_until_one_waits(postgres)
        if not commits:
            conn.rollback()
    assert waiting.result(PATIENCE) == {**first, "repeat": True}
    left = [row["number"] for row in postgres.rows(select(POOL_NUMBER)) if row["status"] == "available"]
    assert left == ([] if commits else [SECOND])


@pytest.mark.parametrize("stock", [1, 2])
def test_a_take_that_comes_again_while_the_first_is_not_over_waits_for_its_answer(
    postgres: World, beside: Callable[..., Future[Row]], stock: int
) -> None:
    fill(postgres, stock)
    with unfinished(postgres) as conn:
        first = take_and_return._take_free(conn, TakeNumber(pool=POOL, request_id="m"), postgres.clock())
        waiting = beside(take, postgres, "m")
        wait_until_one_waits(postgres)
    assert first is not None
    assert waiting.result(PATIENCE) == {**first, "repeat": True}


def test_a_return_that_comes_again_while_the_first_is_not_over_waits_for_its_answer(
    postgres: World, beside: Callable[..., Future[Row]]
) -> None:
    fill(postgres, 1)
    take(postgres)
    with unfinished(postgres) as conn:
        again = ReturnNumber(pool=POOL, number=FIRST, request_id="r")
        first = take_and_return._give_back(conn, again, postgres.clock())
        waiting = beside(give_back, postgres, "r")
        wait_until_one_waits(postgres)
    assert first is not None
    assert waiting.result(PATIENCE) == {**first, "repeat": True}

"""Several writers at once: who waits for a lock, who is let go and when, and worlds in which that happens."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.waiting import Ready, Wait
from sqlalchemy import insert, select, update
from sqlalchemy.exc import DBAPIError

from schemas.tables.pools import POOL
from schemas.tables.purchases import PURCHASE
from tasks.transactions import met_another
from tests.simulation import world
from tests.simulation.another_process import trace_of
from tests.simulation.mutants.writers import MUTANTS_OF_WRITERS, purchases_unlocked
from tests.simulation.report import parting, story
from tests.simulation.scheduler.clockwork import Clockwork, Process
from tests.simulation.servers.postgres import Cluster
from tests.simulation.servers.writers import DEADLOCK, WAITS
from tests.simulation.stage import Stage
from tests.simulation.world import SEVERAL

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FRESH = {"status": "ok", "since": NOW, "next_run_at": NOW, "updated_at": NOW, "schedule": "10s"}
WHO_WAITS = 23
"""A world in which somebody waits for a lock."""
ACTED_ON_WHAT_WAS = 9
"""A world in which who reads a purchase, and does not lock it, acts on what has changed since."""


@pytest.fixture(scope="module")
def cluster(_postgres_package: Path) -> Cluster:
    return Cluster(_postgres_package)


@pytest.fixture(scope="module")
def stage(_redis_program: str, cluster: Cluster) -> Iterator[Stage]:
    with Stage(_redis_program, cluster) as found:
        yield found


class Play:
    """Actors with a transaction each, on one database with the pools a and b."""

    def __init__(self, cluster: Cluster) -> None:
        cluster.begin()
        self.clockwork, self.cluster = Clockwork(1), cluster
        self.clockwork.switching = 1.0
        cluster.share(self.clockwork)
        self.engine = cluster.engine(0)
        with self.engine.begin() as conn:
            conn.execute(insert(POOL), [{"name": name, "next_slot": 0, **FRESH} for name in "ab"])

    def adds(self, name: str, pools: str, then: Callable[[], None] = lambda: None) -> Process:
        """Adds one to the next slot of each of the *pools*, in one transaction; does *then* before it is committed."""
        process = Process(name)

        def body() -> None:
            me = self.clockwork.me
            assert me is not None
            me.inside, me.busy = "adding", 1
            try:
                self._add(pools, then)
            except DBAPIError as exc:
                self.clockwork.note("met another" if met_another(exc) else repr(exc.orig))

        self.clockwork.spawn(name, process, body)
        return process

    def _add(self, pools: str, then: Callable[[], None]) -> None:
        with self.engine.begin() as conn:
            for pool in pools:
                conn.execute(update(POOL).where(POOL.c.name == pool).values(next_slot=POOL.c.next_slot + 1))
                self.sleeps()
            then()

    def sleeps(self, microseconds: int = 1) -> None:
        self.clockwork._pause(self.clockwork.now + microseconds)

    def run(self) -> list[str]:
        """What happened; nobody is left when the last has ended."""
        self.clockwork.spawn("end", Process("end"), self._end)
        self.clockwork.run()
        return [f"{who}: {what}" for _, who, what in self.clockwork.trace]

    def _end(self) -> None:
        self.clockwork.sleep(1.0)
        self.clockwork.stop()

    def locks(self) -> bool:
        """Whether who reads a purchase to change it takes a lock that others wait for."""
        with self.engine.begin() as conn:
            conn.execute(select(PURCHASE).with_for_update()).all()
            held = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND mode = 'RowShareLock'"
            return conn.exec_driver_sql(held).scalar_one() > 0

    def slots(self) -> list[int]:
        with self.engine.connect() as conn:
            return list(conn.execute(select(POOL.c.next_slot).order_by(POOL.c.name)).scalars())


def test_who_waits_for_a_lock_goes_on_when_it_is_free(cluster: Cluster) -> None:
    play = Play(cluster)
    for name in ("one", "two", "three"):
        play.adds(name, "aa")
    told = play.run()
    assert play.slots() == [6, 0]
    assert any(WAITS in one and "'s adding" in one for one in told)
    assert cluster.met[WAITS] >= 2
    assert not cluster.met[DEADLOCK]


def test_who_closes_a_circle_is_told_of_a_deadlock_as_postgresql_tells_it(cluster: Cluster) -> None:
    play = Play(cluster)
    play.adds("one", "ab")
    play.adds("two", "ba")
    told = play.run()
    assert cluster.met[DEADLOCK] == 1
    assert [one for one in told if one.endswith(": met another")]
    assert play.slots() == [1, 1]


def test_who_is_killed_while_it_waits_leaves_no_lock(cluster: Cluster) -> None:
    play = Play(cluster)
    victim: list[Process] = []

    def kill() -> None:
        play.sleeps()
        play.clockwork.kill(victim[0])
        play.sleeps()

    play.adds("one", "a", kill)
    victim.append(play.adds("two", "ba"))
    play.adds("three", "b")
    play.run()
    assert victim[0].gone
    assert play.slots() == [1, 1]


def test_who_waits_on_a_server_that_is_replaced_loses_its_connection(cluster: Cluster) -> None:
    play = Play(cluster)
    cluster.copy()

    def replaced() -> None:
        play.clockwork.sleep(0.1)
        cluster.restore()

    for name in ("one", "two"):
        play.adds(name, "a", lambda: play.sleeps(500_000))
    play.clockwork.spawn("weather", Process("weather"), replaced)
    told = play.run()
    assert cluster.met[WAITS] == 1
    assert sum("AdminShutdown" in one for one in told) == 2
    assert play.slots() == [0, 0]


def test_the_driver_begins_nothing_on_a_connection_that_is_lost(cluster: Cluster) -> None:
    play, began = Play(cluster), list[bool]()

    def begins() -> Generator[Wait, Ready, None]:
        began.append(True)
        yield Wait.R

    with play.engine.connect() as conn:
        driver: Any = conn.connection.dbapi_connection
        cluster._admin.execute("SELECT pg_terminate_backend(%s, 5000)", [driver.number])
        with pytest.raises(DBAPIError):
            conn.exec_driver_sql("SELECT 1")
        with pytest.raises(psycopg.OperationalError):
            driver.wait(begins())
        conn.invalidate()
    assert not began


def test_a_shared_world_keeps_its_promises_and_is_one_run_byte_for_byte(stage: Stage) -> None:
    first = stage.live(WHO_WAITS)
    assert first.broken is None, story(first)
    assert first.faults[WAITS]
    stage.live(2, frozenset({SEVERAL}))
    assert parting(first.trace, stage.live(WHO_WAITS).trace) is None
    assert parting(first.trace, trace_of(WHO_WAITS, postgresql=True)) is None


@pytest.fixture
def all_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "SHARED", 1.0)


def test_what_is_not_locked_is_seen_where_several_write(stage: Stage, all_shared: None) -> None:
    with purchases_unlocked():
        assert stage.live(ACTED_ON_WHAT_WAS).broken is not None
        assert stage.live(ACTED_ON_WHAT_WAS, frozenset({SEVERAL})).broken is None
    kept = stage.live(ACTED_ON_WHAT_WAS)
    assert kept.broken is None, story(kept)


@pytest.mark.parametrize("mutant", MUTANTS_OF_WRITERS)
def test_a_mutant_locks_nothing_and_leaves_nothing_behind(
    cluster: Cluster, mutant: Callable[[], AbstractContextManager[Any]]
) -> None:
    play = Play(cluster)
    with mutant():
        assert play.locks() == ("orders" in mutant.__name__)
    assert play.locks()

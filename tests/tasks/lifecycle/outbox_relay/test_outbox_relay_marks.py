"""What was published is marked, or remembered; and what is to be sent again is never taken for sent."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from redis import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError
from sqlalchemy import Connection, select, text, update
from sqlalchemy.exc import DBAPIError

from schemas.events import STREAM
from schemas.tables.purchases import EVENT
from tasks.lifecycle import outbox_relay
from tasks.lifecycle.outbox_relay import LEASE_KEY, Relay, Selection, clean_up, replay
from tests.servers import PostgresServer
from tests.tasks.clock import START
from tests.tasks.support import World, clear, make_world, number
from tests.waiting import eventually
from workers.database.connections import SqlDatabase

Make = Callable[..., World]
ALL = Selection(since=START)


class Switched:
    """The world's database, which only reads while `read_only`: it says so itself."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self.read, self.may_find = database.read, database.may_find
        self.read_only = False
        self.refused = 0

    @contextmanager
    def write_again(self) -> Iterator[Connection]:
        """What somebody else writes."""
        with self._database.write() as conn:
            yield conn

    @contextmanager
    def write(self) -> Iterator[Connection]:
        if not self.read_only:
            with self._database.write() as conn:
                yield conn
            return
        self.refused += 1
        with self._database.write() as conn:
            sqlite = conn.dialect.name == "sqlite"
            conn.exec_driver_sql("PRAGMA query_only = 1" if sqlite else "SET TRANSACTION READ ONLY")
            try:
                yield conn
            finally:
                if sqlite:
                    conn.exec_driver_sql("PRAGMA query_only = 0")


@pytest.fixture
def world(make: Make, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> World:
    found = make()
    object.__setattr__(found.runtime, "redis", redis)
    monkeypatch.setattr(outbox_relay, "MARK_AGAIN", 0.001)
    monkeypatch.setattr(outbox_relay, "MARK_AGAIN_MAX", 0.002)
    return found


@pytest.fixture
def switched(world: World) -> Switched:
    """What the relay writes with; tests write by `world.write`."""
    found = Switched(world.runtime.database)
    object.__setattr__(world.runtime, "database", found)
    return found


def add(world: World, count: int, first: int = 0) -> None:
    """As many events: one of each acceptance."""
    for n in range(first, first + count):
        world.accept(number(n))


def published(world: World) -> int:
    return int(world.runtime.redis.xlen(STREAM))


def waiting(world: World) -> int:
    return sum(row["published_at"] is None for row in world.rows(select(EVENT)))


def turns(relay: Relay, count: int = 100) -> int:
    return sum(relay.run_once() or 0 for _ in range(count))


def until_published(world: World, relay: Relay, count: int) -> None:
    """A process that stands still for longer than its lease has to take it again."""
    eventually(lambda: relay.run_once() is not None and published(world) >= count, what="it is published")
    assert published(world) == count


def until_marked(world: World, relay: Relay) -> None:
    eventually(lambda: relay.run_once() == 0 and waiting(world) == 0, what="all is marked")


def test_what_cannot_be_marked_is_published_once(
    world: World, switched: Switched, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    relay = Relay(world.runtime, "a")
    add(world, 3)
    switched.read_only = True
    assert turns(relay) == 3
    eventually(lambda: relay.run_once() == 0 and switched.refused > 3, what="it tries again")
    assert (published(world), waiting(world)) == (3, 3)
    switched.read_only = False
    until_marked(world, relay)
    add(world, 1, first=3)
    assert relay.run_once() == 1
    assert published(world) == 4
    told = [record.message for record in caplog.records if record.name == outbox_relay.__name__]
    assert [line.partition(":")[0] for line in told] == [
        "published events cannot be marked, and are remembered",
        "3 published events are marked now",
    ]
    assert relay.trouble is None


def test_newer_events_go_out_meanwhile_as_long_as_they_can_be_remembered(
    world: World, switched: Switched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_relay, "UNMARKED", 5)
    relay = Relay(world.runtime, "a")
    for first, out in ((0, 2), (2, 4), (4, 5), (6, 5)):
        switched.read_only = False
        add(world, 2, first=first)
        switched.read_only = True
        eventually(lambda out=out: (relay.run_once(), published(world))[1] == out)
    turns(relay)
    assert published(world) == 5
    switched.read_only = False
    until_marked(world, relay)
    assert published(world) == 8


def test_a_mark_that_fails_is_tried_ever_later(
    world: World, switched: Switched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_relay, "MARK_AGAIN", 30.0)
    monkeypatch.setattr(outbox_relay, "MARK_AGAIN_MAX", 100.0)
    relay = Relay(world.runtime, "a")
    add(world, 1)
    switched.read_only = True
    waits = []
    for _ in range(4):
        relay._mark_at = 0.0
        turns(relay, 20)
        waits.append(relay._mark_wait)
    assert switched.refused == 4
    assert waits == [30.0, 60.0, 100.0, 100.0]
    switched.read_only = False
    add(world, 1, first=1)
    turns(relay, 20)
    assert published(world) == 1
    relay._mark_at = 0.0
    until_marked(world, relay)
    assert published(world) == 2


def test_what_is_put_back_meanwhile_is_published_again(world: World, switched: Switched) -> None:
    relay, other = Relay(world.runtime, "a"), Relay(world.runtime, "b")
    add(world, 1)
    switched.read_only = True
    turns(relay)
    world.runtime.redis.delete(LEASE_KEY)
    switched.read_only = False
    assert other.run_once() == 1
    other.release()
    assert len(outbox_relay._put_back(world.runtime, ALL, 0, 10**6)) == 1
    switched.read_only = True
    relay._ask_at = 0.0
    eventually(lambda: relay.run_once() == 1, what="the replay's event")
    assert published(world) == 3
    turns(relay)
    switched.read_only = False
    until_marked(world, relay)
    assert published(world) == 3


def test_a_replay_that_cannot_mark_says_so_and_leaves_its_batch_to_be_sent(world: World, switched: Switched) -> None:
    add(world, 2)
    Relay(world.runtime, "a").run_once()
    world.runtime.redis.flushall()
    world.points["published"] = lambda: setattr(switched, "read_only", True)
    sent = replay(world.runtime, Relay(world.runtime, "replay"), ALL, wait=0.001)
    with pytest.raises(DBAPIError):
        next(sent)
    assert waiting(world) == 2
    switched.read_only = False
    world.runtime.redis.delete(LEASE_KEY)
    assert Relay(world.runtime, "b").run_once() == 2


def test_a_relay_that_thaws_does_not_mark_what_a_replay_has_put_back(world: World) -> None:
    add(world, 2)

    def meanwhile() -> None:
        # frozen past its lease: another publishes the same, and a replay puts it back
        world.runtime.redis.delete(LEASE_KEY)
        other = Relay(world.runtime, "b")
        assert other.run_once() == 2
        other.release()
        assert len(outbox_relay._put_back(world.runtime, ALL, 0, 10**6)) == 2

    world.points["published"] = meanwhile
    frozen = Relay(world.runtime, "a")
    frozen.run_once()
    assert waiting(world) == 2
    assert Relay(world.runtime, "replay").run_once() == 2
    assert waiting(world) == 0
    assert published(world) == 6


def lose_answer(relay: Relay, name: str = "_publish", *, executed: bool = True) -> Callable[[], object]:
    """A turn whose script of that name gives no answer, executed or not. Returns what executes it then."""
    call, asked = getattr(relay, name), []

    def deaf(**arguments: Any) -> None:
        asked.append(partial(call, **arguments))
        if executed:
            asked[-1]()
        raise RedisTimeoutError("no answer")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relay, name, deaf)
        with pytest.raises(RedisTimeoutError):
            relay.run_once()
    return asked[-1]


def test_a_batch_whose_answer_is_lost_is_published_once(world: World) -> None:
    relay = Relay(world.runtime, "a")
    add(world, 2)
    for _ in range(3):
        lose_answer(relay)
    add(world, 1, first=2)
    assert [relay.run_once() for _ in range(3)] == [2, 1, 0]
    assert (published(world), waiting(world)) == (3, 0)


def test_a_batch_whose_request_comes_late_is_published_once(world: World) -> None:
    relay = Relay(world.runtime, "a")
    add(world, 1)
    assert relay.run_once() == 1
    add(world, 1, first=1)
    late = lose_answer(relay, executed=False)
    relay._ask_at = 0.0
    assert relay.run_once() == 1
    late()
    assert published(world) == 2


@pytest.mark.parametrize("executed", [True, False])
@pytest.mark.parametrize("back", ["unseen", "told", "unheard"])
def test_a_batch_whose_answer_is_lost_is_never_sent_after_what_another_sent(
    world: World, back: str, *, executed: bool
) -> None:
    relay, other = Relay(world.runtime, "a"), Relay(world.runtime, "b")
    add(world, 1)
    lose_answer(relay, executed=executed)
    world.runtime.redis.delete(LEASE_KEY)
    assert other.run_once() == 1
    add(world, 1, first=1)
    assert other.run_once() == 1
    relay._ask_at = 0.0
    if back == "told":
        assert relay.run_once() is None
    other.release()
    relay._ask_at = 0.0
    if back == "unheard":
        lose_answer(relay, "_lease")
    assert [relay.run_once() for _ in range(2)] == [0, 0]
    assert (published(world), waiting(world)) == (2 + executed, 0)


def test_what_another_did_not_come_to_is_sent_of_a_batch_that_is_dropped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, other = Relay(world.runtime, "a"), Relay(world.runtime, "b")
    add(world, 3)
    lose_answer(relay, executed=False)
    world.runtime.redis.delete(LEASE_KEY)
    with monkeypatch.context() as patch:
        patch.setattr(outbox_relay, "BATCH", 1)
        assert other.run_once() == 1
    other.release()
    relay._ask_at = 0.0
    assert [relay.run_once() for _ in range(2)] == [2, 0]
    assert (published(world), waiting(world)) == (3, 0)


@pytest.mark.parametrize("taken", [True, False])
def test_a_batch_whose_answer_is_lost_is_published_once_though_the_lease_ran_out(world: World, *, taken: bool) -> None:
    """Nobody has published since: not even the one that had the lease."""
    relay, other = Relay(world.runtime, "a"), Relay(world.runtime, "b")
    add(world, 1)
    assert relay.run_once() == 1
    add(world, 1, first=1)
    lose_answer(relay)
    world.runtime.redis.delete(LEASE_KEY)
    relay._ask_at = 0.0
    if taken:
        assert other._has_lease()
        assert relay.run_once() is None
        other.release()
        relay._ask_at = 0.0
    assert [relay.run_once() for _ in range(2)] == [1, 0]
    assert (published(world), waiting(world)) == (2, 0)


@pytest.fixture
def two(_postgres_database_of_the_session: SqlDatabase, postgres_server: PostgresServer, redis: Redis) -> World:
    """Published events in PostgreSQL, where two transactions are open at once."""
    clear(_postgres_database_of_the_session)
    found = make_world(_postgres_database_of_the_session)
    object.__setattr__(found.runtime, "redis", redis)
    add(found, 4)
    Relay(found.runtime, "a").run_once()
    found.clock.advance(3600)
    return found


def meets(world: World, first: Callable[[Connection], object], second: Callable[[], Any]) -> Any:
    """What *second* says, which meets rows that the transaction of *first* has changed and not committed yet."""
    said: list[Any] = []
    thread = threading.Thread(target=lambda: said.append(second()))
    waits = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    with world.write() as conn:
        first(conn)
        thread.start()
        eventually(lambda: world.rows(waits)[0]["count"] == 1, what="the second one waits")
    thread.join()
    return said[0]


def test_what_a_replay_puts_back_at_this_moment_is_not_cleaned_up(two: World) -> None:
    seqs = [row["seq"] for row in two.rows(select(EVENT).order_by(EVENT.c.seq))][:3]

    def put_back(conn: Connection) -> None:
        conn.execute(EVENT.update().where(EVENT.c.seq.in_(seqs)).values(published_at=None))

    assert meets(two, put_back, lambda: clean_up(two.runtime, 60.0)) == 1
    assert [row["seq"] for row in two.rows(select(EVENT).order_by(EVENT.c.seq))] == seqs


def test_what_is_cleaned_up_at_this_moment_is_not_told_as_sent_again(two: World) -> None:
    seqs = [row["seq"] for row in two.rows(select(EVENT).order_by(EVENT.c.seq))]

    def delete(conn: Connection) -> None:
        conn.execute(EVENT.delete().where(EVENT.c.seq.in_(seqs[:3])))

    assert meets(two, delete, lambda: outbox_relay._put_back(two.runtime, ALL, 0, 10**6)) == seqs[3:]


def test_a_mark_that_comes_late_is_never_another_events(world: World, switched: Switched) -> None:
    """The database went back in time meanwhile, and gave the published event's number to another one."""
    relay = Relay(world.runtime, "a")
    add(world, 1)
    switched.read_only = True
    until_published(world, relay, 1)
    with switched.write_again() as conn:
        conn.execute(update(EVENT).values(id=str(UUID(int=1))))
    until_published(world, relay, 2)
    with switched.write_again() as conn:
        conn.execute(update(EVENT).values(id=str(UUID(int=2))))
    switched.read_only = False
    until_marked(world, relay)
    assert published(world) == 3

"""An order by criteria, in a database that went back in time: it has lost the lines of what was bought for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from redis import Redis

from tasks.audit import compare
from tasks.ledger.queue import pausing
from tasks.operator.retry_order import retry
from tasks.policies.pause import Cause, Pause
from tasks.restored_database import detect, go_on
from tasks.watermark import Watermark
from tests.servers import RedisServer
from tests.servers.backups import Backup
from tests.tasks.wishes.wishing import Wishing, wishing
from workers.database.connections import SqlDatabase


class Past:
    """A world whose database can go back to where an order stood that has bought nothing yet."""

    def __init__(self, world: Wishing, url: str) -> None:
        self.world, self.url = world, url
        self.order = world.wish(10)

    def go_back(self, *, stopped: bool = False) -> None:
        """*stopped*: to where the first account was stopped for another restore; it went on since."""
        if stopped:
            behind = Pause(cause=Cause.BEHIND, reason="it went back", cooldown=None)
            with self.world.runtime.database.write() as conn:
                pausing.pause(conn, "first", behind, self.world.clock())
        self.world.runtime.database.close()
        copy = Backup(self.url)
        self.world.later(minutes=1)
        with self.world.runtime.database.write() as conn:
            pausing.resume_behind(conn, "first", self.world.clock(), by="a test", note="seen")
        self.world.until_completed(self.order)
        self.world.runtime.database.close()
        copy.restore()
        copy.close()

    def charged(self) -> int:
        return sum(len(self.world.market(alias).charged) for alias in ("first", "second"))

    def go_on(self, *, by_audit: bool, found_out: bool = True) -> None:
        runtime = self.world.runtime
        if found_out:
            detect.compare(runtime)
        self.world.later(minutes=10)
        binding = runtime.providers["first"]
        if not by_audit:
            go_on.believe(runtime, binding, "ann", "seen")
            return
        report = compare.audit(runtime, binding)
        done = compare.adopt(runtime, binding, report, "ann")
        going = go_on.take_in(runtime, binding, report, done, "ann")
        assert going is not None
        assert going.settled


@contextmanager
def in_the_past(url: str, redis_server: RedisServer) -> Iterator[Past]:
    with Redis.from_url(redis_server.url) as client:
        world = wishing(SqlDatabase(url))
        world.runtime = replace(world.runtime, redis=client, watermark=Watermark(client))
        yield Past(world, url)
        world.runtime.database.close()


@pytest.fixture
def past(database_url: str, redis_server: RedisServer) -> Iterator[Past]:
    with in_the_past(database_url, redis_server) as found:
        yield found


@pytest.mark.parametrize("by_audit", [True, False], ids=["audit", "word"])
def test_it_buys_no_more_until_a_person_says_so(past: Past, by_audit: bool) -> None:
    past.go_back()
    past.go_on(by_audit=by_audit)
    past.world.until_completed(past.order)
    assert past.charged() == 10
    state, reason = past.world.state()
    assert (state, "the database went back in time" in (reason or "")) == ("short", True)
    assert retry(past.world.runtime, past.order["id"]).wishes == 1
    detect.compare(past.world.runtime)
    past.world.until_completed(past.order)
    assert past.charged() == 20


def test_it_does_not_go_on_at_other_providers_meanwhile(past: Past) -> None:
    past.go_back()
    detect.compare(past.world.runtime)
    past.world.until_completed(past.order)
    assert past.charged() == 10


def test_a_wish_at_another_account_goes_on(past: Past) -> None:
    past.go_back()
    other = past.world.wish(3, key="other", providers=["second"])
    detect.compare(past.world.runtime)
    assert [one["state"] for one in past.world.wishes()] == ["open", "short"]
    past.world.until_completed(other)


@pytest.mark.parametrize("stopped", [False, True], ids=["goes on", "stands as stopped"])
@pytest.mark.parametrize("by_audit", [True, False], ids=["audit", "word"])
def test_who_is_asked_first_stops_it_too(past: Past, by_audit: bool, stopped: bool) -> None:
    """No worker has found it out."""
    past.go_back(stopped=stopped)
    past.go_on(by_audit=by_audit, found_out=False)
    past.world.until_completed(past.order)
    assert past.charged() == 10


def test_who_finds_numbers_on_another_server_finds_it_out(postgres_url: str, redis_server: RedisServer) -> None:
    """No worker has noticed the restore by then: what it counts as missing was bought."""
    with in_the_past(postgres_url, redis_server) as past:
        past.go_back()
        past.world.until_completed(past.order)
        assert past.charged() == 10

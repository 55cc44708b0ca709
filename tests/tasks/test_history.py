"""A database that went back in time: nothing is bought twice, it is told, and it goes on once that was mended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import select

from schemas.outcomes import Outcome
from schemas.status import Status
from schemas.tables import EVENT
from tasks import auditing, history
from tasks.auditing import Settlement
from tasks.history import GoingOn
from tasks.ledger import pausing
from tasks.ledger.rows import Row
from tasks.policies.pause import Cause
from tasks.watermark import Watermark
from tests.servers import RedisServer
from tests.servers.backups import Backup
from tests.tasks.support import NUMBER, UNKNOWN, Killed, OpenWatermark, World, die, make_world, number
from workers.database import SqlDatabase

TWO = [number(1), number(2)]
CALL = 32.0
"""Seconds from an intent to the end of its call."""


class DeadlyWatermark(OpenWatermark):
    """The worker is killed before its mark is written."""

    def write(self, *_: object) -> None:
        die()


def audit(past: Past) -> GoingOn | None:
    """What `dialstock audit acme --adopt` does."""
    runtime, binding = past.world.runtime, past.world.binding
    report = auditing.audit(runtime, binding)
    done = auditing.adopt(runtime, binding, report, "ann")
    return history.take_in(runtime, binding, report, done, "ann")


@dataclass
class Past:
    """A world whose database can go back to where it was backed up, as a worker finds it that is started then."""

    world: World
    url: str
    redis: Any
    copy: Backup | None = None

    def keep(self) -> None:
        self.database.close()
        self.copy = Backup(self.url)

    def go_back(self) -> None:
        self.database.close()
        assert self.copy is not None
        self.copy.restore()

    @property
    def database(self) -> SqlDatabase:
        found = self.world.runtime.database
        assert isinstance(found, SqlDatabase)
        return found

    def compare(self) -> None:
        history.compare(self.world.runtime)

    def state(self, alias: str = "acme") -> Row:
        with self.database.read() as conn:
            return pausing.state_of(conn, alias) or {}

    def causes(self) -> list[str | None]:
        return [self.state(alias).get("cause") for alias in ("acme", "twin")]

    def told(self, kind: str) -> list[Row]:
        return [row["data"] for row in self.world.rows(select(EVENT)) if row["type"] == f"dialstock.provider.{kind}"]

    def charged(self) -> list[str]:
        return [sold for sold, _ in self.world.provider.charged]

    def lose(self, *numbers: str) -> list[Row]:
        """Buy what is queued in the copy already, and go back. Returns the rows as they were bought."""
        rows = [self.world.queued(one) for one in numbers]
        self.keep()
        self.world.tick()
        bought = [self.world.row(row["id"]) for row in rows]
        assert {row["status"] for row in bought} == {Status.PURCHASED}
        self.go_back()
        return bought

    def buy_what_is_left(self) -> None:
        """All that workers do in ten minutes."""
        for _ in range(20):
            self.world.tick()
            self.world.clock.advance(30)


@pytest.fixture
def past(database_url: str, redis_server: RedisServer) -> Iterator[Past]:
    """A world on each kind of database."""
    with started(database_url, redis_server) as found:
        yield found


@contextmanager
def started(database_url: str, redis_server: RedisServer) -> Iterator[Past]:
    with Redis.from_url(redis_server.url) as client:
        world = make_world(SqlDatabase(database_url))
        world.runtime = replace(world.runtime, redis=client, watermark=Watermark(client))
        found = Past(world, database_url, client)
        yield found
        found.database.close()
        if found.copy is not None:
            found.copy.close()


def test_a_database_that_is_as_it_was_buys(past: Past) -> None:
    past.world.accept()
    past.world.work()
    past.compare()
    past.keep()
    past.go_back()
    past.compare()
    past.world.accept(number(7))
    past.world.work()
    assert past.charged() == [NUMBER, number(7)]
    assert past.causes() == [None, None]


def test_one_that_went_back_buys_nothing_and_says_so_once_for_each_alias(past: Past) -> None:
    past.world.accept()
    past.world.work()
    first = past.world.clock.moment
    past.world.clock.advance(60)
    past.lose(*TWO)
    for _ in range(2):
        past.compare()
    past.buy_what_is_left()
    assert past.charged() == [NUMBER, *TWO]
    assert past.causes() == [Cause.BEHIND] * 2
    told = past.told("paused")
    assert [(one["provider"], one["cause"], one["probe_at"]) for one in told] == [
        ("acme", "database_behind", None),
        ("twin", "database_behind", None),
    ]
    assert "it has lost 2 calls to buy at acme-account, made 2026-01-01T00:01:00Z to 2026" in told[0]["reason"]
    assert f"the newest that it knows is of {first:%Y-%m-%dT%H:%M:%S}Z" in told[0]["reason"]
    assert all(one in told[0]["reason"] for one in TWO)


def test_one_that_went_back_claims_nothing_even_before_anybody_compares(past: Past) -> None:
    [row, _] = past.lose(*TWO)
    released = past.world.release()
    assert (released, past.causes()) == (2, [None, None])
    past.world.work()
    assert past.charged() == TWO
    assert past.world.row(row["id"])["status"] == Status.QUEUED
    assert past.causes() == [Cause.BEHIND] * 2


def test_a_message_from_before_buys_nothing(past: Past) -> None:
    """The copy has the purchase dispatched, and its message is delivered again."""
    past.world.accept()
    [message] = past.world.sent
    past.keep()
    past.world.work()
    past.go_back()
    past.world.deliver(message)
    assert past.charged() == [NUMBER]
    assert past.causes() == [Cause.BEHIND] * 2


def test_connections_that_break_lead_to_a_server_that_is_looked_at(
    postgres_url: str, redis_server: RedisServer
) -> None:
    """The worker does not stop: its connections had been looked at, and are made anew under it."""
    with started(postgres_url, redis_server) as past:
        past.world.queued(number(1))
        past.keep()
        past.world.tick()
        assert past.copy is not None
        past.copy.restore()
        past.world.release()
        past.world.work()
        assert (past.charged(), past.causes()) == ([number(1)], [Cause.BEHIND] * 2)


def test_an_account_that_lost_nothing_goes_on(past: Past) -> None:
    past.lose(*TWO)
    other = replace(past.world.runtime.providers["acme"], alias="other", account="other-account")
    runtime = replace(past.world.runtime, providers={**past.world.runtime.providers, "other": other})
    past.world.runtime = runtime
    past.compare()
    past.world.accept(number(9), provider="other")
    past.world.work()
    assert past.charged() == [*TWO, number(9)]
    assert (past.causes(), past.state("other")["cause"]) == ([Cause.BEHIND] * 2, None)


def test_redis_emptied_is_no_alarm_and_marks_are_written_anew(past: Past) -> None:
    past.world.accept()
    past.world.work()
    past.redis.flushall()
    past.compare()
    assert past.causes() == [None, None]
    past.world.accept(number(3))
    past.world.clock.advance(60)
    past.world.tick()
    assert [mark.number for mark in past.world.runtime.watermark.newest("acme-account")] == [number(3)]


def test_a_server_that_lost_its_last_commit_is_behind_though_it_has_a_later_mark(past: Past) -> None:
    """Two workers commit, and mark in the other order."""
    rows = [past.world.queued(one) for one in TWO]
    past.world.release()
    first, second = past.world.sent
    past.world.deliver(first)
    past.keep()
    past.world.deliver(second)
    marks = past.world.runtime.watermark.newest("acme-account")
    past.redis.flushall()
    past.world.runtime.watermark.write("acme-account", marks)
    past.go_back()
    past.compare()
    assert past.causes() == [Cause.BEHIND] * 2
    assert len(rows) == 2


def test_a_call_that_was_marked_and_never_sent_is_an_alarm(past: Past) -> None:
    past.world.queued(number(1))
    past.keep()
    past.world.release()
    past.world.points["claimed"] = die
    with pytest.raises(Killed):
        past.world.work()
    past.go_back()
    past.compare()
    assert (past.causes(), past.charged()) == ([Cause.BEHIND] * 2, [])


def test_a_worker_that_dies_between_commit_and_mark_has_called_nobody(past: Past) -> None:
    row = past.world.queued(number(1))
    past.keep()
    living, past.world.runtime = past.world.runtime, replace(past.world.runtime, watermark=DeadlyWatermark())
    past.world.release()
    with pytest.raises(Killed):
        past.world.work()
    assert past.world.attempts(row["id"]) == [None]
    past.world.runtime = living
    past.go_back()
    past.compare()
    assert (past.causes(), past.charged()) == ([None, None], [])
    past.buy_what_is_left()
    assert past.charged() == [number(1)]


def test_a_machines_pause_does_not_probe_a_database_that_went_back(past: Past) -> None:
    row = past.world.queued(number(1))
    past.world.pause(Cause.ACCOUNT, cooldown=60.0)
    past.keep()
    past.world.clock.advance(61)
    past.world.tick()
    assert past.charged() == [number(1)]
    past.go_back()
    past.compare()
    past.buy_what_is_left()
    assert past.charged() == [number(1)]
    assert past.causes() == [Cause.BEHIND] * 2
    assert [one["cause"] for one in past.told("paused") if one["provider"] == "acme"] == ["account", "database_behind"]
    assert past.world.row(row["id"])["status"] == Status.QUEUED


def test_a_persons_pause_stays_and_what_it_hides_comes_after_it(past: Past) -> None:
    past.lose(*TWO)
    past.world.pause(Cause.PERSON, cooldown=None)
    past.compare()
    assert past.causes() == [Cause.PERSON, Cause.BEHIND]
    with past.world.write() as conn:
        assert pausing.resume(conn, "acme", past.world.clock(), by_machine=False)
        assert not pausing.resume(conn, "twin", past.world.clock(), by_machine=False)
    past.world.tick()
    assert past.charged() == TWO
    assert past.causes() == [Cause.BEHIND] * 2


def test_an_audit_that_took_in_what_is_ours_lets_it_go_on(past: Past) -> None:
    """Lost are a purchase whose row waits in the copy, one that was accepted later, and a call that bought nothing."""
    past.world.queued(number(1))
    past.keep()
    past.world.queued(number(2))
    past.world.queued(number(3))
    past.world.provider.script += [past.world.provider.charge, past.world.provider.charge, UNKNOWN]
    past.world.tick()
    past.go_back()
    past.compare()
    early = audit(past)
    policy = past.world.binding.policy
    assert early == GoingOn(audit_at=past.state()["paused_at"] + timedelta(seconds=CALL + policy.reconcile_after[-1]))
    assert past.causes() == [Cause.BEHIND] * 2
    past.world.clock.moment = early.audit_at
    bought, [not_bought] = past.charged(), {number(n) for n in (1, 2, 3)} - set(past.charged())
    assert audit(past) == GoingOn(settled=True, aliases=("acme", "twin"), unseen=(not_bought,))
    assert audit(past) is None
    past.compare()
    assert past.causes() == [None, None]
    told = past.told("resumed")
    assert [(one["provider"], one["cause"], one["by"]) for one in told] == [
        ("acme", "database_behind", "ann"),
        ("twin", "database_behind", "ann"),
    ]
    for one in bought:
        assert past.world.accept(one)["status"] == Status.PURCHASED
    past.world.accept(number(8))
    past.buy_what_is_left()
    assert Counter(past.charged())[number(8)] == 1
    assert max(Counter(past.charged()).values()) == 1


def test_an_audit_that_left_something_does_not_let_it_go_on(past: Past) -> None:
    past.lose(*TWO)
    past.compare()
    past.world.clock.advance(3600)
    runtime, binding = past.world.runtime, past.world.binding
    report = auditing.audit(runtime, binding)
    left = Settlement(left=report.findings)
    assert history.take_in(runtime, binding, report, left, "ann") == GoingOn()
    assert past.causes() == [Cause.BEHIND] * 2


def test_a_pause_whose_marks_redis_lost_still_needs_the_audit(past: Past) -> None:
    past.lose(*TWO)
    past.compare()
    past.redis.flushall()
    past.compare()
    assert past.causes() == [Cause.BEHIND] * 2
    assert audit(past) is not None
    past.world.clock.advance(3600)
    assert audit(past) == GoingOn(settled=True, aliases=("acme", "twin"))
    past.buy_what_is_left()
    assert past.charged() == TWO


def test_a_persons_word_holds_what_may_have_been_bought(past: Past) -> None:
    """One waits in the copy, the other was accepted later; both are held, and neither is bought again."""
    waits = past.world.queued(number(1))
    past.keep()
    later = past.world.queued(number(2))
    past.world.tick()
    past.go_back()
    past.compare()
    aliases, held = history.believe(past.world.runtime, past.world.binding, "ann", "seen at the dashboard")
    assert (aliases, {row["id"] for row in held}) == (["acme", "twin"], {waits["id"], later["id"]})
    past.compare()
    assert past.causes() == [None, None]
    past.buy_what_is_left()
    assert Counter(past.charged()) == {number(1): 1, number(2): 1}
    for row in held:
        after = past.world.row(row["id"])
        assert (after["status"], after["doubt"], after["error_code"]) == (Status.HELD, True, "history_lost")
        assert "ann let acme go on: seen at the dashboard" in after["error"]
        assert past.world.events(of=row["id"])[-1] == "held"
    assert past.world.accept(number(2))["id"] == later["id"]
    assert history.believe(past.world.runtime, past.world.binding, "ann", "again") == ([], [])


def test_a_late_answer_finds_the_purchase_that_was_held_for_it(past: Past) -> None:
    """The worker whose call was lost with its purchase hears that it was bought."""
    past.keep()
    row = past.world.queued(number(2))
    past.world.release()

    def lost_meanwhile(wanted: str) -> Outcome:
        past.go_back()
        past.compare()
        history.believe(past.world.runtime, past.world.binding, "ann", "seen")
        return past.world.provider.charge(wanted)

    past.world.provider.script.append(lost_meanwhile)
    past.world.work()
    assert past.world.row(row["id"])["status"] == Status.PURCHASED
    assert past.charged() == [number(2)]

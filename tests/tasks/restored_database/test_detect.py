"""A database that went back in time: nothing is bought twice, and it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.accounts import identity
from tasks.accounts.identity import AccountChanged
from tasks.ledger.accounts import Home
from tasks.ledger.queue import pausing
from tasks.ledger.rows import new_id
from tasks.lifecycle import claim
from tasks.policies.pause import Cause
from tasks.restored_database import questioned_accounts
from tasks.watermark import Mark, Watermark
from tests.servers import RedisServer
from tests.tasks.past import TWO, Past, started
from tests.tasks.support import NUMBER, Killed, OpenWatermark, die, number


class DeadlyWatermark(OpenWatermark):
    """The worker is killed before its mark is written."""

    def write(self, *_: object) -> None:
        die()


class LateWatermark(Watermark):
    """The worker stands still before its mark is written, until *meanwhile* is over."""

    meanwhile: Callable[[], None] | None = None

    def write(self, marks: Mapping[str, Sequence[Mark]], server: str = "") -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        super().write(marks, server)


def test_a_database_that_is_as_it_was_buys(past: Past) -> None:
    past.world.accept()
    past.world.work()
    past.compare()
    past.keep()
    past.go_back()
    past.compare()
    past.world.accept(number(7))
    past.world.work()
    assert past.charged() == [number(7), NUMBER]
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
    assert past.charged() == [*TWO, NUMBER]
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
    past.world.runtime.watermark.write({"acme-account": marks})
    past.go_back()
    past.compare()
    assert past.causes() == [Cause.BEHIND] * 2
    assert len(rows) == 2


@pytest.mark.parametrize("looked_before", [True, False])
def test_what_was_marked_late_is_seen_behind_any_number_of_later_calls(
    database_url: str, redis_server: RedisServer, looked_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was replaced lived on for a second: a worker there commits, marks and calls."""
    monkeypatch.setattr(questioned_accounts, "FEWEST", 1)
    with started(database_url, redis_server, max_in_flight=1) as past:
        row, then = past.world.queued(number(0)), past.world.clock.moment
        with past.world.write() as conn:
            conn.execute(update(PURCHASE).values(due_at=then + timedelta(seconds=2)))
        later = [number(index) for index in range(1, 5)]
        past.world.queued(later[0])
        past.world.tick()
        if looked_before:
            past.compare()
        late = Mark(purchase_id=row["id"], revision=2, number=number(0), started_at=then, deadline=then)
        past.world.runtime.watermark.write({past.world.binding.account: [late]})
        for one in later[1:]:
            past.world.queued(one)
            past.world.tick()
        assert past.charged() == later
        for _ in range(2):
            past.compare()
            assert past.causes() == [Cause.BEHIND] * 2
            with past.world.write() as conn:
                for alias in ("acme", "twin"):
                    pausing.resume_behind(conn, alias, past.world.clock(), by="ann", note="too soon")
        past.compare()
        past.buy_what_is_left()
        assert past.charged() == later


@pytest.mark.parametrize(("in_order", "new", "again"), [(True, False, 0), (False, True, 0), (False, False, 25)])
def test_one_that_goes_back_after_all_was_there_is_seen_with_no_mark_since(
    past: Past, in_order: bool, new: bool, again: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the last mark, or by all: of two workers the one that committed last marked first."""
    monkeypatch.setattr(questioned_accounts, "AGAIN", again)
    for one in TWO:
        past.world.queued(one)
    past.world.release()
    first, second = past.world.sent
    past.world.deliver(first)
    past.keep()
    past.world.deliver(second)
    if not in_order:
        marks = past.world.runtime.watermark.newest("acme-account")
        past.redis.flushall()
        past.world.runtime.watermark.write({"acme-account": marks})
    for _ in range(2):
        past.compare()
        assert past.causes() == [None, None]
    if not new:
        past.world.clock.advance(120)
    past.go_back()
    past.compare()
    past.buy_what_is_left()
    assert (past.causes(), past.charged()) == ([Cause.BEHIND] * 2, TWO)


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


def test_who_stands_still_between_commit_and_mark_while_the_server_is_replaced_calls_nobody(
    postgres_url: str, redis_server: RedisServer
) -> None:
    """The new server does not know the intent, others look at it before the mark is there, and buy."""
    with started(postgres_url, redis_server) as past:
        living, late = past.world.runtime, LateWatermark(past.redis)
        row = past.world.queued(number(1))
        past.keep()
        past.world.release()
        [message] = past.world.sent

        def buy_meanwhile() -> None:
            past.go_back()
            past.world.runtime = living
            # Another process has a lock of its own.
            claim._looks.clear()
            past.world.tick()

        late.meanwhile = buy_meanwhile
        past.world.runtime = replace(living, watermark=late)
        past.world.deliver(message)
        past.buy_what_is_left()
        past.compare()
        assert (past.charged(), past.causes()) == ([number(1)], [None, None])
        assert past.world.row(row["id"])["status"] == Status.PURCHASED


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


def test_a_machines_pause_hides_no_database_that_went_back_until_its_probe(past: Past) -> None:
    """Who reads that the account was refused, and mends that, would have it buy again."""
    past.lose(*TWO)
    past.world.pause(Cause.ACCOUNT, cooldown=60.0)
    past.compare()
    assert past.causes() == [Cause.BEHIND] * 2
    assert past.state()["probe_at"] is None
    assert [one["cause"] for one in past.told("paused") if one["provider"] == "acme"] == ["account", "database_behind"]
    with past.world.write() as conn:
        assert not pausing.resume(conn, "acme", past.world.clock(), by_machine=False)
    past.buy_what_is_left()
    assert past.charged() == TWO


def test_a_persons_pause_hides_no_database_behind(past: Past) -> None:
    past.lose(*TWO)
    past.world.pause(Cause.PERSON, cooldown=None)
    past.compare()
    past.compare()
    assert past.causes() == [Cause.BEHIND] * 2
    assert past.state()["person_reason"] == "for a test"
    assert len(past.told("paused")) == 3
    with past.world.write() as conn:
        assert not pausing.resume(conn, "acme", past.world.clock(), by_machine=False)
        assert not pausing.resume(conn, "twin", past.world.clock(), by_machine=False)
    past.world.tick()
    assert past.charged() == TWO
    assert past.causes() == [Cause.BEHIND] * 2


def test_one_that_goes_back_once_more_to_a_time_at_which_it_was_stopped_for_that_stops_anew(past: Past) -> None:
    past.world.pause(Cause.BEHIND, cooldown=None)
    past.world.pause(Cause.PERSON, cooldown=None)
    past.keep()
    stopped = past.state()
    past.world.clock.advance(60)
    with past.world.write() as conn:
        pausing.resume_behind(conn, "acme", past.world.clock(), by="a test", note="an audit took in what is ours")
        pausing.resume(conn, "acme", past.world.clock(), by_machine=False)
    past.world.queued(number(1))
    past.world.tick()
    assert past.charged() == [number(1)]
    past.go_back()
    past.world.clock.advance(60)
    past.compare()
    anew = past.state()
    assert anew["paused_at"] > stopped["paused_at"]
    assert number(1) in anew["reason"]
    assert anew["person_reason"] == stopped["person_reason"] == "for a test"
    past.world.clock.advance(60)
    past.compare()
    assert past.state() == anew
    assert [number(1) in one["reason"] for one in past.told("paused")] == [False, True, True]


def test_one_that_went_back_to_before_an_account_was_written_anew_buys_nothing_twice(past: Past) -> None:
    """The marks of its calls stand under the new name then, and the copy's purchases are moved there once more."""
    world = past.world
    for one in TWO:
        world.queued(one)
    past.keep()
    world.tick()
    home = Home(provider="acme", account="new-account")
    bindings = {alias: replace(one, account=home.account) for alias, one in world.runtime.providers.items()}
    world.runtime = replace(world.runtime, providers=bindings)

    def write_anew() -> None:
        identity.move(world.runtime, "acme", home)
        identity.settle(world.runtime)

    write_anew()
    past.go_back()
    with pytest.raises(AccountChanged):
        identity.settle(world.runtime)
    write_anew()
    past.compare()
    past.buy_what_is_left()
    assert past.charged() == TWO
    assert past.causes() == [Cause.BEHIND] * 2


@pytest.mark.parametrize("together", [1, 100])
def test_among_many_accounts_the_one_that_lost_a_call_stops_and_no_other(
    past: Past, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questioned_accounts, "TOGETHER", together)
    past.world.accept()
    past.world.work()
    runtime = past.world.runtime
    many = {name: replace(past.world.binding, alias=name, account=name) for name in (f"account{n}" for n in range(9))}
    past.world.runtime = replace(runtime, providers={**runtime.providers, **many})
    then = past.world.clock.moment
    gone = Mark(purchase_id=new_id(), revision=2, number=number(5), started_at=then, deadline=then)
    past.world.runtime.watermark.write({"account7": [gone]})
    for _ in range(2):
        past.compare()
    stopped = [alias for alias in past.world.runtime.providers if past.state(alias).get("cause") == Cause.BEHIND]
    assert stopped == ["account7"]
    assert len(past.told("paused")) == 1

"""Asking a provider, and writing down what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from redis.exceptions import RedisError

from schemas.outcomes import Look, LookKind
from schemas.status import Status
from tasks.ledger.rows import Row
from tasks.lifecycle import reconcile
from tasks.policies.pace import Later, Slot
from tasks.policies.watched_time import Watch
from tasks.providers.adapter import Known, ProviderError
from tasks.providers.reading.lookups import unclear
from tasks.providers.transport.turns import take_turn
from tasks.runtime import Message
from tests.tasks.scripted_provider import TOO_MANY, UNKNOWN
from tests.tasks.support import ACCOUNT, Killed, World, die, number
from tests.waiting import eventually

Make = Callable[..., World]


def due(world: World, count: int = 1) -> tuple[list[Row], list[Message]]:
    """Purchases in doubt whose look is due, and the messages of it."""
    rows = []
    for n in range(count):
        world.provider.script.append(UNKNOWN)
        rows.append(world.accept(number(n)))
        world.work()
    world.clock.advance(60)
    world.look()
    messages, world.sent[:] = list(world.sent), []
    return rows, messages


def test_what_the_provider_says_is_written_down(world: World) -> None:
    [row], [message] = due(world)
    world.provider.charge(row["number"])
    assert world.deliver(message) == [Status.PURCHASED]
    assert world.events() == ["purchased"]


def test_a_look_that_is_throttled_cools_all_looks_down_and_no_purchase(world: World) -> None:
    [_], [message] = due(world)
    world.provider.looks.append(TOO_MANY)
    assert world.deliver(message) == [Status.UNKNOWN]
    assert (world.pace.cooled, world.pace.penalties) == (["look"], [5.0])


def test_the_clock_is_asked_while_no_connection_is_held(world: World) -> None:
    """In a transaction it would need a second one: threads that hold them all would wait for each other."""
    [_], [message] = due(world)
    held: list[int] = []

    def watch() -> Watch:
        held.append(world.runtime.database.engine.pool.checkedout())  # type: ignore[attr-defined]
        return world.clock.watch()

    world.runtime = replace(world.runtime, watch=watch)
    world.deliver(message)
    claim = world.claimed(number(7))
    world.clock.advance(600)
    world.sweep()
    assert world.row(claim.row["id"])["status"] == Status.UNKNOWN
    assert held == [0, 0]


def test_a_look_delivered_twice_asks_once(world: World) -> None:
    [row], [message] = due(world)
    world.deliver(message)
    before = world.row(row["id"])
    assert world.deliver(message) == []
    assert world.row(row["id"]) == before
    assert world.provider.asked == [row["number"]]


def test_one_walk_settles_many(make: Make) -> None:
    world = make(lookup="by_list")
    rows, [message] = due(world, 4)
    for row in rows[:2]:
        world.provider.charge(row["number"])
    assert sorted(world.deliver(message)) == [Status.PURCHASED, Status.PURCHASED, Status.UNKNOWN, Status.UNKNOWN]


def test_a_walk_leaves_out_what_moved_on_meanwhile(make: Make) -> None:
    world = make(lookup="by_list")
    rows, [message] = due(world, 2)
    items = message.kwargs["items"]
    reconcile.look(world.runtime, "acme", [items[0]])
    assert len(world.deliver(message)) == 1
    assert sorted(world.provider.asked) == [row["number"] for row in rows]


def test_a_worker_killed_during_a_look_leaves_it_to_the_next(make: Make) -> None:
    for lookup in ("by_number", "by_list"):
        world = make(lookup=lookup)
        wanted = number({"by_number": 1, "by_list": 2}[lookup])
        world.provider.script.append(UNKNOWN)
        row = world.accept(wanted)
        world.work()
        world.clock.advance(60)
        world.look()
        world.provider.look = lambda _: die()  # type: ignore[assignment, method-assign]
        with pytest.raises(Killed):
            world.work()
        del world.provider.look  # type: ignore[method-assign]
        assert world.settle(row["id"])["status"] == Status.PURCHASED
        assert len(world.provider.charged) == 1


def test_looks_at_their_limit_wait_and_do_not_fail(world: World) -> None:
    [row], [message] = due(world)
    world.pace.reserve = lambda lane, **_: Later(20.0)
    assert world.deliver(message) == [Status.UNKNOWN]
    after = world.row(row["id"])
    assert (after["looks"], after["look_failures"]) == (0, 0)
    assert (after["due_at"] - world.clock.moment).total_seconds() == 20.0
    assert world.provider.asked == []


def test_a_look_that_has_begun_waits_for_its_further_turns(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked so far would be asked again."""
    [row], [message] = due(world)
    slots = iter([Slot(0.5, 1), Later(5.0), Later(3.0), Slot(1.0, 1), Later(3600.0)])
    world.pace.reserve = lambda lane, **_: next(slots)
    turns: list[float] = []

    def walking(numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        try:
            for _ in range(3):
                take_turn()()
                turns.append((world.clock.moment - before).total_seconds())
        except ProviderError as exc:
            return dict.fromkeys(numbers, unclear(exc.outcome))
        raise AssertionError

    monkeypatch.setattr(world.provider, "look", walking)
    before = world.clock.moment
    assert world.deliver(message) == [Status.UNKNOWN]
    after = world.row(row["id"])
    assert turns == [0.5, 5.5]
    assert (after["looks"], after["look_failures"]) == (0, 0)
    assert (after["due_at"] - world.clock.moment).total_seconds() == 3600.0
    assert world.pace.penalties == []


def test_a_look_that_is_told_to_stop_is_left_to_another_worker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    [row], [message] = due(world)
    before = world.row(row["id"])
    turns: list[int] = []

    def walking(numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        while True:
            take_turn()()
            turns.append(1)

    monkeypatch.setattr(world.provider, "look", walking)
    assert reconcile.look(world.runtime, "acme", message.kwargs["items"], lambda: len(turns) == 3) == []
    after = world.row(row["id"])
    assert len(turns) == 3
    assert (after["revision"], after["status"], after["looks"]) == (before["revision"], Status.UNKNOWN, 0)
    assert (after["due_at"] - world.clock.moment).total_seconds() <= reconcile.LEASE


def test_redis_that_goes_away_during_a_look_leaves_it_due(world: World) -> None:
    [row], [message] = due(world)

    def away(lane: object, **_: object) -> Slot:
        raise RedisError("away")

    world.pace.reserve = away
    with pytest.raises(RedisError):
        world.deliver(message)
    after = world.row(row["id"])
    assert (after["status"], after["look_failures"]) == (Status.UNKNOWN, 0)
    assert (after["due_at"] - world.clock.moment).total_seconds() == reconcile.LEASE
    assert world.provider.asked == []


def test_a_refused_account_pauses_the_provider_once(world: World) -> None:
    rows, messages = due(world, 3)
    refused = Look(kind=LookKind.UNCLEAR, account=True, error="HTTP 401")
    world.provider.looks += [refused] * 3
    for message in messages:
        assert world.deliver(message) == [Status.UNKNOWN]
    assert world.events() == ["paused"]
    assert {world.row(row["id"])["look_failures"] for row in rows} == {0}


def test_a_provider_that_cannot_be_asked_is_not_asked(make: Make) -> None:
    world = make()
    [row], [message] = due(world)
    world.provider.lookup = "none"
    assert world.deliver(message) == [Status.UNKNOWN]
    assert world.settle(row["id"])["status"] == Status.HELD
    assert world.provider.asked == []


def test_a_provider_that_is_not_configured_is_left_alone(world: World, caplog: pytest.LogCaptureFixture) -> None:
    [row], [message] = due(world)
    before = world.row(row["id"])
    assert reconcile.look(world.runtime, "gone", message.kwargs["items"]) == []
    assert "gone" in caplog.text
    assert world.row(row["id"]) == before


def test_a_yes_that_comes_during_a_look_is_not_undone(world: World) -> None:
    [row], [message] = due(world)

    def meanwhile(numbers: dict[str, str | None]) -> dict[str, Look]:
        with world.write() as conn:
            [moved] = reconcile.looks.begin(conn, ACCOUNT, message.kwargs["items"], world.clock())
            reconcile.looks.record_look(
                conn, moved, Look(kind=LookKind.OWNED), world.binding.policy, world.clock.watch()
            )
        return dict.fromkeys(numbers, Look(kind=LookKind.ABSENT))

    world.provider.look = meanwhile  # type: ignore[assignment, method-assign]
    assert world.deliver(message) == []
    assert world.row(row["id"])["status"] == Status.PURCHASED


def test_a_look_keeps_what_it_looks_at_for_as_long_as_it_takes(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "LEASE", 0.3)
    world = make(lookup="by_list")
    [row], [message] = due(world)
    kept: list[bool] = []

    def slowly(numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        world.clock.advance(3600)
        kept.append(eventually(lambda: world.row(row["id"])["due_at"] > world.clock.moment))
        return dict.fromkeys(numbers, Look(kind=LookKind.OWNED))

    monkeypatch.setattr(world.provider, "look", slowly)
    assert world.deliver(message) == [Status.PURCHASED]
    assert kept == [True]

"""What the timers do, run as often as one likes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import event, select

from schemas.status import Status
from schemas.tables.purchases import PROVIDER, PURCHASE
from tasks.ledger.queue import dispatch
from tasks.lifecycle import release_and_sweep
from tests.servers import RedisServer
from tests.tasks.scripted_provider import UNKNOWN
from tests.tasks.support import World, make_world, number
from workers.database.connections import SqlDatabase

Make = Callable[..., World]


def doubts(world: World, count: int) -> None:
    for n in range(count):
        world.provider.script.append(UNKNOWN)
        world.accept(number(n))
        world.work()
    world.clock.advance(60)


def test_a_message_names_the_purchase_and_goes_to_the_providers_queue(world: World) -> None:
    row = world.accept()
    [message] = world.sent
    assert (message.task, message.queue) == ("dialstock.internal.buy", "purchases.acme")
    assert message.kwargs == {
        "purchase_id": row["id"],
        "revision": row["revision"],
        "provider": "acme",
        "probe": False,
    }


@pytest.mark.parametrize("timer", [World.release, World.sweep, World.look], ids=["release", "sweep", "look"])
def test_a_timer_with_nothing_to_do_does_nothing(world: World, timer: Callable[[World], int]) -> None:
    assert timer(world) == 0
    row = world.queued()
    assert (world.sweep(), world.look()) == (0, 0)
    assert world.row(row["id"]) == row


@pytest.mark.parametrize("timer", [World.release, World.sweep, World.look], ids=["release", "sweep", "look"])
def test_a_timer_run_twice_changes_nothing_the_second_time(world: World, timer: Callable[[World], int]) -> None:
    doubts(world, 1)
    claim = world.claimed(number(5))
    world.clock.moment = claim.deadline + timedelta(seconds=3)
    queued = world.queued(number(6))
    timer(world)
    rows = [world.row(one["id"]) for one in (queued, claim.row)]
    assert timer(world) == 0
    assert [world.row(one["id"]) for one in (queued, claim.row)] == rows


def test_looks_by_number_go_one_by_one_and_at_the_pace_of_looks(make: Make) -> None:
    world = make(lookup_rate_limits=["4/second"])
    doubts(world, 5)
    assert world.look() == 2
    assert [len(message.kwargs["items"]) for message in world.sent] == [1, 1]


def test_looks_by_list_are_one_walk(make: Make) -> None:
    world = make(lookup="by_list", lookup_rate_limits=["4/second"])
    doubts(world, 5)
    assert world.look() == 5
    assert [len(message.kwargs["items"]) for message in world.sent] == [5]


def test_a_look_whose_message_is_lost_is_due_again_within_a_minute(world: World) -> None:
    doubts(world, 1)
    world.look()
    world.sent.clear()
    world.clock.advance(59)
    assert world.look() == 1


def test_without_redis_nothing_is_released(make: Make, redis: Redis, redis_server: RedisServer) -> None:
    world = make(redis)
    row = world.queued()
    redis_server.kill()
    with pytest.raises(RedisConnectionError):
        world.release()
    assert world.row(row["id"])["status"] == Status.QUEUED


def test_without_redis_a_look_is_left_to_who_can_send_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    doubts(world, 1)
    before = world.rows(select(PURCHASE))

    def away(_: object) -> None:
        raise RedisConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(world.pace, "all_next_in", away)
        with pytest.raises(RedisConnectionError):
            world.look()
    assert world.rows(select(PURCHASE)) == before
    assert world.look() == 1


def test_a_broker_that_is_away_leaves_what_was_released_to_the_sweep(world: World) -> None:
    row = world.queued()

    def away(_: object) -> None:
        raise OSError("no broker")

    object.__setattr__(world.runtime, "send", away)
    with pytest.raises(OSError, match="no broker"):
        world.release()
    assert world.row(row["id"])["status"] == Status.DISPATCHED
    world.clock.advance(world.binding.policy.take_within)
    assert world.sweep() == 1
    assert world.row(row["id"])["status"] == Status.QUEUED


def test_redis_emptied_at_any_moment_loses_nothing_for_a_minute(world: World) -> None:
    """Every message that was under way is gone, ten times over."""
    doubts(world, 3)
    rows = [world.accept(number(10 + n)) for n in range(3)]
    for _ in range(10):
        world.release()
        world.look()
        world.sent.clear()
        world.clock.advance(59)
        world.sweep()
    for _ in range(200):
        world.tick()
        world.clock.advance(5)
    assert {world.row(row["id"])["status"] for row in rows} == {Status.PURCHASED}
    assert len(world.provider.charged) == 6


def test_a_provider_is_named_in_its_own_queue_only(world: World) -> None:
    world.accept(number(1), provider="twin")
    assert release_and_sweep.release_due(world.runtime, world.runtime.providers["twin"]) == 0
    assert [message.queue for message in world.sent] == ["purchases.twin"]


def many(world: World, count: int) -> list[str]:
    """Accounts of their own, each with a purchase that is due."""
    names = [f"account{n}" for n in range(count)]
    world.runtime = replace(
        world.runtime, providers={name: replace(world.binding, alias=name, account=name) for name in names}
    )
    for n, name in enumerate(names):
        world.queued(number(n), name)
    return names


def test_what_is_due_of_many_accounts_is_released_in_few_transactions(world: World) -> None:
    names = many(world, release_and_sweep.TOGETHER)
    ended: list[object] = []

    @event.listens_for(world.runtime.database.engine, "commit")  # type: ignore[attr-defined]
    def _count(connection: object) -> None:
        ended.append(connection)

    assert release_and_sweep.release_all(world.runtime) == len(names)
    # Who has something due, what that is, and its release.
    assert len(ended) == 3
    assert sorted(message.queue for message in world.sent) == [f"purchases.{name}" for name in names]
    assert {row["status"] for row in world.rows(select(PURCHASE))} == {Status.DISPATCHED}


def test_more_accounts_than_share_a_release_are_all_released(world: World) -> None:
    names = many(world, 2 * release_and_sweep.TOGETHER + 1)
    assert release_and_sweep.release_all(world.runtime) == len(names)
    assert release_and_sweep.release_all(world.runtime) == 0


def test_whether_there_is_room_is_asked_of_many_busy_accounts_together(make: Make) -> None:
    world = make(max_in_flight=1)
    names = many(world, 2 * release_and_sweep.TOGETHER)
    for n, name in enumerate(names):
        world.queued(number(100 + n), name)
    assert release_and_sweep.release_all(world.runtime) == len(names)
    asked: list[str] = []

    @event.listens_for(world.runtime.database.engine, "before_cursor_execute")  # type: ignore[attr-defined]
    def _note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    assert release_and_sweep.release_all(world.runtime) == 0
    # Who has something due and is not paused, how they stand, and what runs.
    assert len([one for one in asked if not one.startswith("BEGIN")]) == 4


def test_two_names_of_one_account_share_its_room_in_one_release_too(make: Make) -> None:
    world = make(max_in_flight=3)
    for n in range(4):
        world.queued(number(n), "acme")
        world.queued(number(10 + n), "twin")
    assert release_and_sweep.release_all(world.runtime) == 3
    assert release_and_sweep.release_all(world.runtime) == 0


def test_a_provider_that_another_worker_releases_holds_up_no_other(postgres_url: str) -> None:
    database = SqlDatabase(postgres_url)
    world = make_world(database)
    names = many(world, 3)
    with world.write() as conn:
        dispatch.ensure_providers(conn, names, world.clock())
    with database.write() as other:
        other.execute(select(PROVIDER).where(PROVIDER.c.provider == names[1]).with_for_update())
        assert release_and_sweep.release_all(world.runtime) == 2
    assert release_and_sweep.release_all(world.runtime) == 1
    database.close()

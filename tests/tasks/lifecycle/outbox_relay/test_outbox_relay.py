"""Events go out at least once, in order, and by one relay at a time."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import insert, select

from schemas.events import CHANNEL, STREAM
from schemas.tables.purchases import EVENT
from tasks.ledger.rows import new_id
from tasks.lifecycle.outbox_relay import BATCH, LEASE_KEY, Relay, Selection, clean_up, count_kept, replay
from tests.servers import RedisServer
from tests.tasks.clock import START
from tests.tasks.scripted_provider import REFUSED
from tests.tasks.support import Killed, World, die, number
from tests.waiting import PATIENCE, eventually

Make = Callable[..., World]


@pytest.fixture
def world(make: Make, redis: Redis) -> World:
    """A world whose pace is out of the way, with a real Redis to publish on."""
    found = make()
    object.__setattr__(found.runtime, "redis", redis)
    return found


def published(world: World) -> list[dict[str, Any]]:
    return [json.loads(fields[b"event"]) for _, fields in world.runtime.redis.xrange(STREAM)]


def waiting(world: World) -> int:
    return sum(row["published_at"] is None for row in world.rows(select(EVENT)))


def buy(world: World, count: int, first: int = 0) -> None:
    for n in range(first, first + count):
        world.accept(number(n))
        world.work()


def test_events_are_cloud_events(world: World) -> None:
    world.provider.script += [REFUSED]
    buy(world, 2)
    assert Relay(world.runtime, "a").run_once() == 4
    for event in published(world):
        # the specification's required attributes, and the types of those it leaves open
        assert event["specversion"] == "1.0"
        assert all(isinstance(event[name], str) and event[name] for name in ("id", "source", "type"))
        assert datetime.fromisoformat(event["time"]).utcoffset() is not None
        assert event["datacontenttype"] == "application/json"
        assert event["source"] == "/dialstock/providers/acme"
        assert event["subject"] == event["data"]["number"]
        assert event["sequence"].isdecimal()
        assert isinstance(event["data"], dict)
        assert all(name.isalnum() and name.islower() for name in event)
    pairs = [(event["source"], event["id"]) for event in published(world)]
    assert len(set(pairs)) == len(pairs)


def test_a_purchases_data_says_it_all(world: World) -> None:
    row = world.accept(idempotency_key="k", metadata={"ticket": 7})
    world.work()
    Relay(world.runtime, "a").run_once()
    assert published(world)[-1]["data"] == {
        "purchase_id": row["id"],
        "order_id": None,
        "idempotency_key": "k",
        "number": row["number"],
        "provider": "acme",
        "status": "purchased",
        "success": True,
        "error": None,
        "error_code": None,
        "already_owned": False,
        "provider_number_id": "id-1",
        "attempts": 1,
        "monthly_price": None,
        "setup_price": None,
        "currency": None,
        "metadata": {"ticket": 7},
    }


def test_the_channel_hears_what_the_stream_keeps(world: World) -> None:
    listener = world.runtime.redis.pubsub(ignore_subscribe_messages=True)
    listener.subscribe(CHANNEL)
    listener.get_message(timeout=PATIENCE)
    buy(world, 2)
    Relay(world.runtime, "a").run_once()
    heard = [json.loads(listener.get_message(timeout=PATIENCE)["data"]) for _ in range(4)]
    assert heard == published(world)
    listener.close()


def test_what_is_published_is_not_published_again(world: World) -> None:
    buy(world, 2)
    relay = Relay(world.runtime, "a")
    assert (relay.run_once(), relay.run_once()) == (4, 0)
    assert waiting(world) == 0


def test_a_purchases_events_go_out_in_order_and_their_sequence_rises(world: World) -> None:
    buy(world, 5)
    world.accept(number(1))
    Relay(world.runtime, "a").run_once()
    for n in range(5):
        mine = [event for event in published(world) if event["subject"] == number(n)]
        assert [event["type"].rsplit(".", 1)[1] for event in mine][:2] == ["accepted", "purchased"]
        assert [event["sequence"] for event in mine] == sorted(event["sequence"] for event in mine)


def test_a_crash_between_publishing_and_marking_repeats_the_same_event(world: World) -> None:
    buy(world, 1)
    world.points["published"] = die
    with pytest.raises(Killed):
        Relay(world.runtime, "a").run_once()
    world.runtime.redis.delete(LEASE_KEY)
    assert Relay(world.runtime, "b").run_once() == 2
    first, second = published(world)[:2], published(world)[2:]
    assert first == second


def test_while_one_relay_has_the_lease_another_publishes_nothing(world: World) -> None:
    one, other = Relay(world.runtime, "a"), Relay(world.runtime, "b")
    assert one.run_once() == 0
    buy(world, 1)
    assert other.run_once() is None
    assert one.run_once() == 2


def test_a_relay_that_lost_its_lease_publishes_nothing(world: World) -> None:
    frozen, other = Relay(world.runtime, "a"), Relay(world.runtime, "b")
    assert frozen.run_once() == 0
    # its lease runs out while it sleeps
    world.runtime.redis.delete(LEASE_KEY)
    buy(world, 1)
    assert other.run_once() == 2
    buy(world, 1, first=1)
    assert frozen.run_once() is None
    assert len(published(world)) == 2
    assert other.run_once() == 2


def test_a_lease_runs_out_by_itself(world: World) -> None:
    Relay(world.runtime, "a").run_once()
    assert 0 < world.runtime.redis.pttl(LEASE_KEY) <= 10_000


def test_a_relay_that_stops_lets_the_next_one_in_soon(world: World) -> None:
    one, other = Relay(world.runtime, "a"), Relay(world.runtime, "b")
    one.run_once()
    other.release()
    assert other.run_once() is None
    one.release()
    eventually(lambda: other.run_once() == 0)


def test_redis_emptied_loses_no_event_that_was_not_published(world: World) -> None:
    relay = Relay(world.runtime, "a")
    buy(world, 1)
    relay.run_once()
    buy(world, 1, first=1)
    world.runtime.redis.flushall()
    while waiting(world):
        relay.run_once()
    assert {event["subject"] for event in published(world)} == {number(1)}


def test_events_wait_for_a_redis_that_is_away(world: World, redis_server: RedisServer) -> None:
    relay = Relay(world.runtime, "a")
    redis_server.kill()
    buy(world, 1)
    with pytest.raises(RedisConnectionError):
        relay.run_once()
    assert waiting(world) == 2
    redis_server.restart()
    while waiting(world):
        relay.run_once()
    assert len(published(world)) == 2


def test_the_stream_is_trimmed(world: World) -> None:
    relay = Relay(world.runtime, "a", stream_length=10)
    for n in range(150):
        world.accept(number(n))
    while relay.run_once():
        pass
    assert 10 <= world.runtime.redis.xlen(STREAM) < 150


def test_foreign_text_goes_out_as_it_came(world: World) -> None:
    text = 'Ünïcödé \u2028 \U0001f4de "quoted" {braces} %s ]]>'
    world.accept(metadata={"note": text})
    Relay(world.runtime, "a").run_once()
    assert published(world)[0]["data"]["metadata"]["note"] == text


def test_cleaning_up_keeps_what_is_new_and_what_was_never_published(world: World) -> None:
    buy(world, 2)
    Relay(world.runtime, "a").run_once()
    world.accept(number(7))
    assert clean_up(world.runtime, 3600.0) == 0
    world.clock.advance(3601)
    assert clean_up(world.runtime, 3600.0, limit=3) == 3
    assert clean_up(world.runtime, 3600.0, limit=3) == 1
    assert clean_up(world.runtime, 3600.0) == 0
    assert waiting(world) == len(world.rows(select(EVENT))) == 1


def published_all(world: World, count: int) -> list[dict[str, Any]]:
    """*count* purchases, and their events, all published."""
    buy(world, count)
    relay = Relay(world.runtime, "first")
    while relay.run_once():
        pass
    relay.release()
    found = published(world)
    world.runtime.redis.delete(STREAM)
    return found


def more_than_a_batch(world: World) -> list[dict[str, Any]]:
    """Events of twenty purchases, and as many copies of one as go out at once; all published."""
    buy(world, 20)
    one = world.rows(select(EVENT).order_by(EVENT.c.seq))[0]
    del one["seq"]
    with world.write() as conn:
        conn.execute(insert(EVENT), [{**one, "id": new_id(), "subject": number(100 + n)} for n in range(BATCH)])
    return published_all(world, 0)


def send_again(world: World, **selection: Any) -> list[dict[str, Any]]:
    wanted = Selection(**{"since": START, **selection})
    expected = count_kept(world.runtime, wanted)
    relay = Relay(world.runtime, "replay")
    assert sum(replay(world.runtime, relay, wanted, wait=0.001)) == expected
    relay.release()
    assert waiting(world) == 0
    found = published(world)
    assert len(found) == expected
    world.runtime.redis.delete(STREAM)
    return found


def test_a_replay_sends_the_same_events_in_the_same_order(world: World) -> None:
    first = published_all(world, 5)
    assert send_again(world) == first
    assert send_again(world) == first


def test_a_replay_goes_to_the_channel_too(world: World) -> None:
    first = published_all(world, 1)
    listener = world.runtime.redis.pubsub(ignore_subscribe_messages=True)
    listener.subscribe(CHANNEL)
    listener.get_message(timeout=PATIENCE)
    send_again(world)
    assert [json.loads(listener.get_message(timeout=PATIENCE)["data"]) for _ in first] == first
    listener.close()


def test_a_replay_of_several_batches_keeps_the_order(world: World) -> None:
    first = more_than_a_batch(world)
    assert len(first) > BATCH
    assert send_again(world) == first


def test_a_replay_selects_by_time_type_and_subject(world: World) -> None:
    early = published_all(world, 1)
    world.clock.advance(100)
    buy(world, 1, first=1)
    Relay(world.runtime, "second").run_once()
    late = published(world)
    world.runtime.redis.flushall()
    moment = world.clock.moment
    assert send_again(world, since=moment) == late
    assert send_again(world, until=moment) == early
    assert send_again(world, since=moment + timedelta(microseconds=1)) == []
    kinds = ("dialstock.purchase.purchased",)
    assert send_again(world, types=kinds) == [early[1], late[1]]
    assert send_again(world, types=(*kinds, "dialstock.request.accepted"), subject=number(1)) == late
    assert send_again(world, subject="nobody") == []


def test_new_events_go_out_between_two_batches_of_a_replay(world: World) -> None:
    first = more_than_a_batch(world)
    relay = Relay(world.runtime, "replay")
    steps = replay(world.runtime, relay, Selection(since=START), wait=0.001)
    assert next(steps) == BATCH
    world.accept("+14155569999")
    relay.run_once()
    assert list(steps) == [len(first) - BATCH]
    again = published(world)
    assert again[BATCH]["subject"] == "+14155569999"
    assert again[:BATCH] + again[BATCH + 1 :] == first
    relay.release()


def test_what_was_never_published_is_not_counted_as_sent_again(world: World) -> None:
    first = published_all(world, 1)
    world.accept("+14155569999")
    relay = Relay(world.runtime, "replay")
    assert list(replay(world.runtime, relay, Selection(since=START), wait=0.001)) == [len(first)]
    # the relay took the new one along, once
    assert [event["subject"] for event in published(world)] == [number(0), number(0), "+14155569999"]
    relay.release()


def test_a_replay_leaves_the_publishing_to_the_relay_that_has_the_lease(world: World) -> None:
    first = published_all(world, 3)
    worker, mine = Relay(world.runtime, "worker"), Relay(world.runtime, "replay")
    assert worker.run_once() == 0
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.005):
            worker.run_once()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert sum(replay(world.runtime, mine, Selection(since=START), wait=0.005)) == len(first)
    finally:
        over.set()
        thread.join()
    assert mine.run_once() is None
    assert published(world) == first


def test_a_replay_that_dies_has_its_batch_sent_by_any_relay(world: World) -> None:
    first = published_all(world, 2)
    world.points["published"] = die
    with pytest.raises(Killed):
        list(replay(world.runtime, Relay(world.runtime, "replay"), Selection(since=START)))
    world.runtime.redis.flushall()
    Relay(world.runtime, "worker").run_once()
    assert published(world) == first


def test_what_is_being_sent_again_is_not_cleaned_up(world: World) -> None:
    published_all(world, 1)
    world.clock.advance(3600)
    steps = replay(world.runtime, Relay(world.runtime, "replay"), Selection(since=START))
    Relay(world.runtime, "another").run_once()
    world.points["published"] = lambda: cleaned.append(clean_up(world.runtime, 60.0))
    cleaned: list[int] = []
    world.runtime.redis.delete(LEASE_KEY)
    assert next(steps) == 2
    assert cleaned == [0]

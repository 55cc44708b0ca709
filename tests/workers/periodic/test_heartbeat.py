"""Beat's sign of life."""

from __future__ import annotations

import pytest
from celery import Celery, signals
from redis import Redis

from tasks.redis_keys import BEAT_KEY
from tests.servers import RedisServer
from workers.periodic import heartbeat
from workers.periodic.heartbeat import Heartbeat, is_alive, kept_for


@pytest.fixture
def client(redis_server: RedisServer) -> Redis:
    return Redis.from_url(redis_server.url)


def test_how_long_a_silence_may_last() -> None:
    assert kept_for({}) is None
    assert kept_for({"a": {"schedule": 60.0}}) == 180.0
    assert kept_for({"a": {"schedule": 60.0}, "b": {"schedule": 5.0}}) == 30.0


def test_a_message_gives_the_sign_and_silence_ends_it(client: Redis, redis_server: RedisServer) -> None:
    heart = Heartbeat(client, 60)
    heart.start()
    try:
        assert not is_alive(client)
        with Celery("x", broker=redis_server.url, set_as_current=False) as app:
            app.send_task("dialstock.internal.audit", queue="nobody-listens")
        assert is_alive(client)
        assert 0 < client.pttl(BEAT_KEY) <= 60_000
    finally:
        signals.after_task_publish.disconnect(heart.sent)


def test_many_messages_at_one_moment_give_one_sign(client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    heart = Heartbeat(client, 60)
    heart.sent()
    client.delete(BEAT_KEY)
    heart.sent()
    assert not is_alive(client)
    monkeypatch.setattr(heartbeat, "EVERY", 0.0)
    heart.sent()
    assert is_alive(client)


def test_redis_away_breaks_nothing() -> None:
    Heartbeat(Redis(port=1), 60).sent()

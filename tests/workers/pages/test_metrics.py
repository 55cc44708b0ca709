"""What /metrics tells of the tables, beside Flower's own."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, update

from schemas.status import Status
from schemas.tables.accounts import BALANCE_CHECK
from schemas.tables.purchases import PURCHASE
from tasks.call_times import Call, CallTimes
from tests.servers import PostgresServer, RedisServer
from tests.waiting import eventually
from tests.workers.cli.running import NUMBERS, Cli, settle, simple_file
from tests.workers.pages.serving import Visitor, flower_at
from tests.workers.pages.test_pages import POOL
from workers.redis_access.client import connect_redis
from workers.views.desk import Desk


def samples(visitor: Visitor) -> dict[tuple[str, ...], float]:
    """Each sample by its name and its labels' values, in the order of the labels' names."""
    answer = visitor.get("/metrics", auth=None)
    assert answer.status_code == 200
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_purchases_ages_pauses_and_pools(visitor: Visitor, both: Cli, desk: Desk, home: Path) -> None:
    both.submit(simple_file(home, 4))
    now = desk.runtime.now()
    settle(desk, NUMBERS[0], Status.UNKNOWN, doubt=True, call_deadline=now - timedelta(seconds=500))
    held = settle(desk, NUMBERS[1], Status.HELD, doubt=True)
    with desk.runtime.database.write() as conn:
        long_ago = now - timedelta(seconds=9000)
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == held["id"]).values(updated_at=long_ago))
    both.ok("provider", "pause", "bird", "--reason", "an outage")
    found = samples(visitor)
    assert found["dialstock_database_up",] == 1
    assert found["dialstock_purchases", "timepay", "queued"] == 2
    assert found["dialstock_purchases", "timepay", "held"] == 1
    assert 500 <= found["dialstock_oldest_unknown_seconds", "timepay"] < 4000
    assert 9000 <= found["dialstock_oldest_held_seconds", "timepay"] < 13000
    assert found["dialstock_oldest_unsent_event_seconds",] >= 0
    assert found["dialstock_provider_paused", "person", "bird"] == 1
    assert any(name[0].startswith("process_") for name in found), "Flower's own are there too"


def test_a_pool_beside_its_thresholds(light: Visitor, home: Path) -> None:
    with (home / "providers.toml").open("a") as file:
        file.write(POOL)
    found = eventually(lambda: (now := samples(light)).get(("dialstock_pool_low", "new-york")) and now)
    assert found["dialstock_pool_low", "new-york"] == 2
    assert found["dialstock_pool_target", "new-york"] == 5
    assert found["dialstock_pool_numbers", "new-york", "available"] == 0


def test_what_was_spent_and_how_much_of_the_limits_is_used(visitor: Visitor, both: Cli, desk: Desk, home: Path) -> None:
    both.submit(simple_file(home, 2))
    price = {"currency": "USD", "monthly_price": "1.15", "setup_price": "0.5", "call_deadline": desk.runtime.now()}
    for number in NUMBERS[:2]:
        settle(desk, number, Status.PURCHASED, success=True, **price)
    found = samples(visitor)
    assert found["dialstock_spent_24h", "USD", "timepay"] == pytest.approx(3.3)
    assert found["dialstock_bought_24h", "timepay"] == 2
    assert ("dialstock_limit_24h", "timepay") not in found, "it has none"
    assert ("dialstock_max_spend_24h", "USD", "timepay") not in found
    assert found["dialstock_limit_calls_per_second", "buy", "timepay"] > 0


def test_a_balance_of_an_account_that_has_a_bound_for_it(visitor: Visitor, desk: Desk, home: Path) -> None:
    path, now = home / "providers.toml", desk.runtime.now()
    path.write_text(path.read_text().replace("[providers.telnyx]", '[providers.telnyx]\nlow_balance = "5 USD"'))
    accounts = {alias: one.account for alias, one in desk.runtime.providers.items()}
    looks = [
        {"account": accounts[alias], "provider": alias, "due_at": now, "balance": balance, "low": balance is not None}
        for alias, balance in (("telnyx", "3.20 USD"), ("vonage", "1.00 EUR"), ("plivo", None))
    ]
    desk.runtime.database.run(lambda conn: conn.execute(insert(BALANCE_CHECK), looks))
    found = eventually(lambda: (now := samples(visitor)).get(("dialstock_provider_balance_low", "telnyx")) and now)
    assert found["dialstock_provider_balance", "USD", "telnyx"] == pytest.approx(3.2)
    told = {key for key in found if key[0].startswith("dialstock_provider_balance")}
    assert {key[-1] for key in told} == {"telnyx"}, "the others have no bound"


def test_calls_and_queues_are_told_of_and_a_redis_that_is_away(
    cli: Cli, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    monkeypatch.setenv("REDIS_KEY_PREFIX", "ours:")
    with flower_at() as address, Visitor(address) as visitor:
        with connect_redis(redis_server.url, "ours:") as client:
            times = CallTimes()
            leave = times.timed("bird", Call.BUY, lambda: None)()
            assert leave is not None
            leave()
            times.ended("bird", "refused")
            times.hand_over(client)
            client.lpush("ours:purchases.bird", "a message", "another")
        found = samples(visitor)
        assert found["dialstock_redis_up",] == 1
        assert found["dialstock_call_duration_seconds_bucket", "buy", "+Inf", "bird"] == 1
        assert found["dialstock_call_duration_seconds_count", "buy", "bird"] == 1
        assert found["dialstock_call_outcomes_total", "refused", "bird"] == 1
        assert found["dialstock_queue_messages", "purchases.bird"] == 2
        assert found["dialstock_queue_messages", "purchases"] == 0
        redis_server.kill()
        found = samples(visitor)
        assert found["dialstock_redis_up",] == 0
        assert found["dialstock_database_up",] == 1
        assert not [name for name, *_ in found if name.startswith(("dialstock_call_", "dialstock_queue_"))]


def test_no_number_and_no_id_stands_in_a_label(light: Visitor, cli: Cli, desk: Desk, home: Path) -> None:
    order = cli.submit(simple_file(home, 1))
    settle(desk, NUMBERS[0], Status.HELD, doubt=True)
    text = light.get("/metrics").text
    assert "dialstock_purchases{" in text
    for secret in (NUMBERS[0], NUMBERS[0][1:], order, order[-8:]):
        assert secret not in text


def test_a_database_that_is_away_is_told(
    cli: Cli, postgres_server: PostgresServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    with flower_at() as address, Visitor(address) as visitor:
        assert samples(visitor)["dialstock_database_up",] == 1
        postgres_server.kill()
        try:
            eventually(lambda: samples(visitor)["dialstock_database_up",] == 0)
            assert "the database" in visitor.data("/orders", status=503)["error"]
        finally:
            postgres_server.restart()

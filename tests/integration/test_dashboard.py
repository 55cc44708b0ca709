"""Each panel of the dashboard and each alert asks a real Prometheus, beside a real Flower and a real worker."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, update

from schemas.status import Status
from schemas.tables.audits import FINDING
from schemas.tables.purchases import PROVIDER, PURCHASE
from tasks.ledger.rows import new_id
from tasks.messages.celery_tasks import BALANCE
from tasks.runtime import utc_now
from tests.integration.containers import LocalProcess
from tests.integration.place import Place
from tests.integration.prometheus import Prometheus, prometheus_of
from tests.servers import RedisServer
from tests.servers.redis import free_port
from tests.waiting import eventually

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
POOL = {
    "spare": {"providers": ["signalwire"], "prefix": "202", "low": 1, "target": 2, "daily_limit": 0, "schedule": "1h"}
}


def queries() -> list[tuple[str, str]]:
    """Each panel's title and query, with what Grafana puts in for its variables."""
    return [
        (panel["title"], target["expr"].replace("$__rate_interval", "1m").replace("$provider", ".*"))
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    ]


def test_every_panel_shows_something(
    postgres_url: str, redis_server: RedisServer, tmp_path: Path, numbers: Callable[[int], list[str]]
) -> None:
    with ExitStack() as stack:
        place = stack.enter_context(Place(tmp_path, postgres_url, redis_server, pools=POOL, daily_limit=100))
        limited(place)
        place.setup("worker")
        port = free_port()
        command = ["dialstock", "flower", "--port", str(port)]
        flower = LocalProcess("flower", command, place.environ, tmp_path / "flower.log")
        stack.callback(flower.stop)
        trouble(place, buy(place, numbers(3)))
        place.send({"name": BALANCE, "kwargs": {"provider": "telnyx"}})
        prometheus = stack.enter_context(
            prometheus_of(f"127.0.0.1:{port}", tmp_path, DEPLOY / "prometheus" / "rules.yaml")
        )
        calls = 'sum(dialstock_call_duration_seconds_count{call="buy"})'
        eventually(lambda: prometheus.values(calls) == [3.0], what="the first calls are told of")
        buy(place, numbers(2))
        eventually(lambda: prometheus.values(calls) == [5.0], what="all calls are told of")
        for title, query in queries():
            eventually(lambda query=query: shows(prometheus, query), what=f"{title}: {query}")  # type: ignore[misc]
        taken = 'sum(dialstock_call_outcomes_total{provider="bird",outcome=~"purchased|processing"})'
        for five in (taken, 'dialstock_bought_24h{provider="bird"}'):
            eventually(lambda five=five: prometheus.values(five) == [5.0], what=five)  # type: ignore[misc]
        eventually(lambda: healthy(prometheus), what="each alert is evaluated")


def limited(place: Place) -> None:
    """Have an account that spends so much a day, and one whose balance is looked at."""
    path = place.home / "providers.toml"
    text = path.read_text(encoding="utf-8")
    money = 'max_spend = "9 EUR"\ncost_if_unknown = "1 EUR"'
    for table, lines in (("vogent.policy", money), ("telnyx", 'low_balance = "5 USD"')):
        text = text.replace(f"[providers.{table}]", f"[providers.{table}]\n{lines}")
    path.write_text(text, encoding="utf-8")


def buy(place: Place, numbers: list[str]) -> list[str]:
    message: dict[str, Any] = {"name": "dialstock.buy_number"}
    place.send(*({**message, "kwargs": {"number": number, "provider": "bird"}} for number in numbers))
    eventually(lambda: all(is_bought(place, number) for number in numbers), what="bought")
    return numbers


def is_bought(place: Place, number: str) -> bool:
    return [row["status"] for row in place.rows(PURCHASE, number=number)] == [Status.PURCHASED]


def trouble(place: Place, numbers: list[str]) -> None:
    """What there is to see on a bad day: a purchase held, one in doubt, a price, a pause, a finding."""
    now = utc_now()
    doubt = {"doubt": True, "call_deadline": now - timedelta(hours=3), "due_at": now + timedelta(hours=3)}
    later = {"held": {}, "unknown": doubt, "purchased": {"currency": "EUR", "monthly_price": "1.5"}}
    other = {"id": new_id(), "idempotency_key": None, "number": "+14155550001", "provider": "vogent"}
    spent = {**place.purchase(numbers[2]), **later["purchased"], **other}
    finding = {"id": new_id(), "account": "elsewhere", "kind": "orphan", "number": "+14155550000", "provider": "vogent"}
    with place.database.write() as conn:
        for number, (status, values) in zip(numbers, later.items(), strict=True):
            conn.execute(update(PURCHASE).where(PURCHASE.c.number == number).values(status=status, **values))
        conn.execute(insert(PURCHASE), [spent])
        paused = {"paused_at": now, "cause": "person", "reason": "an outage"}
        conn.execute(update(PROVIDER).where(PROVIDER.c.provider == "vogent").values(**paused))
        conn.execute(insert(FINDING), [{**finding, "provider_number_ids": ["x"], "found_at": now}])


def shows(prometheus: Prometheus, query: str) -> bool:
    values = prometheus.values(query)
    return bool(values) and any(map(math.isfinite, values))


def healthy(prometheus: Prometheus) -> bool:
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert not [rule for rule in rules if rule["health"] == "err"]
    return bool(rules) and all(rule["health"] == "ok" for rule in rules)

"""Flower's /metrics with ours behind its own: what the tables and Redis know, in Prometheus' text.

Like Flower's, it asks for no password. No number, no id and no caller stands in a label.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from flower.views.monitor import Metrics as FlowersMetrics
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from tornado.ioloop import IOLoop

from tasks.reports.measures import Measures, measure
from tasks.runtime import Runtime
from workers.pages.frame.desk import PagesDesk
from workers.pages.metrics_of_redis import limit_families, redis_families
from workers.views.errors import failure_of

_SHARE = 49.0
"""What took t seconds to measure is shown again for 49 times as long: 2 % of one connection's time at most."""


class Metrics(FlowersMetrics):  # type: ignore[misc]
    """Flower's metrics, then ours."""

    def initialize(self, measured: Measured) -> None:
        """Given with the address."""
        self.measured = measured

    async def get(self) -> None:
        """Both, as one text."""
        await super().get()
        self.write(await IOLoop.current().run_in_executor(None, self.measured.text))


class Measured:
    """The text of our metrics, measured no more often than it may cost."""

    def __init__(self, desk: PagesDesk) -> None:
        self._desk = desk
        self._lock = threading.Lock()
        self._text = b""
        self._until = 0.0

    def text(self) -> bytes:
        """As Prometheus reads it. Where the database cannot be read, dialstock_database_up is 0, and stands alone."""
        with self._lock:
            try:
                desk = self._desk.open()
                if time.monotonic() >= self._until:
                    self._measure(desk.runtime)
            except Exception as exc:
                if failure_of(exc) is None:
                    raise
                return as_text([_up(0)])
            text = self._text
        return text + as_text(redis_families(desk))

    def _measure(self, runtime: Runtime) -> None:
        began = time.monotonic()
        found = families(measure(runtime))
        self._text = as_text([_up(1), *found, *limit_families(runtime.providers.values())])
        ended = time.monotonic()
        self._until = ended + _SHARE * (ended - began)


def as_text(found: Iterable[Metric]) -> bytes:
    """The families in Prometheus' text format."""

    class Found(Collector):
        def collect(self) -> Iterable[Metric]:
            return found

    registry = CollectorRegistry()
    registry.register(Found())
    return generate_latest(registry)


def families(now: Measures) -> Iterator[GaugeMetricFamily]:
    """What was measured, under the names that others build on."""
    yield _counts("purchases", "Purchases by provider and status.", ("provider", "status"), now.purchases)
    yield _ages("oldest_unknown_seconds", "Age of the longest doubt whether a number is ours.", now.oldest_unknown, now)
    yield _ages("oldest_held_seconds", "How long the longest has waited for a person.", now.oldest_held, now)
    unsent = 0.0 if now.oldest_event is None else (now.at - now.oldest_event).total_seconds()
    yield _single("oldest_unsent_event_seconds", "Age of the oldest event that is not published yet.", unsent)
    paused = dict.fromkeys(now.paused.items(), 1)
    yield _counts("provider_paused", "1 for a provider that buys nothing now, by cause.", ("provider", "cause"), paused)
    spent = {of: float(total) for of, total in now.spent.items()}
    yield _counts("spent_24h", "What numbers bought in 24 hours cost as told.", ("provider", "currency"), spent)
    bought = {(provider,): count for provider, count in now.bought.items()}
    yield _counts("bought_24h", "Bought by its account in 24 hours, or may be.", ("provider",), bought)
    yield from _balances(now)
    yield _counts("audit_findings", "What audits found and nobody settled.", ("provider", "kind"), now.findings)
    levels = {
        (name, state): count
        for name, pool in now.pools.items()
        for state, count in (
            ("available", pool.available),
            ("on_the_way", pool.moving),
            ("held", pool.held),
            ("wanted", pool.wanted),
            ("taken", pool.taken),
        )
    }
    yield _counts("pool_numbers", "Places of a pool by state.", ("pool", "state"), levels)
    bought = {(name,): pool.bought_today for name, pool in now.pools.items()}
    yield _counts("pool_bought_24h", "What a pool bought in 24 hours, or is about to buy.", ("pool",), bought)
    low = {(name,): low for name, (low, _) in now.thresholds.items()}
    yield _counts("pool_low", "Below so many numbers a pool is filled up.", ("pool",), low)
    target = {(name,): target for name, (_, target) in now.thresholds.items()}
    yield _counts("pool_target", "Up to so many.", ("pool",), target)


def _balances(now: Measures) -> Iterator[GaugeMetricFamily]:
    left = {(provider, one.currency): float(one.amount) for provider, (one, _) in now.balances.items()}
    about = "What its account had left, when it was looked at last."
    yield _counts("provider_balance", about, ("provider", "currency"), left)
    low = {(provider,): float(is_low) for provider, (_, is_low) in now.balances.items()}
    yield _counts("provider_balance_low", "1 where that is low_balance or below.", ("provider",), low)


def _up(value: int) -> GaugeMetricFamily:
    return _single("database_up", "Whether the tables could be read.", value)


def _single(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"dialstock_{name}", about, value=value)


def _counts(name: str, about: str, labels: tuple[str, ...], counts: Mapping[Any, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"dialstock_{name}", about, labels=labels)
    for values, count in sorted(counts.items()):
        family.add_metric(values, count)
    return family


def _ages(name: str, about: str, since: Mapping[str, datetime], now: Measures) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"dialstock_{name}", about, labels=("provider",))
    for provider, at in sorted(since.items()):
        family.add_metric((provider,), max(0.0, (now.at - at).total_seconds()))
    return family

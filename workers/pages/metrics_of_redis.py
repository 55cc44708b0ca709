"""What Redis knows for /metrics: how long calls took, what they came to, and how many messages wait in each queue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from redis.exceptions import RedisError

from tasks.call_times import BOUNDS, Counted, counted
from tasks.redis_keys import named
from tasks.runtime import PUBLIC_QUEUE, Binding, queue_of
from workers.redis_access.client import connect_redis
from workers.settings import Settings
from workers.views.desk import Desk, open_redis

_PATIENCE = 1.0


def redis_families(desk: Desk) -> list[Metric]:
    """All of it; where a server is away, that dialstock_redis_up is 0, and no more."""
    providers = desk.runtime.providers
    up = GaugeMetricFamily("dialstock_redis_up", "Whether Redis and the broker could be read.", value=0)
    try:
        with closing(open_redis(desk.settings)) as client:
            found = counted(client, providers)
        waiting = _waiting(desk.settings, [PUBLIC_QUEUE, *map(queue_of, sorted(providers))])
    except RedisError:
        return [up]
    up = GaugeMetricFamily("dialstock_redis_up", "Whether Redis and the broker could be read.", value=1)
    return [up, *call_families(found), queue_family(waiting)]


def _waiting(settings: Settings, queues: list[str]) -> dict[str, int]:
    own = settings.broker_url != settings.redis_url
    broker = connect_redis(settings.broker_url, settings.key_prefix, timeout=_PATIENCE, tries=1) if own else None
    with closing(broker or open_redis(settings)) as client:
        return {queue: int(client.llen(named(client, queue))) for queue in queues}


def call_families(found: Counted) -> Iterator[Metric]:
    """What workers counted of their calls."""
    took = HistogramMetricFamily(
        "dialstock_call_duration_seconds",
        "Calls to providers, from the first byte to the end of the answer.",
        labels=("provider", "call"),
    )
    ends = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
    for labels, times in sorted(found.times.items()):
        took.add_metric(labels, list(zip(ends, accumulate(map(float, times.buckets)), strict=True)), times.sum)
    yield took
    came_to = CounterMetricFamily(
        "dialstock_call_outcomes", "Calls to buy by what they came to, a number each.", labels=("provider", "outcome")
    )
    for labels, count in sorted(found.outcomes.items()):
        came_to.add_metric(labels, count)
    yield came_to


def queue_family(waiting: dict[str, int]) -> Metric:
    """Messages that no worker has taken yet."""
    family = GaugeMetricFamily("dialstock_queue_messages", "Messages that wait for a worker.", labels=("queue",))
    for queue, count in waiting.items():
        family.add_metric((queue,), count)
    return family


def limit_families(providers: Iterable[Binding]) -> Iterator[Metric]:
    """The limits of the configuration, to hold what is used against."""
    pace = GaugeMetricFamily(
        "dialstock_limit_calls_per_second", "Calls a second that are made at most.", labels=("provider", "call")
    )
    day = GaugeMetricFamily("dialstock_limit_24h", "Purchases in 24 hours at most.", labels=("provider",))
    spend = GaugeMetricFamily(
        "dialstock_max_spend_24h", "What is spent in 24 hours at most.", labels=("provider", "currency")
    )
    for one in providers:
        pace.add_metric((one.alias, "buy"), 1 / one.buying.interval)
        pace.add_metric((one.alias, "read"), 1 / one.looking.interval)
        if one.policy.daily_limit:
            day.add_metric((one.alias,), one.policy.daily_limit)
        if most := one.policy.max_spend:
            spend.add_metric((one.alias, most.currency), float(most.amount))
    yield from (pace, day, spend)

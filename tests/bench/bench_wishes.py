"""An order by criteria over three providers, of which two run out, while others buy a third of what we find.

COUNT says how many numbers are ordered, DATABASE=SQLite or PostgreSQL that one alone is measured: 10,000 take twelve
minutes on each. Purchase calls and searches are counted where they arrive.

The pace is that of the preferred provider that has some, for the others are asked when it runs short: of each second
from the order's first call to its last, what the provider with the most calls got, to what it allows. A second in which
nobody is called is lost, at the beginning of a provider or at the end of the order too, and no second counts for more
because two providers were called in it; what all of them got together is told beside it.
"""

from __future__ import annotations

import os
import statistics
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from itertools import chain
from math import ceil
from typing import Any

import httpx

from tests.bench.measuring import report
from tests.bench.measuring.candidates import APP, Bench, folder
from tests.bench.measuring.dialing import bought_in_all, dialstock, dialstock_environ
from tests.bench.measuring.harness import celery, rounds, running, served, setting
from tests.bench.measuring.shop import AREA, PAGE
from tests.servers import PostgresServer, RedisServer
from workers.fleet import wait_for

RATE = 20
"""Purchase calls a second that each provider allows, and reading ones."""

SOLD = 30
"""Of a hundred numbers, those that somebody else has by the time we ask for them."""

LATENCY = 0.2
STOCKS = (0.4, 0.4, 2.0)
"""What each provider has, for each number that is ordered: the first two run out."""

_PROVIDER = """\
[providers.shop{place}]
kind = "plivo"
base_url = "{url}"
token_env = "STUB_TOKEN"
auth_id = "shop{place}"

[providers.shop{place}.policy]
daily_limit = 0
max_in_flight = 200
rate_limits = ["{rate}/second"]
lookup_rate_limits = ["{rate}/second"]
"""


def bench_wishes(redis_server: RedisServer, postgres_server: PostgresServer) -> None:
    bench = Bench(redis_server, postgres_server, setting("COUNT", 10_000))
    kinds = [kind for kind in ("SQLite", "PostgreSQL") if os.environ.get("DATABASE") in {None, kind}]
    results = rounds({kind: _Order(bench, kind).measure for kind in kinds})
    report.publish(
        "An order by criteria",
        ("", "bought", "twice", "refused", "of the pace", "calls/s", "searches", "needed", "ratio"),
        [_row(kind, found) for kind, found in results.items()],
        notes=(
            f"{bench.count:,} numbers over three providers of {RATE} calls a second each, of which two run out; {SOLD} "
            f"of 100 numbers are sold meanwhile, and a search shows {PAGE}. Of the pace: the calls of each second "
            "at the provider that had the most in it, to what one allows. Needed are the pages that hold what was "
            f"bought and refused. Medians of {setting('ROUNDS', 3)} rounds."
        ),
    )


@dataclass(frozen=True)
class Found:
    """`pace` is the part of what one limit allows, `rate` all calls a second; `searches` and `needed` are pages."""

    bought: int
    twice: int
    refused: int
    pace: float
    rate: float
    searches: int
    needed: int

    def __str__(self) -> str:
        searched = f"{self.searches} searches where {self.needed} are needed"
        came_to = f"{self.bought} bought, {self.twice} twice, {self.refused} refused"
        return f"{came_to}, {self.pace:.1%} of the pace, {self.rate:.1f}/s, {searched}"


@dataclass(frozen=True)
class _Order:
    bench: Bench
    kind: str

    def measure(self) -> Found:
        """Order, have one worker process find and buy, and ask the providers what they saw."""
        count = self.bench.count
        with ExitStack() as stack:
            url, home = stack.enter_context(self.bench.database(self.kind)), stack.enter_context(folder())
            shops = [
                stack.enter_context(served("shop", LATENCY, place, int(part * count), SOLD)).url
                for place, part in enumerate(STOCKS)
            ]
            providers = [_PROVIDER.format(place=place, url=shop, rate=RATE) for place, shop in enumerate(shops)]
            environ = dialstock_environ(home, providers, self.bench.redis.url, url)
            stack.enter_context(running(celery(APP), environ))
            wait_for(self.bench.redis.url, ["bench@bench"], 60)
            named = [option for place in range(len(shops)) for option in ("--provider", f"shop{place}")]
            dialstock(environ, "order", "find", "--count", str(count), "--prefix", AREA, *named, "--wait")
            found = _found([httpx.get(f"{shop}/log").json() for shop in shops])
            self.bench.check(found.bought)
            self.bench.check(bought_in_all(url, count))
            return found


def _found(logs: Sequence[dict[str, Any]]) -> Found:
    """What the providers' logs come to."""
    sold = Counter(number for log in logs for number in log["sold"])
    times = [log["times"] for log in logs]
    calls = sorted(chain.from_iterable(times))
    lasted = calls[-1] - calls[0]
    seconds = [Counter(int(call - calls[0]) for call in one) for one in times]
    busiest = sum(max(one[second] for one in seconds) for second in range(int(lasted) + 1))
    return Found(
        bought=sold.total(),
        twice=sum(many - 1 for many in sold.values()),
        refused=sum(len(log["refused"]) for log in logs),
        pace=busiest / (RATE * lasted + 1),
        rate=len(calls) / lasted,
        searches=sum(log["searches"] for log in logs),
        needed=sum(ceil((len(log["sold"]) + len(log["refused"])) / PAGE) for log in logs),
    )


def _row(kind: str, found: Sequence[Found]) -> report.Row:
    middle = {one.name: statistics.median(getattr(each, one.name) for each in found) for one in fields(Found)}
    counts = [f"{middle[name]:,.0f}" for name in ("bought", "twice", "refused")]
    pages = [f"{middle[name]:,.0f}" for name in ("searches", "needed")]
    rate = f"{middle['rate']:.1f}"
    return (kind, *counts, f"{middle['pace']:.1%}", rate, *pages, f"{middle['searches'] / middle['needed']:.2f}")

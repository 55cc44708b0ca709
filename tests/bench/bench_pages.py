"""Each page and the metrics with a million purchases behind them: the first look, and the median of those after it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.bench.measuring import report
from tests.bench.measuring.harness import rounds, setting
from tests.bench.measuring.history import write_past
from tests.workers.cli.conftest import home
from tests.workers.pages.serving import Visitor, flower_at
from tests.workers.pages.test_pages import POOL
from workers.cli.terminal.context import open_desk

__all__ = ["home"]

PAGES = (
    *("orders", "orders/last", "orders/last?status=failed", "held", "held?provider=bird"),
    *("purchases", "purchases?status=released", "purchases?provider=bird", "purchases/last", "purchases/0010000500"),
    *("pools", "pools/new-york", "providers", "new", "search", "asyncapi"),
)
"""Filters that find few of many, and an id that is written in part, beside the pages as they open."""

LOOKS = 9


def bench_pages(home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = setting("ROWS", 1_000_000)
    monkeypatch.setenv("DATABASE_URL", database_url)
    with (home / "providers.toml").open("a") as toml:
        toml.write(POOL)
    with open_desk() as desk:
        account = desk.runtime.providers["signalwire"].account
    write_past(database_url, rows, provider="signalwire", account=account)
    with flower_at() as address, Visitor(address) as visitor:
        found = {page: _looks(partial(visitor.page, f"/{page}")) for page in PAGES}
    # What was measured is shown again for a while: each look is the first of a Flower of its own.
    metrics = rounds({"/metrics": _first_metrics})["/metrics"]
    found["/metrics"] = metrics[0], statistics.median(metrics)
    report.publish(
        f"Pages on {'SQLite' if database_url.startswith('sqlite') else 'PostgreSQL'}",
        ("page", "first, ms", "later, ms"),
        [(page, f"{first:.0f}", f"{later:.0f}") for page, (first, later) in found.items()],
        notes=f"{rows:,} finished purchases, Flower in this process; the aim is 500 ms for a page, 300 ms for metrics.",
    )


def _looks(look: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds of the first look, and the median of those after it."""
    times = [_milliseconds(look) for _ in range(LOOKS)]
    return times[0], statistics.median(times[1:])


def _first_metrics() -> float:
    with flower_at() as address, Visitor(address) as visitor:
        return _milliseconds(lambda: visitor.get("/metrics").raise_for_status())


def _milliseconds(look: Callable[[], object]) -> float:
    began = time.monotonic()
    look()
    return 1000 * (time.monotonic() - began)

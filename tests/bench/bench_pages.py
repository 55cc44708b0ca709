"""Each page with a million purchases behind it: the first look, and the median of those after it."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.harness import setting
from tests.bench.history import write_past
from tests.workers.cli.conftest import home
from tests.workers.pages.serving import Visitor, flower_at
from tests.workers.pages.test_pages import POOL
from workers.cli.terminal.context import open_desk

__all__ = ["home"]

PAGES = ("orders", "orders/last", "held", "purchases", "purchases/last", "pools", "pools/new-york", "providers", "new")
LOOKS = 9


def bench_pages(home: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = setting("ROWS", 1_000_000)
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    with (home / "providers.toml").open("a") as toml:
        toml.write(POOL)
    with open_desk() as desk:
        account = desk.runtime.providers["signalwire"].account
    write_past(postgres_url, rows, provider="signalwire", account=account)
    with flower_at() as address, Visitor(address) as visitor:
        found = [(page, *_looks(visitor, f"/{page}")) for page in PAGES]
    report.publish(
        "Pages",
        ("page", "first, ms", "later, ms"),
        [(page, f"{first:.0f}", f"{later:.0f}") for page, first, later in found],
        notes=f"{rows:,} finished purchases on PostgreSQL, Flower in this process; the aim is 500 ms.",
    )


def _looks(visitor: Visitor, page: str) -> tuple[float, float]:
    """Milliseconds of the first look, and the median of those after it."""
    times = []
    for _ in range(LOOKS):
        began = time.monotonic()
        visitor.page(page)
        times.append(1000 * (time.monotonic() - began))
    return times[0], statistics.median(times[1:])

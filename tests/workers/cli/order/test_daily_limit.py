"""A daily limit that is used up is told, and when it goes on, wherever something waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from schemas.status import Status
from tests.workers.cli.order.test_progress import only
from tests.workers.cli.running import NUMBERS, Cli, purchases, sandbox_config_text, settle, simple_file
from workers.cli.terminal.context import open_desk
from workers.views.desk import Desk
from workers.views.explain import when

HOUR = 3600.0


@pytest.fixture
def limited(both: Cli, home: Path) -> Iterator[Desk]:
    """TimePay sells two a day."""
    text = sandbox_config_text("http://127.0.0.1:9").replace("daily_limit = 0", "daily_limit = 2", 1)
    (home / "providers.toml").write_text(text)
    with open_desk() as desk:
        assert desk.runtime.providers["timepay"].policy.daily_limit == 2
        yield desk


def spend(cli: Cli, desk: Desk, home: Path, lines: int) -> tuple[str, datetime]:
    """An order whose first two were bought 20 and 10 hours ago; returns it, and when the next may be bought."""
    order, now = cli.submit(simple_file(home, lines)), desk.runtime.now()
    for number, hours in zip(NUMBERS[:2], (20, 10), strict=True):
        settle(desk, number, Status.PURCHASED, call_deadline=now - timedelta(hours=hours))
    return order, now + timedelta(hours=4)


def test_an_order_tells_when_it_goes_on(both: Cli, limited: Desk, home: Path) -> None:
    order, goes_on = spend(both, limited, home, 3)
    at = when(goes_on, limited.runtime.now())
    part = only(limited, order)
    assert part.why == (f"daily limit: 2 of 2 in 24 h are bought; goes on {at}",)
    assert part.left == pytest.approx(4 * HOUR, rel=0.01)


def test_what_is_under_way_leaves_no_room_either(both: Cli, limited: Desk, home: Path) -> None:
    order, _ = spend(both, limited, home, 4)
    settle(limited, NUMBERS[1], Status.RELEASED)
    settle(limited, NUMBERS[2], Status.PURCHASING)
    why = only(limited, order).why[0]
    assert why.startswith("daily limit: 2 of 2 in 24 h are bought, 1 under way; goes on at ")
    assert why.endswith(" at the latest")


def test_a_purchase_tells_why_it_waits(both: Cli, limited: Desk, home: Path) -> None:
    _, goes_on = spend(both, limited, home, 3)
    told = f"Daily limit: 2 of 2 in 24 h are bought; goes on {when(goes_on, limited.runtime.now())}."
    step = f"Bought once its account may buy more (try 1 of 6). {told}"
    assert both.json("purchase", "show", str(purchases(limited)[NUMBERS[2]]["id"]))["next"] == step
    assert step in both.ok("buy", NUMBERS[3], "--provider", "timepay")
    assert "as soon as a worker has room" in both.json("buy", NUMBERS[3], "--provider", "fluents")["next"]


def test_a_dry_run_counts_what_was_bought_and_what_waits_before(both: Cli, limited: Desk, home: Path) -> None:
    def seconds(lines: int) -> float:
        document = both.json("order", "submit", str(simple_file(home, lines)), "--dry-run")
        return float(document["providers"][0]["seconds"])

    assert seconds(2) < 2
    assert seconds(4) == pytest.approx(24 * HOUR, rel=0.01)
    spend(both, limited, home, 2)
    assert seconds(3) == pytest.approx(4 * HOUR, rel=0.01)
    assert seconds(4) == pytest.approx(14 * HOUR, rel=0.01)
    assert seconds(5) == pytest.approx(28 * HOUR, rel=0.01)
    both.submit(simple_file(home, 3))
    assert seconds(4) == pytest.approx(14 * HOUR, rel=0.01)
    assert seconds(5) == pytest.approx(28 * HOUR, rel=0.01)


def test_the_list_of_providers_tells_what_is_used(both: Cli, limited: Desk, home: Path) -> None:
    def row(alias: str = "timepay") -> tuple[str, int | None]:
        found = {one["provider"]: one for one in both.json("provider", "list")}[alias]
        return found["limits"], found["daily_limit_left"]

    limits, left = row()
    assert (limits.endswith("/second, 2 in 24 h"), left) == (True, 2)
    spend(both, limited, home, 3)
    limits, left = row()
    assert (limits.endswith("/second, 2 of 2 in 24 h"), left) == (True, 0)
    assert "2 of 2 in 24 h" in both.ok("provider", "list")
    assert row("fluents")[1] is None

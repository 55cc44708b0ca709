"""Pictures: what a pool had, and what a provider's limit was used for."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from sqlalchemy import delete, insert

from schemas.pool_requests import TakeNumber
from schemas.status import Status
from schemas.tables.accounts import BALANCE_CHECK
from schemas.tables.pools import POOL_NUMBER, POOL_REQUEST
from schemas.tables.purchases import ATTEMPT, PROVIDER, PURCHASE
from tasks.pools.requests import take_and_return
from tests.tasks.pools.stocking import slots
from tests.tasks.reports.test_calls_made import call
from tests.tasks.reports.test_spending import row
from tests.waiting import eventually
from tests.workers.pages.serving import Visitor
from tests.workers.pages.test_pages import POOL
from workers.pages.frame.drawing import bars, steps
from workers.pages.frame.shared import Shared
from workers.views.desk import Desk

NOW = datetime(2026, 5, 3, 12, 30, tzinfo=UTC)


def stocked(desk: Desk, visitor: Visitor, home: Path) -> None:
    """A pool of five, of which two are taken, that has bought one for 1.50 USD."""
    with (home / "providers.toml").open("a") as toml:
        toml.write(POOL)
    eventually(lambda: visitor.data("/pools")["pools"])
    now = desk.runtime.now()
    # Called for just now: the deadline is to come.
    bought = {"pool": "new-york", "call_deadline": now + timedelta(seconds=30), "provider": "signalwire"}

    def write(conn: Any) -> None:
        conn.execute(delete(POOL_NUMBER))
        conn.execute(delete(POOL_REQUEST))
        conn.execute(insert(POOL_NUMBER), list(slots(5, pool="new-york", now=now)))
        conn.execute(insert(PURCHASE), [row(1, "1.00", "0.50", **bought), row(2, **bought)])

    desk.runtime.database.run(write)
    assert take_and_return.take(desk.runtime, TakeNumber(pool="new-york", count=2), "m")["success"]


def test_a_pool_s_last_days_and_what_it_spent(visitor: Visitor, desk: Desk, home: Path) -> None:
    stocked(desk, visitor, home)
    picture = visitor.data("/pools/new-york")["picture"]
    levels = [level for _, level in picture["available"]]
    assert (len(levels), levels[0], levels[-1]) == (7 * 24 + 1, 5, 3)
    assert [(one["total"], one["currency"]) for one in picture["spent_24h"]] == [("1.50", "USD"), (None, None)]
    page = visitor.page("/pools/new-york")
    assert "Available in the last 7 days: 3 to 5, now 3, low is 2, target is 5" in page
    assert "1.50 USD, 1 number without a price (setup and first month)" in page


def test_calls_of_the_last_hour_and_the_balance(visitor: Visitor, desk: Desk) -> None:
    now = desk.runtime.now()
    purchases = [row(n, provider="telnyx", call_deadline=now, status=Status.FAILED) for n in range(3)]
    calls = [call(one, now - timedelta(minutes=5)) for one in purchases[:2]]
    account = desk.runtime.providers["telnyx"].account
    look = {
        "account": account,
        "provider": "telnyx",
        "due_at": now,
        "ended_at": now,
        "balance": "3.20 USD",
        "low": True,
    }

    def write(conn: Any) -> None:
        conn.execute(insert(PROVIDER), [{"provider": "telnyx", "settled": True, "updated_at": now}])
        conn.execute(insert(PURCHASE), purchases)
        conn.execute(insert(ATTEMPT), [*calls, call(purchases[2], now - timedelta(minutes=7))])
        conn.execute(insert(BALANCE_CHECK), [look])

    desk.runtime.database.run(write)
    found = {one["provider"]: one for one in visitor.data("/providers")["providers"]}
    assert sum(found["telnyx"]["calls"]) == 3
    assert len(found["telnyx"]["calls"]) == 60
    assert (found["telnyx"]["balance"], found["telnyx"]["balance_low"]) == ("3.20 USD", True)
    assert found["bird"]["calls"] == [0] * 60
    assert found["bird"]["balance"] is None
    page = visitor.page("/providers")
    assert "telnyx: 3 calls in the last hour, at most 2 a minute; the limit is" in page
    assert "<bdi>3.20 USD</bdi>, low" in page


@pytest.mark.parametrize("levels", [[0, 0], [5, 0, 12], [1_000_000, 3]])
def test_steps_are_a_picture_with_words(levels: list[int]) -> None:
    points = [(NOW - timedelta(days=7) + n * timedelta(days=2), level) for n, level in enumerate(levels)]
    drawn = ElementTree.fromstring(steps([*points, (NOW, levels[-1])], {"low": 2, "<b>": 9}, 'at "most" <5>'))
    assert drawn.get("aria-label") == 'at "most" <5>'
    said = [one.text for one in drawn.iter("text")]
    assert {"low 2", "<b> 9", "27 Apr", "03 May"} <= set(said)
    assert f"{max(*levels, 9):,}" in said


def test_bars_stand_below_their_limit() -> None:
    drawn = ElementTree.fromstring(bars([0, 5, 20], 10.0, "twenty of ten"))
    high = [float(one.get("height", "0")) for one in drawn.iter("rect")]
    assert high == [pytest.approx(9.0), pytest.approx(36.0)]
    assert ElementTree.fromstring(bars([0] * 60, 0.5, "none")).findall("rect") == []


def test_an_answer_is_shared_while_it_is_fresh() -> None:
    shared, asked = Shared(), list[str]()
    for name in ("a", "a", "b"):
        assert shared.get(name, 60.0, lambda name=name: asked.append(name) or name) == name  # type: ignore[misc]
    assert asked == ["a", "b"]
    assert [shared.get("c", 0.0, lambda: len(asked)) for _ in range(2)] == [2, 2]


def test_who_asks_at_once_waits_for_one_answer() -> None:
    shared, made = Shared(), list[int]()
    go_on, begun = threading.Event(), threading.Event()

    def make() -> int:
        begun.set()
        assert go_on.wait(60)
        made.append(1)
        return 7

    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(shared.get("x", 60.0, make))) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert begun.wait(60)
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert (answers, made) == ([7, 7, 7], [1])

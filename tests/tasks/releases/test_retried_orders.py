"""An order is retried of which one number, by another purchase, is on its way back to the provider."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from sqlalchemy import Connection

from schemas.requests import BuyNumber
from schemas.status import Status
from tasks import orders
from tasks.ledger.requests.joining import releasing_among
from tasks.operator import retry_order
from tasks.operator.retry_order import Retried
from tests.tasks.releasing import Returns
from tests.tasks.scripted_provider import REFUSED
from tests.tasks.support import number


@pytest.fixture
def failed(returns: Returns) -> str:
    """Three lines that failed; the first one's number was bought since, and is given back later."""
    order_id = str(orders.begin(returns.runtime, name="file.csv")["id"])
    orders.load(returns.runtime, order_id, [(n, BuyNumber(number=number(n), provider="acme")) for n in (1, 2, 3)])
    orders.finish(returns.runtime, order_id)
    returns.provider.script += [REFUSED] * 3
    for _ in range(5):
        returns.world.tick()
        returns.world.clock.advance(1)
    orders.complete_finished(returns.runtime)
    assert returns.statuses() == [Status.FAILED] * 3
    returns.ask(returns.bought(number(1), idempotency_key="x"))
    return order_id


def test_the_other_lines_are_bought_again(returns: Returns, failed: str) -> None:
    assert retry_order.retry(returns.runtime, failed) == Retried(again=2, releasing=1)
    for _ in range(5):
        returns.world.tick()
    assert sorted(returns.statuses()) == sorted(
        [*[Status.FAILED] * 3, Status.RELEASING, Status.PURCHASED, Status.PURCHASED]
    )
    while returns.step():
        pass
    assert retry_order.retry(returns.runtime, failed) == Retried(again=1)


def test_also_where_it_is_asked_to_be_given_back_at_this_instant(
    returns: Returns, failed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def too_early(conn: Connection, wanted: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        seen.append(len(wanted))
        return set() if len(seen) == 1 else releasing_among(conn, wanted)

    monkeypatch.setattr(retry_order, "releasing_among", too_early)
    assert retry_order.retry(returns.runtime, failed) == Retried(again=2, releasing=1)
    assert seen == [3, 3]

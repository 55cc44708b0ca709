"""What a number costs right before it is bought, where the provider tells it then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tasks.providers.registry import kinds
from tests.scripted import ScriptedServer, Seen, reply
from tests.tasks.pools.supplying import supplied
from tests.tasks.shops import bind
from tests.tasks.wishes.wishing import Wishing
from workers.database.connections import SqlDatabase

NUMBER = "+14155550100"
STOCK = "/organizations/sandbox-organization/numbers-stock-items"
META = {"page_number": 1, "page_size": 250, "total_pages": 1, "total_results": 0}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


class Provider:
    """One number, that costs 1.00 USD when it is searched for and 99.00 USD in each search after that."""

    def __init__(self, server: ScriptedServer, kind: str) -> None:
        self.kind, self.searches, self.ordered = kind, 0, []
        server.otherwise = self.answer

    def answer(self, seen: Seen) -> bytes:
        if seen.method == "POST":
            self.ordered.append(seen.json)
            return reply(500)
        if seen.path.endswith(("/v2/available_phone_numbers", STOCK)):
            self.searches += 1
            return reply(200, self.offer(1 if self.searches == 1 else 99))
        if self.kind == "bird":
            return reply(200, {"results": []})
        return reply(200, {"data": [], "meta": META})

    def offer(self, price: int) -> Any:
        if self.kind == "bird":
            monthly = {"currencyCode": "USD", "amount": price * 1_000_000, "exponent": -6}
            item = {"id": f"3fa85f64-5717-4562-b3fc-2c963f66af{price:02d}", "numberString": NUMBER}
            return {"results": [{**item, "monthlyPrice": monthly, "backOrderRequired": False}]}
        cost = {"monthly_cost": f"{price}.00", "upfront_cost": "0.00", "currency": "USD"}
        return {"data": [{"phone_number": NUMBER, "cost_information": cost, "best_effort": False}]}


@pytest.mark.parametrize(
    ("kind", "limit"),
    [("telnyx", {"max_price": "1.50 USD"}), ("telnyx", {"max_spend": "1.50 USD"}), ("bird", {"max_price": "1.50 USD"})],
)
def test_what_costs_more_by_now_is_not_bought(
    database: SqlDatabase, server: ScriptedServer, kind: str, limit: dict[str, str]
) -> None:
    world = Wishing(**vars(supplied(database)))
    provider = Provider(server, kind)
    world.runtime = replace(world.runtime, providers={kind: bind(server.url, kind)}, kinds={kind: kinds()[kind]})
    world.wish(1, providers=[kind], **limit)
    for _ in range(5):
        world.turn()
    assert provider.searches >= 2
    assert provider.ordered == []

"""What a number for sale costs, and what is no answer to that."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.providers.adapter import Ask, SearchQuery
from tasks.providers.reading.search_pages import SearchPages
from tasks.providers.registry import kinds
from tests.scripted import ScriptedServer, reply
from tests.tasks.providers.adapters import ID, NUMBER, adapter, vonage_record


def two_prices(kind: str) -> tuple[str, Any]:
    if kind == "telnyx":
        costs = [{"monthly_cost": cost, "upfront_cost": "0", "currency": "USD"} for cost in ("99.00", "1.00")]
        return "data", {"data": [{"phone_number": NUMBER, "cost_information": cost} for cost in costs]}
    if kind == "plivo":
        entries = [{"number": NUMBER[1:], "monthly_rental_rate": cost, "setup_rate": "0"} for cost in ("99.00", "1.00")]
        return "objects", {"meta": {"next": None}, "objects": entries}
    return "numbers", {"count": 2, "numbers": [{**vonage_record(), "cost": cost} for cost in ("99.00", "1.00")]}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", ["telnyx", "plivo", "vonage"])
def test_a_number_that_is_shown_at_two_prices_has_not_the_lower_one(
    server: ScriptedServer, kind: str, turned: bool
) -> None:
    key, body = two_prices(kind)
    if turned:
        body[key].reverse()
    server.queue(reply(200, body))
    [[found]] = SearchPages(adapter(kind, server.url).search, SearchQuery(prefix="415"), kinds()[kind])
    assert found.price is None or found.price.monthly == 99


@pytest.mark.parametrize("kind", ["telnyx", "plivo", "vonage", "bird"])
@pytest.mark.parametrize("header", [{"Age": "86400"}, {"X-Cache": "HIT"}])
def test_a_price_that_a_cache_has_kept_is_not_told(server: ScriptedServer, kind: str, header: dict[str, str]) -> None:
    if kind == "bird":
        price = {"currencyCode": "USD", "amount": 1, "exponent": 0}
        body: Any = {"results": [{"id": ID, "numberString": NUMBER, "monthlyPrice": price, "backOrderRequired": False}]}
    else:
        key, body = two_prices(kind)
        body = {**body, key: body[key][1:], **({"count": 1} if kind == "vonage" else {})}
    server.queue(reply(200, body, header))
    [found] = adapter(kind, server.url).search(SearchQuery(prefix="415"))
    assert found.price is None


def stock(**changes: Any) -> bytes:
    price = {"currencyCode": "USD", "amount": 3_500_000, "exponent": -6}
    item = {"id": ID, "numberString": NUMBER, "monthlyPrice": price, "backOrderRequired": False, **changes}
    return reply(200, {"results": [item]})


@pytest.mark.parametrize(("amount", "exponent"), [(True, -6), (3_500_000, False), (True, True)])
def test_a_truth_value_is_no_amount_of_bird_s(server: ScriptedServer, amount: Any, exponent: Any) -> None:
    server.queue(stock(monthlyPrice={"currencyCode": "USD", "amount": amount, "exponent": exponent}))
    [found] = adapter("bird", server.url).search(SearchQuery(prefix="415"))
    assert found.price is None


@pytest.mark.parametrize("told", ["true", "True", 1, "yes", {}, []])
def test_what_may_be_on_back_order_is_not_bought(server: ScriptedServer, told: Any) -> None:
    provider = adapter("bird", server.url)
    server.queue(stock(backOrderRequired=told), stock(backOrderRequired=told))
    assert not isinstance(provider.prepare(Ask(number=NUMBER)), Ask)
    assert provider.search(SearchQuery(prefix="415")) == []

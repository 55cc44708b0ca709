"""How many pages of one provider a run looks at."""

from __future__ import annotations

import pytest

from tests.tasks.wishes.wishing import wishing
from workers.database.connections import SqlDatabase


@pytest.mark.parametrize(
    ("buys", "looks", "pages"),
    [
        ("1/second", "20/second", 20),  # a minute of purchases is seen sooner
        ("4/second", "20/second", 24),  # and here later
        ("20/second", "2/second", 30),  # a quarter of a minute of pages
        ("20/second", "20/second", 50),  # all there is
    ],
)
def test_a_search_goes_on_while_its_provider_would_stand_still(
    database: SqlDatabase, buys: str, looks: str, pages: int
) -> None:
    world = wishing(database, rate_limits=[buys], lookup_rate_limits=[looks], rate_guard=0)
    market = world.market()
    market.offers, market.page = world.many(415, 500), 10
    world.wish(1_000, providers=["first"])
    world.search()
    assert pages <= len(market.searches) <= pages + 1
    assert len(world.lines()) == 10 * len(market.searches)

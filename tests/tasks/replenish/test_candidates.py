"""What a pool may order, and why a provider gives less than is asked of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from schemas.outcomes import Candidate
from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.policies.pace import HORIZON, Later, Slot
from tasks.providers.bird.adapter import Bird
from tasks.providers.bird.config import BirdConfig
from tasks.providers.configured import sandbox_config
from tasks.providers.registry import build, kinds
from tasks.replenish.candidates import STOCK_FILE, find
from tasks.runtime import Binding
from tasks.sandbox import SandboxServer
from tasks.supply import candidates
from tasks.supply.candidates import Found
from tasks.supply.offers import Offer
from tests.schemas.prices import a_month
from tests.tasks.pools.supplying import NAME, Supplied, area


def look(world: Supplied, count: int = 10, **fields: Any) -> Found:
    world.configure(**fields)
    return find(world.runtime, world.runtime.config.pools[NAME], count)


def numbers(found: Found) -> list[str]:
    return [offer.number for offer in found.offers]


def test_no_provider_is_asked_once_there_is_enough(world: Supplied) -> None:
    found = look(world)
    # more than was asked for, for some may be sold meanwhile
    assert (len(found.offers), found.reasons) == (60, {})
    assert (len(world.shop().searches), world.shop("second").searches) == (1, [])


def test_only_numbers_of_the_pools_country_and_prefix(world: Supplied) -> None:
    world.shop().offers = [Candidate(number=one) for one in ("+442079460000", "+16285550100", "+14155550100")]
    assert numbers(look(world, prefix="415", providers=["first"])) == ["+14155550100"]
    query = world.shop().searches[0]
    assert (query.country, query.prefix) == ("US", "415")
    assert numbers(look(world, prefix="", country="GB", providers=["first"])) == ["+442079460000"]


@pytest.mark.parametrize(
    ("price", "fits"),
    [("1.99 USD", True), ("2.00 USD", True), ("2.01 USD", False), ("1.00 EUR", False), (None, False)],
)
def test_no_number_above_the_price(world: Supplied, price: str | None, fits: bool) -> None:
    world.shop().offers = [Candidate(number=area(415, 1)[0], price=price and a_month(price))]
    found = look(world, max_price="2.00 USD", providers=["first"])
    assert numbers(found) == (area(415, 1) if fits else [])
    told = "the search finds no more" + (
        "" if fits else "; 1 of those it found cost more than 2.00 USD, or show no price"
    )
    if price == "1.00 EUR":
        told += "; its prices are in EUR: write the amount in that"
    assert found.reasons == {"first": told}


def test_a_stock_items_id_goes_with_its_number(world: Supplied) -> None:
    price = a_month("1.00 USD")
    world.shop().offers = [Candidate(number=area(415, 1)[0], price=price, stock_item_id="item-1")]
    [offer] = look(world, providers=["first"]).offers
    assert offer == Offer(number=area(415, 1)[0], provider="first", price=price, options={"stock_item_id": "item-1"})


def at_bird(world: Supplied, sandbox: SandboxServer) -> None:
    config = sandbox_config(sandbox.url).providers["bird"]
    assert isinstance(config, BirdConfig)
    adapter = build(config, "sandbox")
    assert isinstance(adapter, Bird)
    bird = Binding(alias="bird", kind="bird", account=config.account, policy=config.policy, adapter=adapter)
    world.runtime = replace(world.runtime, providers={"bird": bird}, kinds={"bird": kinds()["bird"]})


def test_a_search_goes_on_from_page_to_page(world: Supplied) -> None:
    with SandboxServer() as sandbox:
        at_bird(world, sandbox)
        found = look(world, 250, providers=["bird"], prefix="415")
        assert len({*numbers(found)}) == len(found.offers) >= 250
        assert (found.reasons, found.searched) == ({}, {"bird"})
        sandbox.control.stock("bird", area(415, 120))
        found = look(world, 250, providers=["bird"], prefix="415")
        assert (numbers(found), found.searched) == (area(415, 120), set())
        assert found.reasons == {"bird": "the search finds no more"}


def test_birds_stock_is_searched_and_its_items_are_ordered(world: Supplied) -> None:
    with SandboxServer() as sandbox:
        at_bird(world, sandbox)
        world.configure(providers=["bird"], prefix="415", low=2, target=2)
        report = world.run()
        assert (report.ordered, report.reason) == (2, None)
        assert [str(offer.price) for offer in report.candidates] == ["3.50 USD a month"] * 2
        told = [(row["monthly_price"], row["setup_price"], row["currency"]) for row in world.rows(select(PURCHASE))]
        assert told == [("3.50", None, "USD")] * 2
        items = [offer.options["stock_item_id"] for offer in report.candidates]
        assert [
            row["options"]["stock_item_id"] for row in world.rows(select(PURCHASE).order_by(PURCHASE.c.id))
        ] == items
        world.buy_all()
    assert [row["status"] for row in world.rows(select(PURCHASE))] == [Status.PROCESSING] * 2


def listed(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "support.csv"
    path.write_text("".join(f"{row}\n" for row in ("number,provider", *rows)))
    return path


def test_the_stock_file_comes_before_the_search(world: Supplied, tmp_path: Path) -> None:
    mine = area(415, 3, 500)
    path = listed(tmp_path, f"{mine[2]},first", f"{mine[0]},second", f"{mine[1]},first", "+16285559999,first")
    found = look(world, count=2, stock_file=path, prefix="415")
    assert numbers(found) == [mine[2], mine[1]]
    assert (world.shop().searches, found.reasons) == ([], {})
    assert numbers(look(world, count=3, stock_file=path))[:2] == [mine[2], mine[1]]
    assert len(world.shop().searches) == 1


def test_a_price_is_asked_of_searched_numbers_only(world: Supplied, tmp_path: Path) -> None:
    [mine] = area(415, 1, 500)
    path = listed(tmp_path, f"{mine},first")
    assert numbers(look(world, stock_file=path, max_price="1 USD", providers=["first"])) == [mine]


def test_what_the_stock_file_lists_and_is_bought_is_passed_over_by_chunks(
    world: Supplied, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "_CHUNK", 7)
    world.runtime = replace(world.runtime, kinds={**world.runtime.kinds, "first": kinds()["timepay"]})
    mine = area(415, 40, 500)
    path = listed(tmp_path, *(f"{one},first" for one in mine))
    world.configure(stock_file=path, low=20, target=20, providers=["first"])
    assert world.run().ordered == 20
    world.lead(Status.FAILED)
    assert [offer.number for offer in world.run().candidates] == mine[20:]
    world.lead(Status.FAILED)
    assert world.run().reason == "first: the stock file has no more, and it cannot be searched"


def test_of_a_broken_stock_file_nothing_is_bought(world: Supplied, tmp_path: Path) -> None:
    [mine] = area(415, 1, 500)
    path = listed(tmp_path, f"{mine},first", "nonsense,first")
    world.configure(stock_file=path)
    report = world.run()
    assert (report.ordered, world.shop().searches) == (0, [])
    assert report.reasons[STOCK_FILE].startswith(f"{path}:3: number:")
    assert (world.pool()["status"], world.pool()["reason"]) == (
        "exhausted",
        f"stock_file: {report.reasons[STOCK_FILE]}",
    )


def test_a_pool_with_nothing_but_a_missing_stock_file(world: Supplied, tmp_path: Path) -> None:
    for alias in ("first", "second"):
        world.shop(alias).can_search = False  # type: ignore[misc]
    world.configure(stock_file=tmp_path / "none.csv")
    report = world.run()
    assert report.ordered == 0
    assert "none.csv: no such file" in (report.reason or "")


def test_a_search_waits_for_its_turn(world: Supplied) -> None:
    turns = [Later(5.0), Slot(0.5, 1)]
    world.pace.reserve = lambda _lane: turns.pop(0)
    before = world.clock.moment
    assert len(look(world).offers) == 60
    assert (world.clock.moment - before).total_seconds() == HORIZON + 0.5


def test_a_search_that_gets_no_turn_is_given_up(world: Supplied) -> None:
    world.pace.reserve = lambda _lane: Later(60.0)
    before = world.clock.moment
    found = look(world)
    assert found.reasons["first"].startswith("the search failed: first is at its look-up limit, or asked to slow down")
    assert world.clock.moment == before
    assert world.shop().searches == []

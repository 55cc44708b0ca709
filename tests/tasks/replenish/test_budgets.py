"""No provider is given more to buy than its daily limit leaves, while another one could buy it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import update

from schemas.status import Status
from schemas.tables.pools import PoolStatus
from schemas.tables.purchases import PURCHASE
from tests.tasks.pools.supplying import Supplied, area

LEAVES_NONE = "its daily_limit of {} leaves no more beside what waits there"


def change(world: Supplied, alias: str = "first", *, daily_limit: int, **fields: Any) -> None:
    binding = world.runtime.providers[alias]
    policy = binding.policy.model_copy(update={"daily_limit": daily_limit})
    providers = {**world.runtime.providers, alias: replace(binding, policy=policy, **fields)}
    world.runtime = replace(world.runtime, providers=providers)


def ordered(world: Supplied) -> tuple[int, int]:
    return len(world.bought("first")), len(world.bought("second"))


def test_what_a_daily_limit_does_not_leave_goes_to_the_next_provider(world: Supplied) -> None:
    change(world, daily_limit=5)
    world.others(3)
    world.lead(Status.PURCHASED, 2, call_deadline=world.clock.moment)
    world.lead(Status.PURCHASING, 1)
    report = world.run()
    assert (world.bought("first")[3:], world.bought("second")) == (area(415, 2), area(628, 8))
    assert (report.status, report.reasons) == (PoolStatus.OK, {"first": LEAVES_NONE.format(5)})


def test_what_waits_there_counts(world: Supplied) -> None:
    change(world, daily_limit=5)
    world.others(2)
    assert world.run().ordered == 10
    assert ordered(world) == (2 + 3, 7)


def test_what_is_in_doubt_counts_once(world: Supplied) -> None:
    change(world, daily_limit=5)
    world.others(2)
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(doubt=True, call_deadline=world.clock.moment))
    world.run()
    assert ordered(world) == (2 + 3, 7)


def test_the_preferred_provider_is_left_alone_where_it_has_nothing_left(world: Supplied) -> None:
    change(world, daily_limit=10)
    world.configure(low=10)
    world.run()
    world.configure(target=20, low=20)
    world.shop().searches.clear()
    assert (world.run().ordered, ordered(world), world.shop().searches) == (10, (10, 10), [])


def test_where_nobody_else_has_any_the_limit_is_shared_with_what_waits(world: Supplied) -> None:
    change(world, daily_limit=5)
    world.others(4)
    world.configure(providers=["first"])
    report = world.run()
    assert (report.ordered, report.status) == (5, PoolStatus.EXHAUSTED)
    assert report.reason == f"first: {LEAVES_NONE.format(5)}"
    # of the pools' own none has to wait for another day
    assert (world.run().ordered, ordered(world)) == (0, (4 + 5, 0))


def test_what_would_share_a_limit_comes_after_all_that_would_not(world: Supplied) -> None:
    change(world, daily_limit=8)
    world.others(6)
    world.shop("second").offers = world.shop("second").offers[:5]
    world.shop("second").offers += world.shop().offers[2:3]
    dry, report = world.run(dry_run=True), world.run()
    assert dry.candidates == report.candidates
    assert [(one.provider, one.number) for one in report.candidates] == [
        *(("first", number) for number in area(415, 2)),
        *(("second", number) for number in [*area(628, 5), area(415, 3)[2]]),
        *(("first", number) for number in area(415, 2, 3)),
    ]


def test_providers_of_one_account_share_its_limit(world: Supplied) -> None:
    account = world.runtime.providers["first"].account
    change(world, daily_limit=4)
    change(world, "second", daily_limit=4, account=account)
    assert world.run().ordered == 4
    assert ordered(world) == (4, 0)


def test_providers_of_one_account_share_what_it_has_to_share(world: Supplied) -> None:
    account = world.runtime.providers["first"].account
    change(world, daily_limit=8)
    change(world, "second", daily_limit=8, account=account)
    world.others(6)
    assert world.run().ordered == 8
    assert ordered(world) == (6 + 8, 0)


def test_what_waits_at_a_paused_provider_leaves_its_accounts_limit_to_others(world: Supplied) -> None:
    account = world.runtime.providers["first"].account
    change(world, daily_limit=10)
    change(world, "second", daily_limit=10, account=account)
    world.run()
    world.stop_provider()
    assert (world.run().moved, ordered(world)) == (10, (0, 10))


def test_of_a_stock_file_too_only_what_the_limit_leaves(world: Supplied, tmp_path: Path) -> None:
    path = tmp_path / "support.csv"
    path.write_text("number,provider\n" + "".join(f"{number},first\n" for number in area(415, 20, 500)))
    change(world, daily_limit=3)
    world.configure(stock_file=path)
    world.run()
    assert (world.bought(), world.shop().searches) == ([*area(415, 3, 500), *area(628, 7)], [])


def test_nothing_is_searched_for_beyond_what_is_wanted_where_all_has_to_be_shared(
    world: Supplied, tmp_path: Path
) -> None:
    path = tmp_path / "support.csv"
    path.write_text("number,provider\n" + "".join(f"{number},first\n" for number in area(415, 20, 500)))
    change(world, daily_limit=50)
    world.others(50)
    world.configure(stock_file=path, providers=["first"])
    assert (world.run().ordered, world.shop().searches) == (10, [])

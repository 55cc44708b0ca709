"""What is bought again goes on under the alias that the file has for its account: nobody buys under a former name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import select, update

from schemas.requests import BuyNumber
from schemas.settling import Verdict
from schemas.status import Status
from schemas.tables.purchases import LINE, PURCHASE
from tasks import orders
from tasks.ledger.resolve import Resolution
from tasks.lifecycle import release_and_sweep
from tasks.operator import resolve as resolving
from tasks.operator import retry_order
from tasks.runtime import Runtime
from tests.tasks.scripted_provider import REFUSED
from tests.tasks.support import ACCOUNT, World, number


def renamed(world: World, *aliases: str, account: str = ACCOUNT) -> Runtime:
    """The runtime of a process whose file has the account under *aliases*."""
    bindings = {alias: replace(world.binding, alias=alias, account=account) for alias in aliases}
    return replace(world.runtime, providers=bindings, kinds=dict.fromkeys(bindings, world.runtime.kinds["acme"]))


def refused_order(world: World) -> str:
    order_id: str = orders.begin(world.runtime, name="f")["id"]
    lines = [(index, BuyNumber(number=number(index), provider="acme")) for index in (1, 2)]
    orders.load(world.runtime, order_id, lines)
    orders.finish(world.runtime, order_id)
    world.provider.script += [REFUSED] * 2
    world.tick()
    assert {row["status"] for row in world.rows(select(PURCHASE))} == {Status.FAILED}
    return order_id


def hold(world: World) -> str:
    row = world.accept()
    world.sent.clear()
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(status=Status.HELD, due_at=None))
    return str(row["id"])


def bought_by(world: World, runtime: Runtime, alias: str) -> list[str]:
    world.runtime = runtime
    release_and_sweep.release_due(runtime, runtime.providers[alias])
    world.work()
    return [sold for sold, _ in world.provider.charged]


def test_a_retried_order_is_bought_under_the_name_that_the_file_has(world: World) -> None:
    order_id = refused_order(world)
    runtime = renamed(world, "main")
    assert retry_order.retry(runtime, order_id).again == 2
    assert sorted(bought_by(world, runtime, "main")) == [number(1), number(2)]
    assert {row["provider"] for row in world.rows(select(LINE))} == {"main"}


def test_a_held_purchase_that_is_retried_is_bought_under_the_name_that_the_file_has(world: World) -> None:
    purchase_id = hold(world)
    runtime = renamed(world, "main")
    told: list[Mapping[tuple[str, str], int]] = []
    wanted = [Resolution(purchase_id=purchase_id, verdict=Verdict.RETRY)]
    [done] = resolving.resolve(runtime, wanted, "ann", spend=told.append).settled
    assert (done.provider, done.status) == ("main", Status.QUEUED)
    assert told == [{("main", ACCOUNT): 1}]
    assert len(bought_by(world, runtime, "main")) == 1


def test_what_its_own_alias_buys_stays_there(world: World) -> None:
    purchase_id, runtime = hold(world), renamed(world, "a-first", "acme")
    resolving.resolve(runtime, [Resolution(purchase_id=purchase_id, verdict=Verdict.RETRY)], "ann")
    assert world.row(purchase_id)["provider"] == "acme"


def test_what_is_of_an_account_that_the_file_has_no_more_stays_where_it_is(world: World) -> None:
    purchase_id, runtime = hold(world), renamed(world, "main", account="another-account")
    resolving.resolve(runtime, [Resolution(purchase_id=purchase_id, verdict=Verdict.RETRY)], "ann")
    assert (world.row(purchase_id)["provider"], world.row(purchase_id)["account"]) == ("acme", ACCOUNT)


def test_what_is_settled_otherwise_stays_under_its_name(world: World) -> None:
    purchase_id, runtime = hold(world), renamed(world, "main")
    resolving.resolve(runtime, [Resolution(purchase_id=purchase_id, verdict=Verdict.FAIL)], "ann")
    assert world.row(purchase_id)["provider"] == "acme"

"""One key of several requests: it stays used as long as one of them stands, whichever order is given up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from schemas.requests import RequestError
from schemas.tables.purchases import EVENT, KEY, PURCHASE
from tasks import orders
from tasks.ledger.requests.accept import Entry, accept, accept_lines
from tests.tasks.beside import beside
from tests.tasks.ledger.requests.test_joining import ask, line, load, told
from tests.tasks.orders.test_orders import run
from tests.tasks.support import World, number

Another = Callable[[World], str | None]


def by_message(world: World) -> None:
    ask(world, "k")


def by_order(world: World) -> str:
    order_id = load(world, line("k"))
    orders.finish(world.runtime, order_id)
    return order_id


def by_order_that_loads(world: World) -> str:
    return load(world, line("k"))


def by_order_with_two_keys(world: World) -> str:
    order_id = load(world, line("other"), line("k"))
    orders.finish(world.runtime, order_id)
    return order_id


WAYS = (by_message, by_order, by_order_that_loads, by_order_with_two_keys)


def keys(world: World) -> list[str]:
    return [row["idempotency_key"] for row in world.rows(select(KEY).order_by(KEY.c.idempotency_key))]


@pytest.mark.parametrize("another", WAYS)
@pytest.mark.parametrize("joined", [False, True])
def test_a_key_that_another_request_came_with_stays_used(world: World, another: Another, joined: bool) -> None:
    if joined:
        ask(world, "first")
    given = load(world, line("k"))
    other = another(world)
    orders.abandon(world.runtime, given)
    if another is by_order_that_loads:
        orders.finish(world.runtime, str(other))
    run(world)
    mine = [one for one in told(world) if one == ("purchased", "k")]
    found = [one["data"] for one in world.rows(select(EVENT)) if one["data"].get("idempotency_key") == "k"]
    assert (len(mine), found[-1]["order_id"]) == (1, other)
    before = world.rows(select(PURCHASE.c.id))
    ask(world, "k")
    assert world.rows(select(PURCHASE.c.id)) == before
    with pytest.raises(RequestError, match="came before with another request"):
        world.accept(number(2), idempotency_key="k")


@pytest.mark.parametrize("joined", [False, True])
def test_a_key_is_free_again_when_all_orders_that_came_with_it_are_given_up(world: World, joined: bool) -> None:
    if joined:
        ask(world, "first")
    given = [load(world, line("k")) for _ in range(3)]
    for order_id in (given[1], given[0], given[2]):
        assert "k" in keys(world)
        orders.abandon(world.runtime, order_id)
    assert keys(world) == (["first"] if joined else [])
    assert world.accept(number(2), idempotency_key="k")["number"] == number(2)


def test_a_key_is_free_again_where_the_other_order_came_with_its_own(world: World) -> None:
    ask(world, "first")
    given = load(world, line("k"))
    load(world, line("k").model_copy(update={"idempotency_key": "other"}))
    orders.abandon(world.runtime, given)
    assert keys(world) == ["first", "other"]


def test_a_message_that_is_told_of_a_cancel_does_not_keep_the_key(world: World) -> None:
    given = load(world, line("k"))
    orders.cancel_purchases(world.runtime, given)
    ask(world, "k")
    orders.abandon(world.runtime, given)
    ask(world, "k")
    run(world)
    assert [one for one in told(world) if one[0] == "purchased"] == [("purchased", "k")]


@pytest.mark.parametrize("another", WAYS)
def test_whoever_comes_with_a_key_while_it_is_freed_has_it_anew(postgres: World, another: Another) -> None:
    ask(postgres, "first")
    given = load(postgres, line("k"))
    with beside(postgres, lambda: another(postgres)) as conn:
        orders._give_up(conn, given, postgres.clock())
    assert "k" in keys(postgres)


@pytest.mark.parametrize("in_order", [False, True])
def test_a_key_is_not_freed_under_who_comes_with_it_meanwhile(postgres: World, in_order: bool) -> None:
    ask(postgres, "first")
    given, other = load(postgres, line("k")), str(orders.begin(postgres.runtime)["id"])
    entries = [Entry(request=line("k"), account="acme-account", line=1)]
    with beside(postgres, lambda: orders.abandon(postgres.runtime, given)) as conn:
        if in_order:
            accept_lines(conn, other, entries, postgres.clock())
        else:
            accept(conn, entries, postgres.clock())
    assert keys(postgres) == ["first", "k"]

"""A process whose file is older than another's: who an alias is by now, it is for all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from schemas.requests import BuyNumber
from schemas.status import Status
from schemas.tables.purchases import PROVIDER, PURCHASE
from tasks import orders
from tasks.accounts import identity
from tasks.ledger.accounts import forget, remember_left
from tasks.ledger.outdated import Outdated
from tasks.lifecycle import purchase
from tests.tasks.support import ACCOUNT, World, number


def become(world: World, account: str | None) -> None:
    """What a process with a newer file writes down as it starts."""
    with world.write() as conn:
        conn.execute(update(PROVIDER).where(PROVIDER.c.provider == "acme").values(account=account))


def test_nothing_is_accepted_for_an_account_that_the_alias_is_no_more(world: World) -> None:
    world.accept(number(1))
    become(world, "acme-anew")
    with pytest.raises(Outdated, match="acme is the account acme-anew by now"):
        world.accept(number(1))
    with pytest.raises(Outdated):
        world.accept(number(2))
    order_id = str(orders.begin(world.runtime)["id"])
    with pytest.raises(Outdated):
        orders.load(world.runtime, order_id, [(1, BuyNumber(number=number(3), provider="acme"))])
    assert [row["number"] for row in world.rows(select(PURCHASE))] == [number(1)]
    become(world, ACCOUNT)
    assert world.accept(number(2))["status"] == Status.DISPATCHED


def test_after_a_restore_to_before_an_edit_a_start_takes_requests_again(world: World) -> None:
    identity.settle(world.runtime)
    become(world, "acme-before")
    with pytest.raises(Outdated, match=r"acme is the account acme-before by now.*start a worker anew"):
        world.accept(number(1))
    identity.settle(world.runtime)
    assert world.accept(number(1))["status"] == Status.DISPATCHED


def test_nothing_is_released_to_who_does_not_know_it(world: World) -> None:
    world.queued(number(1))
    become(world, "acme-anew")
    world.tick()
    assert world.rows(select(PURCHASE))[0]["status"] == Status.QUEUED
    become(world, ACCOUNT)
    world.settle(world.rows(select(PURCHASE))[0]["id"])
    assert [sold for sold, _ in world.provider.charged] == [number(1)]


def test_what_was_released_before_is_not_called_for(world: World) -> None:
    row = world.accept(number(1))
    become(world, "acme-anew")
    assert purchase.buy(world.runtime, row["id"], row["revision"], "acme") is None
    assert world.provider.charged == []
    assert world.row(row["id"])["status"] == Status.DISPATCHED


def test_an_alias_that_nobody_wrote_down_is_who_our_file_says(world: World) -> None:
    become(world, None)
    row = world.accept(number(1))
    world.settle(row["id"])
    assert world.row(row["id"])["status"] == Status.PURCHASED


@pytest.mark.parametrize("forgets", [forget, lambda conn, names, now: remember_left(conn, dict.fromkeys(names), now)])
def test_an_alias_that_is_no_account_any_more_buys_nothing(world: World, forgets: Callable[..., None]) -> None:
    """A newer file has renamed it, or its account was left: a worker with the older one goes on."""
    queued, taken = world.queued(number(1)), world.accept(number(2))
    become(world, ACCOUNT)
    with world.write() as conn:
        forgets(conn, [ACCOUNT], world.clock())
    assert purchase.buy(world.runtime, taken["id"], taken["revision"], "acme") is None
    world.tick()
    assert world.row(queued["id"])["status"] == Status.QUEUED
    with pytest.raises(Outdated, match="acme is no account by now"):
        world.accept(number(3))
    assert world.provider.charged == []


def test_another_account_of_another_alias_is_no_matter(world: World) -> None:
    with world.write() as conn:
        conn.execute(update(PROVIDER).where(PROVIDER.c.provider == "twin").values(account="twin-anew"))
    row = world.accept(number(1))
    world.settle(row["id"])
    assert world.row(row["id"])["status"] == Status.PURCHASED

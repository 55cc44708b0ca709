"""Who points to a number, as it is asked back: nothing goes that others were answered with, or ask for since."""

from __future__ import annotations

import pytest

from schemas.requests import BuyNumber, RequestError
from schemas.status import Status
from schemas.tables.pools import Slot
from tasks import orders
from tasks.pools.reserved import reserved
from tasks.releases import giving_back
from tasks.releases.stopped_releases import WENT_BACK, keep_all
from tests.tasks.releases.test_asking import code, order, place, slot
from tests.tasks.releasing import LOST, Returns
from tests.tasks.support import ACCOUNT, NUMBER


def load(returns: Returns, key: str) -> str:
    """An order that names the number under *key*, and is not whole yet."""
    loading = str(orders.begin(returns.runtime)["id"])
    orders.load(returns.runtime, loading, [(1, BuyNumber(number=NUMBER, provider="acme", idempotency_key=key))])
    return loading


def test_a_request_does_not_give_back_what_an_order_was_answered_with(returns: Returns) -> None:
    returns.bought(idempotency_key="a")
    order(returns, NUMBER)
    with pytest.raises(RequestError) as failure:
        giving_back.release_number(returns.runtime, {"number": NUMBER, "provider": "acme"}, "m1")
    assert failure.value.code == "other_order"


def test_an_order_does_not_give_back_what_a_request_bought(returns: Returns) -> None:
    row = returns.bought(idempotency_key="a")
    assert code(returns, row, order_id=order(returns, NUMBER)) == "asked_for"


def test_a_load_that_was_given_up_was_answered_with_nothing(returns: Returns) -> None:
    row = returns.bought(idempotency_key="a")
    orders.abandon(returns.runtime, load(returns, "line"))
    returns.ask(row)
    assert returns.settle(row)["status"] == Status.RELEASED


def test_what_may_come_back_into_its_pool_answers_nobody_meanwhile(returns: Returns) -> None:
    row = returns.bought(idempotency_key="pool:p:1:1")
    place(returns, row, Slot.AVAILABLE)
    returns.provider.answers.append(LOST)
    returns.ask(row)
    assert returns.step()
    # As a database that went back has it: what is on its way is kept, and out of its pool.
    keep_all(returns.runtime, [ACCOUNT], WENT_BACK, even_under_way=True)
    assert (returns.world.row(row["id"])["status"], slot(returns)) == (Status.PURCHASED, Slot.GONE)
    with pytest.raises(RequestError) as failure:
        returns.world.accept(idempotency_key="crm")
    assert failure.value.code == "in_pool"
    returns.world.clock.advance(3700)
    giving_back.mark_kept(returns.runtime, row["id"], "bob", "seen at the portal")
    assert slot(returns) == Slot.AVAILABLE


def test_a_load_that_is_given_up_does_not_keep_a_number(returns: Returns) -> None:
    row = returns.bought(idempotency_key="a")
    loading = load(returns, "line")
    returns.ask(row, force=True)
    orders.abandon(returns.runtime, loading)
    assert returns.settle(row)["status"] == Status.RELEASED


@pytest.mark.parametrize("given_up", [False, True])
def test_nor_does_it_hide_who_asked_since(returns: Returns, given_up: bool) -> None:
    row = returns.bought(idempotency_key="a")
    loading = load(returns, "line")
    returns.ask(row, force=True)
    if given_up:
        orders.abandon(returns.runtime, loading)
    # The request "a" comes again, in an order: it is answered with the number.
    orders.finish(returns.runtime, load(returns, "a"))
    assert returns.settle(row)["status"] == Status.PURCHASED


def test_what_is_on_its_way_back_from_a_pool_is_refused_as_that(returns: Returns) -> None:
    row = returns.bought(idempotency_key="pool:p:1:1")
    place(returns, row, Slot.AVAILABLE)
    returns.ask(row)
    asked = [BuyNumber(number=NUMBER, provider="acme", idempotency_key="crm")]
    assert reserved(returns.runtime, asked) == {}
    with pytest.raises(RequestError) as failure:
        returns.world.accept(idempotency_key="crm")
    assert failure.value.code == "being_released"

"""The daily look at a balance: once for an account, by whoever comes first, and told of while it is low."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from schemas.config.balances import Balance, parse_low_balance
from schemas.config.file import Config
from schemas.tables.accounts import BALANCE_CHECK
from schemas.tables.purchases import EVENT
from tasks import balances
from tasks.ledger import balances as ledger
from tasks.ledger.balances import Claim
from tasks.ledger.rows import Row
from tasks.providers.configured import sandbox_config
from tasks.runtime import Runtime
from tests.tasks.shops import Shop
from tests.tasks.support import World

LOW, FINE = parse_low_balance("100.00 USD"), parse_low_balance("99.99 USD")
"""Beside the sandbox's 100.00 USD."""


def runtime_of(shop: Shop, low: Balance | None, *, beside: Balance | None = None) -> Runtime:
    """The shop's, with `low_balance`; another alias of its account has *beside*."""
    config = sandbox_config(shop.sandbox.url).providers[shop.kind]
    found = {shop.kind: low, "twin": beside}
    providers = {alias: config.model_copy(update={"low_balance": one}) for alias, one in found.items()}
    bindings = {alias: replace(shop.binding, alias=alias) for alias in found}
    return replace(shop.runtime, config=Config(providers=providers), providers=bindings)


def told(shop: Shop) -> list[Row]:
    return shop.world.rows(select(EVENT).where(EVENT.c.type == "dialstock.provider.low_balance"))


def the_look(shop: Shop) -> Row:
    [row] = shop.world.rows(select(BALANCE_CHECK))
    return row


@pytest.fixture
def twilio(open_shop: Callable[..., Shop]) -> Shop:
    return open_shop("twilio")


def test_a_low_balance_is_told_once_a_day(twilio: Shop, caplog: pytest.LogCaptureFixture) -> None:
    runtime = runtime_of(twilio, LOW)
    for _ in range(3):
        balances.scheduled(runtime, "twilio")
        balances.scheduled(runtime, "twin")
    [event] = told(twilio)
    assert (event["source"], event["subject"]) == ("/dialstock/providers/twilio", None)
    assert event["data"] == {
        "provider": "twilio",
        "balance": "100.00",
        "low_balance": "100.00",
        "currency": "USD",
    }
    assert "the balance of twilio is low: 100.00 USD (low_balance is 100.00 USD)" in caplog.text
    twilio.world.clock.advance(24 * 3600 - 1)
    balances.scheduled(runtime, "twilio")
    assert len(told(twilio)) == 1
    twilio.world.clock.advance(1)
    balances.scheduled(runtime, "twin")
    assert [event["source"] for event in told(twilio)] == [f"/dialstock/providers/{one}" for one in ("twilio", "twin")]


def test_one_that_is_not_low_is_not_told(twilio: Shop) -> None:
    balances.scheduled(runtime_of(twilio, FINE), "twilio")
    assert told(twilio) == []
    assert (the_look(twilio)["balance"], the_look(twilio)["low"]) == ("100.00 USD", False)


def test_the_aliases_of_an_account_share_the_highest_setting(twilio: Shop) -> None:
    balances.scheduled(runtime_of(twilio, FINE, beside=LOW), "twilio")
    assert len(told(twilio)) == 1


@pytest.mark.parametrize("fault", ["error_before", "html", "cut_after"])
def test_one_that_cannot_be_read_is_not_low_and_is_looked_at_sooner(
    twilio: Shop, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = runtime_of(twilio, LOW)
    twilio.sandbox.control.plan("twilio", fault, on="read")
    balances.scheduled(runtime, "twilio")
    look = the_look(twilio)
    assert (told(twilio), look["balance"], look["low"]) == ([], None, None)
    assert look["error"]
    assert "the balance of twilio is not known: Twilio" in caplog.text
    twilio.world.clock.advance(3599)
    balances.scheduled(runtime, "twilio")
    assert told(twilio) == []
    twilio.world.clock.advance(1)
    balances.scheduled(runtime, "twilio")
    assert len(told(twilio)) == 1


def test_one_in_another_currency_is_not_low(twilio: Shop) -> None:
    balances.scheduled(runtime_of(twilio, parse_low_balance("500.00 EUR")), "twilio")
    assert told(twilio) == []
    assert the_look(twilio)["error"] == "100.00 USD cannot be held against low_balance, 500.00 EUR"


def test_a_worker_that_shuts_down_leaves_it_to_another(twilio: Shop) -> None:
    balances.scheduled(runtime_of(twilio, LOW), "twilio", lambda: True)
    assert told(twilio) == []
    assert the_look(twilio)["error"] == "the worker shuts down"


def test_without_the_setting_nobody_asks(twilio: Shop) -> None:
    balances.scheduled(runtime_of(twilio, None), "twilio")
    balances.scheduled(runtime_of(twilio, LOW), "nobody")
    assert twilio.world.rows(select(BALANCE_CHECK)) == []


def test_many_workers_at_once_make_one_event(twilio: Shop) -> None:
    runtime = runtime_of(twilio, LOW)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: balances.scheduled(runtime, "twilio"), range(12)))
    assert len(told(twilio)) == 1


def test_one_whose_worker_died_is_taken_over_and_tells_nothing_more(world: World) -> None:
    first = Claim(account="a", alias="acme", began=world.clock.moment)
    second = replace(first, began=first.began + ledger.LEASE)
    with world.write() as conn:
        assert ledger.take(conn, first)
        assert not ledger.take(conn, replace(first, began=second.began - timedelta(seconds=1)))
        assert ledger.take(conn, second)
        for claim in (first, second, second, first):
            ledger.read(conn, claim, second.began, LOW, low=LOW)
        ledger.unclear(conn, first, second.began, "late")
        ledger.unclear(conn, second, second.began, "late")
    assert world.events() == ["low_balance"]
    [look] = world.rows(select(BALANCE_CHECK))
    assert (look["low"], look["error"], look["due_at"]) == (True, None, second.began + timedelta(days=1))

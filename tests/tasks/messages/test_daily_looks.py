"""Whose audit or look at the balance is due: one query tells of all accounts, however many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from schemas.config.balances import parse_low_balance
from schemas.config.file import Config
from schemas.tables.accounts import BALANCE_CHECK
from schemas.tables.audits import AUDIT_RUN
from tasks import runtime as runtimes
from tasks.messages.celery_tasks import AUDIT, BALANCE, audit, look_at_balance
from tasks.messages.daily_looks import EXPIRES
from tasks.outages.readiness import READINESS
from tasks.providers.configured import sandbox_config
from tasks.runtime import Message, Runtime
from tests.tasks.shops import Shop

MANY = 1_000


@pytest.fixture
def twilio(open_shop: Callable[..., Shop]) -> Shop:
    return open_shop("twilio")


@pytest.fixture
def crowd(twilio: Shop) -> Iterator[Runtime]:
    """A thousand accounts, for each of which it is said what balance is low."""
    table = sandbox_config(twilio.sandbox.url).providers["twilio"]
    table = table.model_copy(update={"low_balance": parse_low_balance("100.00 USD")})
    names = [f"a{place}" for place in range(MANY)]
    bindings = {one: replace(twilio.binding, alias=one, account=f"twilio|{one}") for one in names}
    crowd = replace(twilio.runtime, config=Config(providers=dict.fromkeys(names, table)), providers=bindings)
    runtimes.install(crowd)
    READINESS.forget()
    yield crowd
    runtimes.install(None)


@contextmanager
def queries(shop: Shop) -> Iterator[list[str]]:
    """The statements meanwhile."""
    engine, found = shop.runtime.database.engine, list[str]()  # type: ignore[attr-defined]

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(("SELECT", "INSERT", "UPDATE")):
            found.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


def taken(shop: Shop) -> list[Message]:
    found = [*shop.world.sent]
    shop.world.sent.clear()
    return found


def test_each_account_whose_audit_is_due_gets_a_message_that_does_not_wait_for_ever(
    twilio: Shop, crowd: Runtime
) -> None:
    with queries(twilio) as asked:
        audit(None)
    assert len(asked) == 1
    found = taken(twilio)
    assert [(one.task, one.queue, one.kwargs) for one in found] == [
        (AUDIT, f"purchases.{alias}", {"provider": alias}) for alias in crowd.providers
    ]
    assert {one.expires for one in found} == {twilio.world.clock.moment + EXPIRES}


@pytest.mark.parametrize(
    ("task", "name", "table"), [(audit, AUDIT, AUDIT_RUN), (look_at_balance, BALANCE, BALANCE_CHECK)]
)
def test_what_was_looked_at_is_due_again_a_day_later(
    twilio: Shop, crowd: Runtime, task: Callable[[str | None], None], name: str, table: Any
) -> None:
    task("a7")
    assert [row["account"] for row in twilio.world.rows(select(table))] == ["twilio|a7"]
    task(None)
    told = {(one.task, one.kwargs["provider"]) for one in taken(twilio)}
    assert told == {(name, alias) for alias in crowd.providers if alias != "a7"}
    twilio.world.clock.advance(timedelta(days=1).total_seconds())
    task(None)
    assert {one.kwargs["provider"] for one in taken(twilio)} == {*crowd.providers}


def test_who_is_not_to_be_looked_at_is_not(twilio: Shop, crowd: Runtime) -> None:
    policy = twilio.binding.policy.model_copy(update={"audit_every": 0.0})
    never = {alias: replace(one, policy=policy) for alias, one in crowd.providers.items()}
    tables = {alias: one.model_copy(update={"low_balance": None}) for alias, one in crowd.config.providers.items()}
    runtimes.install(replace(crowd, providers=never, config=Config(providers=tables)))
    audit(None)
    look_at_balance(None)
    assert taken(twilio) == []


def test_an_alias_that_the_file_has_no_more_hinders_no_other(twilio: Shop, crowd: Runtime) -> None:
    left = {alias: one for alias, one in crowd.config.providers.items() if alias != "a7"}
    runtimes.install(replace(crowd, config=Config(providers=left)))
    look_at_balance(None)
    assert {one.kwargs["provider"] for one in taken(twilio)} == {*left}

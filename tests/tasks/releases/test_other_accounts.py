"""A number is on its way back under an alias that is renamed or left: it is told, and a person ends it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import insert, select

from schemas.requests import RequestError
from schemas.status import Status
from schemas.tables.pools import POOL_NUMBER, Slot
from schemas.tables.purchases import EVENT
from tasks.accounts import identity
from tasks.ledger.accounts import Home, Stranded
from tasks.ledger.rows import Row
from tasks.lifecycle import give_back
from tasks.releases import giving_back
from tasks.runtime import Runtime
from tests.tasks.releasing import LOST, Returns
from tests.tasks.support import ACCOUNT, NUMBER, Killed, die, number
from workers.cli.doctor.tables.accounts import examine_accounts


def as_only(returns: Returns, alias: str, account: str) -> Runtime:
    """A worker whose file has nothing but this."""
    runtime = returns.runtime
    binding = replace(runtime.providers["acme"], alias=alias, account=account)
    return replace(runtime, providers={alias: binding}, kinds={alias: runtime.kinds["acme"]})


@pytest.fixture
def asked(returns: Returns) -> Row:
    identity.settle(returns.runtime)
    row = returns.bought(idempotency_key="buyer")
    returns.bought(number(7))
    returns.ask(row, key="release")
    return row


def test_what_waits_under_a_former_name_is_told_and_goes_on_under_the_new(returns: Returns, asked: Row) -> None:
    renamed = as_only(returns, "renamed", ACCOUNT)
    identity.settle(renamed)
    assert identity.stranded(renamed) == [Stranded(provider="acme", account=ACCOUNT, count=1)]
    [said] = identity.stranded_in_words(renamed)
    assert "1 purchases wait under 'acme', which is not configured" in said
    assert "dialstock provider move acme renamed" in said
    assert give_back.step(renamed, renamed.providers["renamed"]) is False
    identity.move(renamed, "acme", Home(provider="renamed", account=ACCOUNT))
    assert identity.stranded(renamed) == []
    assert give_back.step(renamed, renamed.providers["renamed"])
    assert returns.world.row(asked["id"])["status"] == Status.RELEASED


def test_who_asks_for_a_number_under_a_former_name_hears_how_that_is_mended(returns: Returns) -> None:
    row = returns.bought()
    renamed = as_only(returns, "renamed", ACCOUNT)
    fields = {"number": NUMBER, "provider": "renamed"}
    with pytest.raises(RequestError, match="dialstock provider move acme renamed"):
        giving_back.release_number(renamed, fields, "m")
    identity.settle(renamed)
    identity.move(renamed, "acme", Home(provider="renamed", account=ACCOUNT))
    assert giving_back.release_number(renamed, fields, "m")["purchase_id"] == row["id"]


def test_the_doctor_tells_of_it_too(returns: Returns, asked: Row) -> None:
    with returns.runtime.database.read() as conn:
        found = [one.message for one in examine_accounts(conn, returns.runtime.config, returns.world.clock())]
    assert any("1 purchases wait under acme" in one for one in found)


def test_an_account_that_is_left_keeps_what_was_on_its_way_back(returns: Returns, asked: Row) -> None:
    moment = returns.world.clock.moment
    place = {"pool": "p", "slot": 1, "number": NUMBER, "provider": "acme", "purchase_id": asked["id"], "tries": 1}
    with returns.world.write() as conn:
        conn.execute(insert(POOL_NUMBER).values(**place, status=Slot.GONE, updated_at=moment))
    other = as_only(returns, "other", "vogent|second")
    done = identity.leave(other, "acme")
    assert (done.kept, done.under_way, done.held, done.cancelled) == (1, 0, 0, 0)
    assert returns.world.row(asked["id"])["status"] == Status.PURCHASED
    told = [one["data"] for one in returns.world.rows(select(EVENT)) if one["type"] == "dialstock.purchase.kept"]
    found = [(one["idempotency_key"], one["error_code"]) for one in told]
    assert sorted(found) == [("buyer", "account_left"), ("release", "account_left")]
    assert [one["status"] for one in returns.world.rows(select(POOL_NUMBER))] == [Slot.AVAILABLE]
    assert (identity.stranded(other), identity.leave(other, "acme").kept) == ([], 0)
    assert returns.provider.given == []


def test_not_while_a_call_is_under_way(returns: Returns, asked: Row) -> None:
    returns.provider.answers.append(LOST)
    returns.world.points["release_answered"] = die
    with pytest.raises(Killed):
        returns.step()
    other = as_only(returns, "other", "vogent|second")
    done = identity.leave(other, "acme")
    assert (done.kept, done.under_way) == (0, 1)
    assert returns.world.row(asked["id"])["status"] == Status.RELEASING
    returns.world.clock.advance(120)
    done = identity.leave(other, "acme")
    assert (done.kept, done.under_way) == (1, 0)
    assert returns.world.row(asked["id"])["status"] == Status.PURCHASED

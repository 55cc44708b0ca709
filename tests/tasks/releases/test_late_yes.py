"""A yes to a call whose release has ended as kept: the number is gone, for whoever asked for it since too."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import insert, select

from schemas.outcomes import Look, LookKind
from schemas.status import Status
from schemas.tables.pools import POOL_NUMBER, Slot
from schemas.tables.purchases import EVENT
from tasks.ledger.rows import Row
from tasks.releases import giving_back
from tests.tasks.releasing import DONE, LOST, Returns
from tests.tasks.support import NUMBER, Killed, die


def send(returns: Returns, key: str) -> Row:
    fields = {"number": NUMBER, "provider": "acme", "idempotency_key": key}
    return giving_back.release_number(returns.runtime, fields, f"m-{key}")


def answer_late(returns: Returns, meanwhile: Callable[[], object]) -> None:
    """The first release's call is answered with yes; before that is written, a look has it kept, and *meanwhile*."""

    def late() -> None:
        returns.provider.looks.append(Look(kind=LookKind.OWNED, provider_number_id="another"))
        returns.world.clock.advance(60)
        returns.step()
        assert returns.releases()[0]["status"] == "kept"
        meanwhile()

    returns.world.points["release_answered"] = late
    returns.step()


def die_in_the_next_call(returns: Returns) -> None:
    calls = len(returns.provider.given)
    returns.world.points["release_answered"] = die
    with suppress(Killed):
        while len(returns.provider.given) == calls:
            returns.world.clock.advance(1)
            returns.step()


def statuses(returns: Returns) -> list[str]:
    return [one["status"] for one in returns.releases()]


def test_it_ends_the_release_that_was_asked_for_since_and_tells_it(returns: Returns) -> None:
    row = returns.bought(idempotency_key="buyer")
    send(returns, "first")
    answer_late(returns, lambda: send(returns, "second"))
    assert returns.world.row(row["id"])["status"] == Status.RELEASED
    assert statuses(returns) == ["released", "released"]
    assert returns.step() is False
    events = returns.world.rows(select(EVENT).order_by(EVENT.c.seq))
    ends = [(one["type"].rpartition(".")[2], one["data"]["idempotency_key"]) for one in events]
    assert ends[-5:] == [
        ("kept", "first"),
        ("accepted", "second"),
        ("released", "buyer"),
        ("released", "first"),
        ("released", "second"),
    ]
    assert len(returns.provider.given) == 1


def test_not_while_a_call_of_that_is_under_way_which_finds_it_gone(returns: Returns) -> None:
    """It could meet what is bought next under the same id."""
    row = returns.bought(idempotency_key="buyer")

    def again() -> None:
        send(returns, "second")
        returns.provider.answers.append(LOST)
        die_in_the_next_call(returns)

    send(returns, "first")
    answer_late(returns, again)
    assert returns.world.row(row["id"])["status"] == Status.RELEASING
    assert statuses(returns) == ["kept", "open"]
    assert returns.settle(row)["status"] == Status.RELEASED
    assert len(returns.provider.given) == 2


def test_not_while_a_further_call_of_its_own_is_under_way(returns: Returns) -> None:
    row = returns.bought()
    returns.ask(row)
    returns.provider.answers += [DONE, LOST]
    returns.world.points["release_answered"] = lambda: die_in_the_next_call(returns)
    returns.step()
    assert len(returns.provider.given) == 2
    assert returns.world.row(row["id"])["status"] == Status.RELEASING
    returns.provider.take_back(NUMBER)
    assert returns.settle(row)["status"] == Status.RELEASED


def test_a_place_in_a_pool_to_which_it_came_back_goes_again(returns: Returns) -> None:
    row = returns.bought()
    moment = returns.world.clock.moment
    place = {"pool": "p", "slot": 1, "number": NUMBER, "provider": "acme", "purchase_id": row["id"], "tries": 1}
    with returns.world.write() as conn:
        also = {"status": Slot.AVAILABLE, "available_at": moment, "updated_at": moment}
        conn.execute(insert(POOL_NUMBER).values(**place, **also))
    returns.ask(row)
    slots: list[str] = []
    answer_late(returns, lambda: slots.append(returns.world.rows(select(POOL_NUMBER))[0]["status"]))
    slots.append(returns.world.rows(select(POOL_NUMBER))[0]["status"])
    assert slots == [Slot.AVAILABLE, Slot.GONE]


def test_what_looks_found_to_be_gone_is_told_once(returns: Returns) -> None:
    row = returns.bought(idempotency_key="buyer")
    send(returns, "first")

    def meanwhile() -> None:
        returns.provider.take_back(NUMBER)
        returns.world.clock.advance(60)
        assert returns.settle(row)["status"] == Status.RELEASED

    returns.world.points["release_answered"] = meanwhile
    returns.step()
    events = returns.world.rows(select(EVENT).order_by(EVENT.c.seq))
    told = [one["data"]["idempotency_key"] for one in events if one["type"] == "dialstock.purchase.released"]
    assert told == ["buyer", "first"]

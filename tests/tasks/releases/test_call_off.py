"""A release is called off: only where no call can have been executed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert, select

from schemas.outcomes import Look, LookKind
from schemas.releasing import ReleaseKind, ReleaseOutcome
from schemas.requests import RequestError
from schemas.status import Status
from schemas.tables.pools import POOL_NUMBER, Slot
from tasks.ledger.rows import Row, new_id
from tasks.releases import giving_back
from tests.tasks.releasing import LOST, TOO_RECENT, Returns
from tests.tasks.scripted_provider import ABSENT, UNCLEAR
from tests.tasks.support import NUMBER

NOT_EXECUTED = [
    TOO_RECENT,
    ReleaseOutcome(kind=ReleaseKind.THROTTLED, retry_after=60.0),
    ReleaseOutcome(kind=ReleaseKind.NOT_SENT, error="away"),
    ReleaseOutcome(kind=ReleaseKind.ACCOUNT, error="no right to"),
]


def call_off(returns: Returns, row: Row) -> str | None:
    try:
        giving_back.call_off(returns.runtime, row["id"], "bob")
    except RequestError as exc:
        return exc.code
    return None


def test_what_waits_is_kept_and_no_call_is_made(returns: Returns) -> None:
    row = returns.bought()
    returns.ask(row)
    assert call_off(returns, row) is None
    after = returns.world.row(row["id"])
    assert {**after, "revision": 0, "updated_at": None} == {**row, "revision": 0, "updated_at": None}
    [release] = returns.releases()
    assert (release["status"], release["error"], release["error_code"]) == ("kept", "called off by bob", "called_off")
    assert returns.world.events() == ["purchased", "kept"]
    returns.world.clock.advance(7200)
    assert returns.step() is False
    assert returns.provider.given == []
    returns.ask(row)
    assert returns.settle(row)["status"] == Status.RELEASED


@pytest.mark.parametrize("said", NOT_EXECUTED, ids=lambda said: str(said.kind))
def test_what_was_not_executed_does_not_hinder(returns: Returns, said: ReleaseOutcome) -> None:
    row = returns.bought()
    returns.provider.answers.append(said)
    returns.ask(row)
    assert returns.step()
    assert call_off(returns, row) is None
    assert returns.world.row(row["id"])["status"] == Status.PURCHASED


def test_a_call_in_doubt_hinders_until_every_look_says_that_it_is_there_still(returns: Returns) -> None:
    row = returns.bought()
    returns.provider.answers.append(LOST)
    returns.provider.looks += [UNCLEAR, ABSENT]
    returns.ask(row)
    said = [call_off(returns, row)] if returns.step() else []
    while returns.releases()[0]["doubt"]:
        said.append(call_off(returns, row))
        returns.world.clock.advance(30)
        returns.step()
    assert set(said) == {"in_doubt"}
    assert returns.world.row(row["id"])["status"] == Status.RELEASING
    assert call_off(returns, row) is None
    assert len(returns.provider.given) == 1


@pytest.mark.parametrize("point", ["release_claimed", "release_answered"])
def test_a_call_under_way_is_not_called_off(returns: Returns, point: str) -> None:
    row = returns.bought()
    returns.ask(row)
    said: list[str | None] = []
    returns.world.points[point] = lambda: said.append(call_off(returns, row))
    returns.step()
    assert said == ["in_doubt"]
    assert returns.world.row(row["id"])["status"] == Status.RELEASED


def test_one_that_a_worker_has_taken_and_not_claimed_is_not_called_for(returns: Returns) -> None:
    row = returns.bought()
    returns.ask(row)
    said: list[str | None] = []
    returns.world.points["release_taken"] = lambda: said.append(call_off(returns, row))
    returns.step()
    assert said == [None]
    assert returns.provider.given == []
    assert returns.world.row(row["id"])["status"] == Status.PURCHASED


def test_a_yes_that_comes_after_all_is_evidence(returns: Returns) -> None:
    """A worker froze with its answer; meanwhile looks said that the number is there still, and a person kept it."""
    row = returns.bought()
    returns.ask(row)

    def meanwhile() -> None:
        there = Look(kind=LookKind.OWNED, provider_number_id="id-1")
        returns.provider.looks += [there] * len(returns.world.binding.policy.reconcile_after)
        while returns.releases()[0]["doubt"]:
            returns.world.clock.advance(30)
            returns.step()
        assert call_off(returns, row) is None

    returns.world.points["release_answered"] = meanwhile
    returns.step()
    assert returns.world.row(row["id"])["status"] == Status.RELEASED


def test_a_message_delivered_again_asks_for_nothing_anew(returns: Returns) -> None:
    row = returns.bought()
    wanted = {"number": NUMBER, "provider": "acme"}
    giving_back.release_number(returns.runtime, wanted, "m1")
    assert call_off(returns, row) is None
    assert giving_back.release_number(returns.runtime, wanted, "m1")["status"] == "kept"
    assert returns.step() is False


def test_its_place_in_the_pool_is_as_before(returns: Returns) -> None:
    row = returns.bought()
    now = returns.world.clock.moment
    place = {"pool": "p", "slot": 1, "number": NUMBER, "provider": "acme", "purchase_id": row["id"], "tries": 1}
    with returns.world.write() as conn:
        conn.execute(insert(POOL_NUMBER).values(**place, status=Slot.AVAILABLE, available_at=now, updated_at=now))
    returns.ask(row)
    assert call_off(returns, row) is None
    assert [one["status"] for one in returns.world.rows(select(POOL_NUMBER))] == [Slot.AVAILABLE]


def test_nothing_else_is_called_off(returns: Returns) -> None:
    row = returns.bought()
    assert call_off(returns, row) == "not_releasing"
    assert call_off(returns, {"id": new_id()}) == "not_releasing"
    returns.ask(row)
    returns.settle(row)
    assert call_off(returns, row) == "not_releasing"


@pytest.mark.parametrize("turn", range(4))
def test_a_worker_and_a_person_at_once_do_not_both_have_their_way(returns: Returns, turn: int) -> None:
    row = returns.bought()
    returns.ask(row)
    barrier = threading.Barrier(2)

    def work() -> None:
        barrier.wait()
        returns.step()

    def person() -> str | None:
        barrier.wait()
        return call_off(returns, row)

    with ThreadPoolExecutor(2) as pool:
        done, said = pool.submit(work), pool.submit(person)
    done.result()
    status = returns.world.row(row["id"])["status"]
    assert (said.result(), status, len(returns.provider.given)) in [
        (None, Status.PURCHASED, 0),
        ("in_doubt", Status.RELEASED, 1),
        ("not_releasing", Status.RELEASED, 1),
    ]

"""A person says that a number stays ours: after calls, where no look settles what became of them."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select, update

from schemas.releasing import ReleaseKind, ReleaseOutcome
from schemas.status import Status
from schemas.tables.pools import POOL_NUMBER, Slot
from schemas.tables.purchases import EVENT, RESOLUTION
from schemas.tables.releases import RELEASE, RELEASE_ATTEMPT
from tasks.ledger.rows import Row, new_id
from tasks.releases import giving_back
from tests.tasks.releasing import DONE, LOST, REFUSED, Returns
from tests.tasks.scripted_provider import UNCLEAR
from tests.tasks.support import NUMBER, Killed, die

ACCEPTED = ReleaseOutcome(kind=ReleaseKind.ACCEPTED, http_status=202)
HOUR = 3_700.0


def keep(returns: Returns, row: Row) -> Row | None:
    return giving_back.mark_kept(returns.runtime, row["id"], "bob", "seen at the portal")


def asked(returns: Returns, answer: ReleaseOutcome) -> Row:
    row = returns.bought()
    returns.provider.answers.append(answer)
    returns.ask(row)
    assert returns.step()
    return row


@pytest.mark.parametrize("answer", [REFUSED, LOST, ACCEPTED], ids=lambda answer: str(answer.kind))
def test_what_no_look_settles_is_kept_by_a_person(returns: Returns, answer: ReleaseOutcome) -> None:
    row = asked(returns, answer)
    returns.provider.looks += [UNCLEAR] * 20
    for _ in range(20):
        returns.world.clock.advance(HOUR)
        assert returns.step()
    after = keep(returns, row)
    assert after is not None
    assert {**after, "revision": 0, "updated_at": None} == {**row, "revision": 0, "updated_at": None}
    [release] = returns.releases()
    said = (release["status"], release["error"], release["error_code"], release["doubt"], release["due_at"])
    assert said == ("kept", "kept, says bob", "by_person", False, None)
    assert returns.world.events() == ["purchased", "kept"]
    told = returns.world.rows(select(EVENT).order_by(EVENT.c.seq))[-1]["data"]
    assert (told["error"], told["error_code"]) == ("kept, says bob", "by_person")
    [settled] = returns.world.rows(select(RESOLUTION))
    assert (settled["decision"], settled["by"], settled["note"]) == ("bought", "bob", "seen at the portal")
    returns.world.clock.advance(HOUR)
    assert returns.step() is False
    assert len(returns.provider.given) == 1
    returns.ask(row)
    assert returns.settle(row)["status"] == Status.RELEASED


def test_not_while_a_call_is_under_way_and_its_answer_counts(returns: Returns) -> None:
    row = returns.bought()
    returns.ask(row)
    said: list[object] = []
    returns.world.points["release_claimed"] = lambda: said.append(keep(returns, row))
    returns.step()
    assert said == [None]
    assert returns.world.row(row["id"])["status"] == Status.RELEASED
    assert returns.world.rows(select(RESOLUTION)) == []


def test_a_call_whose_worker_is_gone_may_have_been_executed(returns: Returns) -> None:
    row = returns.bought()
    returns.ask(row)
    returns.world.points["release_claimed"] = die
    with pytest.raises(Killed):
        returns.step()
    deadline = returns.releases()[0]["call_deadline"]
    returns.world.clock.advance((deadline - returns.world.clock.moment).total_seconds() - 1)
    assert keep(returns, row) is None
    returns.world.clock.advance(1)
    assert keep(returns, row) is not None
    [call] = returns.world.rows(select(RELEASE_ATTEMPT))
    assert (call["outcome"], call["error_code"]) == ("unknown", "worker_gone")


def test_its_place_in_a_pool_comes_back(returns: Returns) -> None:
    row = returns.bought()
    now = returns.world.clock.moment
    place = {"pool": "p", "slot": 1, "number": NUMBER, "provider": "acme", "purchase_id": row["id"], "tries": 1}
    with returns.world.write() as conn:
        conn.execute(insert(POOL_NUMBER).values(**place, status=Slot.AVAILABLE, available_at=now, updated_at=now))
    returns.provider.answers.append(ACCEPTED)
    returns.ask(row)
    assert returns.step()
    returns.world.clock.advance(HOUR)
    assert keep(returns, row) is not None
    assert [one["status"] for one in returns.world.rows(select(POOL_NUMBER))] == [Slot.AVAILABLE]


def test_what_waits_without_a_release_is_kept_too(returns: Returns) -> None:
    row = returns.bought()
    returns.ask(row)
    with returns.world.write() as conn:
        conn.execute(update(RELEASE).values(status="kept", due_at=None))
    assert (keep(returns, row) or {})["status"] == Status.PURCHASED


def test_nothing_else_is_kept(returns: Returns) -> None:
    row = returns.bought()
    assert keep(returns, row) is None
    assert keep(returns, {"id": new_id()}) is None
    returns.provider.answers.append(lambda number: returns.provider.take_back(number) and DONE)
    returns.ask(row)
    assert returns.settle(row)["status"] == Status.RELEASED
    assert keep(returns, row) is None
    assert returns.world.events() == ["purchased", "released"]

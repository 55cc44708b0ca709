"""A pool's place whose number is given back: it says what its purchase says, however that comes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from sqlalchemy import insert, select

from schemas.outcomes import Look, LookKind
from schemas.pool_requests import TakeNumber
from schemas.status import Status
from schemas.tables.pools import POOL_NUMBER, Slot
from schemas.tables.purchases import RESOLUTION
from tasks.ledger.rows import Row
from tasks.lifecycle import give_back
from tasks.pools.requests import take_and_return
from tasks.providers.adapter import Known
from tasks.releases import giving_back
from tasks.releases.stopped_releases import WENT_BACK, keep_all
from tests.tasks.releasing import LOST, REFUSED, Returns
from tests.tasks.support import NUMBER


def place(returns: Returns, row: Row, status: Slot) -> None:
    """As supply leaves it: what is ordered has no provider's id yet."""
    values = {"pool": "p", "slot": 1, "number": NUMBER, "provider": "acme", "purchase_id": row["id"], "tries": 1}
    now = returns.world.clock.moment
    known = {"provider_number_id": row["provider_number_id"], "available_at": now}
    also = known if status is Slot.AVAILABLE else {"ordered_at": now}
    with returns.world.write() as conn:
        conn.execute(insert(POOL_NUMBER).values(**values, **also, status=status, updated_at=now))


def slot(returns: Returns) -> Row:
    [found] = returns.world.rows(select(POOL_NUMBER))
    return found


@pytest.mark.parametrize("by_person", [False, True])
def test_what_is_kept_before_it_was_settled_comes_back_with_its_id(returns: Returns, by_person: bool) -> None:
    row = returns.bought()
    place(returns, row, Slot.ORDERED)
    returns.provider.answers.append(REFUSED)
    returns.ask(row)
    assert slot(returns)["status"] == Slot.GONE
    if by_person:
        assert giving_back.mark_kept(returns.runtime, row["id"], "ann", None) is not None
    else:
        returns.settle(row)
    taken = take_and_return.take(returns.runtime, TakeNumber(pool="p", taker="crm"), "m")
    assert [one["provider_number_id"] for one in taken["numbers"]] == [row["provider_number_id"]]


def test_what_comes_back_though_it_is_gone_leaves_again_by_a_late_yes(returns: Returns) -> None:
    row = returns.bought()
    place(returns, row, Slot.AVAILABLE)
    returns.ask(row)

    def meanwhile() -> None:
        returns.provider.looks += [Look(kind=LookKind.OWNED, provider_number_id="another")]
        returns.world.clock.advance(60)
        assert give_back.step(returns.runtime, returns.world.binding)
        assert slot(returns)["status"] == Slot.AVAILABLE

    returns.world.points["release_answered"] = meanwhile
    returns.step()
    assert returns.world.row(row["id"])["status"] == Status.RELEASED
    assert slot(returns)["status"] == Slot.GONE
    assert take_and_return.take(returns.runtime, TakeNumber(pool="p", taker="crm"), "m")["success"] is False


def keep_in_doubt(returns: Returns, row: Row) -> None:
    keep_all(returns.runtime, [row["account"]], WENT_BACK, even_under_way=True)
    assert slot(returns)["status"] == Slot.GONE


def test_an_answer_that_settles_nothing_brings_no_number_back_that_may_be_gone(returns: Returns) -> None:
    row = returns.bought()
    place(returns, row, Slot.AVAILABLE)
    returns.provider.answers.append(returns.provider.take_back_unseen)
    returns.ask(row)
    returns.world.points["release_answered"] = lambda: keep_in_doubt(returns, row)
    returns.step()
    assert returns.world.row(row["id"])["status"] == Status.PURCHASED
    assert slot(returns)["status"] == Slot.GONE


def test_a_look_that_comes_late_brings_no_number_back_that_may_be_gone(
    returns: Returns, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = returns.bought()
    place(returns, row, Slot.AVAILABLE)
    returns.provider.answers.append(returns.provider.take_back_unseen)
    returns.ask(row)
    returns.step()
    returns.world.clock.advance(60)
    look = returns.provider.look

    def looks_long(numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        keep_in_doubt(returns, row)
        return look(numbers)

    monkeypatch.setattr(returns.provider, "look", looks_long)
    assert returns.step()
    assert slot(returns)["status"] == Slot.GONE


def test_a_person_brings_back_what_was_kept_in_doubt_and_is_ours_still(returns: Returns) -> None:
    row = returns.bought()
    place(returns, row, Slot.AVAILABLE)
    returns.provider.answers.append(LOST)
    returns.ask(row)
    returns.step()
    keep_in_doubt(returns, row)
    # its call may be carried out until its deadline
    assert giving_back.mark_kept(returns.runtime, row["id"], "ann", None) is None
    returns.world.clock.advance(60)
    after = giving_back.mark_kept(returns.runtime, row["id"], "ann", "seen at the portal")
    assert after is not None
    assert (after["status"], slot(returns)["status"]) == (Status.PURCHASED, Slot.AVAILABLE)
    assert giving_back.mark_kept(returns.runtime, row["id"], "ann", None) is None
    [said] = returns.world.rows(select(RESOLUTION))
    assert (said["purchase_id"], said["by"], said["note"]) == (row["id"], "ann", "seen at the portal")

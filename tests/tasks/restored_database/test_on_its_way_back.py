"""A number was on its way back in what the database went back to; it was given back, and bought again since."""

from __future__ import annotations

from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import insert, select

from schemas.outcomes import Outcome, OutcomeKind
from schemas.status import Status
from schemas.tables.pools import POOL_NUMBER, Slot
from schemas.tables.purchases import EVENT, PROVIDER
from tasks.ledger.rows import Row
from tasks.policies.pause import Cause
from tasks.releases import giving_back
from tasks.restored_database import detect
from tasks.restored_database import go_on as restored
from tasks.restored_database.go_on import believe
from tests.tasks.past import Past
from tests.tasks.releasing import LOST, Returns, takes_back
from tests.tasks.restored_database.test_mended import audit
from tests.tasks.support import NUMBER, number


class OneId:
    """Restored to a release of a number that the provider sold again under the same id."""

    def __init__(self, past: Past) -> None:
        self.past = past
        self.returns: Returns = takes_back(past.world)
        self.returns.provider.charge = self.charge  # type: ignore[method-assign]
        # what the audit is measured by
        self.returns.bought(number(5))

    def charge(self, wanted: str, *, shows_after: float = 0.0) -> Outcome:
        provider = self.returns.provider
        provider.charged.append((wanted, wanted[1:]))
        provider.shows.setdefault(wanted, provider.clock.moment)
        return Outcome(kind=OutcomeKind.PURCHASED, http_status=200, provider_number_id=wanted[1:])

    def ask(self, key: str) -> Row:
        fields: Row = {"number": NUMBER, "provider": "acme", "idempotency_key": key}
        return giving_back.release_number(self.returns.runtime, fields, f"m-{key}")

    def go_back(self, row: Row, *answers: Any) -> None:
        """To where it was asked for, and for *answers* called for."""
        self.returns.provider.answers.extend(answers)
        while answers and not self.returns.provider.given:
            self.returns.step()
        self.past.keep()
        self.returns.settle(row)
        again = self.returns.bought(idempotency_key="two")
        assert again["id"] != row["id"]
        self.past.go_back()
        self.past.world.clock.advance(30)

    def ours(self) -> bool:
        return (NUMBER, NUMBER[1:]) in self.returns.provider.charged

    def kept(self) -> list[tuple[str, str]]:
        events = self.past.world.rows(select(EVENT).order_by(EVENT.c.seq))
        found = [one["data"] for one in events if one["type"] == "dialstock.purchase.kept"]
        return [(one["idempotency_key"], one["error_code"]) for one in found]


@pytest.fixture
def one_id(past: Past) -> OneId:
    return OneId(past)


def go_on(past: Past, *, by_audit: bool) -> None:
    past.world.clock.advance(600)
    if by_audit:
        found = audit(past)
        assert found is not None
        assert found.settled
    else:
        believe(past.world.runtime, past.world.binding, "ann", "seen at the dashboard")
    past.compare()
    assert past.causes() == [None, None]


@pytest.mark.parametrize("by_audit", [True, False])
@pytest.mark.parametrize("answers", [(), (LOST,)], ids=["asked", "in_doubt"])
def test_what_was_bought_since_is_kept(one_id: OneId, by_audit: bool, answers: tuple[Any, ...]) -> None:
    row = one_id.returns.bought(idempotency_key="one")
    one_id.ask("release")
    one_id.go_back(row, *answers)
    calls = len(one_id.returns.provider.given)
    one_id.past.compare()
    assert one_id.past.causes() == [Cause.BEHIND] * 2
    assert one_id.past.world.row(row["id"])["status"] == Status.PURCHASED
    assert one_id.kept() == [("one", "history_lost"), ("release", "history_lost")]
    go_on(one_id.past, by_audit=by_audit)
    after = one_id.returns.settle(row)
    assert (after["status"], one_id.ours(), len(one_id.returns.provider.given)) == (Status.PURCHASED, True, calls)
    one_id.ask("anew")
    assert one_id.returns.settle(row)["status"] == Status.RELEASED


@pytest.mark.parametrize("by_audit", [True, False])
def test_what_is_asked_for_while_it_is_behind_is_kept_too(one_id: OneId, by_audit: bool) -> None:
    """A message that was delivered before, and that the database has lost."""
    row = one_id.returns.bought(idempotency_key="one")
    one_id.past.keep()
    one_id.ask("release")
    one_id.returns.settle(row)
    one_id.returns.bought(idempotency_key="two")
    one_id.past.go_back()
    one_id.past.compare()
    one_id.ask("release")
    assert one_id.returns.step() is False
    go_on(one_id.past, by_audit=by_audit)
    assert one_id.returns.settle(row)["status"] == Status.PURCHASED
    assert one_id.ours()
    assert one_id.kept() == [("one", "history_lost"), ("release", "history_lost")]


@pytest.mark.parametrize(("answers", "slot"), [((), Slot.AVAILABLE), ((LOST,), Slot.GONE)], ids=["asked", "in_doubt"])
def test_a_place_in_a_pool_has_its_number_again_unless_it_may_be_gone(
    one_id: OneId, answers: tuple[Any, ...], slot: Slot
) -> None:
    row, moment = one_id.returns.bought(), one_id.past.world.clock.moment
    place = {"pool": "p", "slot": 1, "number": NUMBER, "provider": "acme", "purchase_id": row["id"], "tries": 1}
    with one_id.past.world.write() as conn:
        also = {"status": Slot.AVAILABLE, "available_at": moment, "updated_at": moment}
        conn.execute(insert(POOL_NUMBER).values(**place, **also))
    one_id.ask("release")
    one_id.go_back(row, *answers)
    one_id.past.compare()
    assert one_id.past.world.row(row["id"])["status"] == Status.PURCHASED
    assert [one["status"] for one in one_id.past.world.rows(select(POOL_NUMBER))] == [slot]


def test_while_a_call_may_be_under_way_it_is_kept_as_it_goes_on(one_id: OneId) -> None:
    row = one_id.returns.bought(idempotency_key="one")
    one_id.ask("release")
    one_id.go_back(row, LOST)
    one_id.past.world.clock.moment = one_id.returns.releases()[0]["call_deadline"] - timedelta(seconds=1)
    one_id.past.compare()
    assert one_id.past.world.row(row["id"])["status"] == Status.RELEASING
    go_on(one_id.past, by_audit=False)
    assert one_id.past.world.row(row["id"])["status"] == Status.PURCHASED


def lost_on_its_way(one_id: OneId) -> Row:
    """A number that is on its way back in what the database went back to."""
    row = one_id.returns.bought(idempotency_key="one")
    one_id.ask("release")
    one_id.go_back(row)
    return row


def overtake(one_id: OneId, module: ModuleType, monkeypatch: pytest.MonkeyPatch, *, by_audit: bool) -> None:
    """Who is about to keep what is on its way stands still until the account goes on, and the number is given back."""
    keep = module.keep_numbers

    def overtaken(*given: Any, **how: Any) -> None:
        monkeypatch.setattr(module, "keep_numbers", keep)
        go_on(one_id.past, by_audit=by_audit)
        one_id.ask("anew")
        one_id.returns.provider.answers.append(LOST)
        while not one_id.returns.provider.given:
            one_id.returns.step()
        one_id.past.world.clock.advance(600)
        keep(*given, **how)

    monkeypatch.setattr(module, "keep_numbers", overtaken)


@pytest.mark.parametrize("by_audit", [True, False])
def test_what_is_given_back_since_it_went_on_is_not_kept_by_who_noticed_the_restore(
    one_id: OneId, by_audit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = lost_on_its_way(one_id)
    overtake(one_id, detect, monkeypatch, by_audit=by_audit)
    one_id.past.compare()
    assert one_id.past.world.row(row["id"])["status"] == Status.RELEASING
    assert one_id.returns.settle(row)["status"] == Status.RELEASED


@pytest.mark.parametrize("by_audit", [True, False])
def test_who_read_of_a_restore_and_comes_after_the_account_went_on_stops_nothing(
    one_id: OneId, by_audit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = lost_on_its_way(one_id)
    read = detect.all_lost

    def overtaken(*given: Any) -> Any:
        monkeypatch.setattr(detect, "all_lost", read)
        lost = read(*given)
        one_id.past.compare()
        go_on(one_id.past, by_audit=by_audit)
        one_id.ask("anew")
        return lost

    monkeypatch.setattr(detect, "all_lost", overtaken)
    one_id.past.compare()
    assert one_id.past.world.row(row["id"])["status"] == Status.RELEASING
    assert not any(one["cause"] for one in one_id.past.world.rows(select(PROVIDER)))
    assert one_id.returns.settle(row)["status"] == Status.RELEASED


@pytest.mark.parametrize("by_audit", [True, False])
def test_what_is_given_back_since_another_let_the_account_go_on_is_not_kept(
    one_id: OneId, by_audit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two audits at once: the number is gone, and would stand as bought."""
    row = lost_on_its_way(one_id)
    one_id.past.compare()
    overtake(one_id, restored, monkeypatch, by_audit=by_audit)
    one_id.past.world.clock.advance(600)
    if by_audit:
        audit(one_id.past)
    else:
        believe(one_id.past.world.runtime, one_id.past.world.binding, "ann", "seen at the dashboard")
    assert one_id.past.world.row(row["id"])["status"] == Status.RELEASING
    assert one_id.returns.settle(row)["status"] == Status.RELEASED

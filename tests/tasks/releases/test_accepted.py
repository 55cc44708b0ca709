"""A call that the provider accepted and carries out later: while it may, the number is not told as kept."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select

from schemas.outcomes import Look, LookKind
from schemas.releasing import ReleaseKind, ReleaseOutcome, ReleaseStatus
from schemas.status import Status
from schemas.tables.pools import POOL_NUMBER, Slot
from tasks.ledger.rows import Row
from tasks.policies.giving_back import LOOK_AGAIN_MAX, Past, after_look
from tests.tasks.releasing import Returns
from tests.tasks.support import NUMBER, policy

ACCEPTED = ReleaseOutcome(kind=ReleaseKind.ACCEPTED, http_status=202)
OURS = Look(kind=LookKind.OWNED, provider_number_id="id-1")
OTHER = Look(kind=LookKind.OWNED, provider_number_id="another")


def until_due(returns: Returns) -> float:
    """Go on to the next step; the seconds until then."""
    [release] = returns.releases(status="open")
    wait = max(0.0, (release["due_at"] - returns.world.clock.moment).total_seconds())
    returns.world.clock.advance(wait)
    assert returns.step()
    return wait


def accepted(returns: Returns) -> Row:
    row = returns.bought()
    returns.provider.answers += [ACCEPTED] * 20
    returns.ask(row)
    assert returns.step()
    return row


def test_it_is_looked_at_for_as_long_as_it_takes_and_called_once(returns: Returns) -> None:
    row = returns.bought()
    now = returns.world.clock.moment
    place = {"pool": "p", "slot": 1, "number": NUMBER, "provider": "acme", "purchase_id": row["id"], "tries": 1}
    with returns.world.write() as conn:
        conn.execute(insert(POOL_NUMBER).values(**place, status=Slot.AVAILABLE, available_at=now, updated_at=now))
    returns.provider.answers += [ACCEPTED] * 20
    returns.ask(row)
    assert returns.step()
    looks = len(returns.world.binding.policy.reconcile_after)
    waits = [until_due(returns) for _ in range(30)][looks + 1 :]
    assert waits == sorted(waits)
    assert (waits[0] < waits[3], waits[-1]) == (True, LOOK_AGAIN_MAX)
    [release] = returns.releases()
    assert (release["status"], release["error_code"]) == ("open", "accepted")
    assert returns.world.row(row["id"])["status"] == Status.RELEASING
    assert [one["status"] for one in returns.world.rows(select(POOL_NUMBER))] == [Slot.GONE]
    returns.provider.take_back(NUMBER)
    for _ in range(looks):
        until_due(returns)
    assert returns.world.row(row["id"])["status"] == Status.RELEASED
    assert (len(returns.provider.given), returns.world.events()) == (1, ["purchased", "released"])


def test_who_asks_for_it_meanwhile_does_not_have_it_told_as_kept(returns: Returns) -> None:
    row = accepted(returns)
    with returns.world.write() as conn:  # as a program does that does not know the status
        conn.exec_driver_sql(
            "INSERT INTO purchase_key (idempotency_key, fingerprint, purchase_id, created_at) "
            f"VALUES ('late', 'f', '{row['id']}', '2026-01-01 00:00:00')"
        )
    for _ in range(10):
        until_due(returns)
    assert returns.world.row(row["id"])["status"] == Status.RELEASING


def test_another_id_is_told_and_goes_on(returns: Returns) -> None:
    row = accepted(returns)
    returns.provider.looks.append(OTHER)
    until_due(returns)
    assert [(one["status"], one["error_code"]) for one in returns.releases()] == [("open", "other_id")]
    returns.provider.take_back(NUMBER)
    assert returns.settle(row)["status"] == Status.RELEASED


def test_an_answer_that_comes_late_counts_too(returns: Returns) -> None:
    row = returns.bought()
    returns.provider.answers.append(ACCEPTED)
    returns.ask(row)

    def meanwhile() -> None:
        until_due(returns)

    returns.world.points["release_answered"] = meanwhile
    assert returns.step()
    assert returns.calls() == ["accepted"]
    for _ in range(10):
        until_due(returns)
    assert (returns.world.row(row["id"])["status"], len(returns.provider.given)) == (Status.RELEASING, 1)


@pytest.mark.parametrize("look", [OURS, OTHER], ids=["ours", "other"])
@pytest.mark.parametrize("past", [{"refused": True}, {"wanted": True, "found": "there", "looks": 9}, {"attempts": 99}])
def test_nothing_that_a_look_says_keeps_it(look: Look, past: dict[str, object]) -> None:
    rules = policy(reconcile_after=(0.0,))
    step = after_look(look, Past(number_id="id-1", accepted=True, **past), rules)  # type: ignore[arg-type]
    assert (step.status, step.doubt, step.delay >= 1.0) == (ReleaseStatus.OPEN, True, True)

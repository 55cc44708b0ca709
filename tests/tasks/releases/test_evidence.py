"""What a provider shows of a number that was given back: no later purchase of it is bought by that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from schemas.outcomes import Look, LookKind, Outcome, OutcomeKind, OwnedNumber
from schemas.settling import FindingKind
from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.audit import compare, schedule
from tasks.ledger.calls import looks
from tasks.ledger.rows import Row
from tasks.providers.transport.turns import take_turn
from tests.tasks.ledger.calls.test_late_evidence import fail
from tests.tasks.ledger.calls.test_outcomes import lose, record
from tests.tasks.releasing import DONE, Returns
from tests.tasks.scripted_provider import ABSENT, REFUSED, UNKNOWN
from tests.tasks.support import NUMBER, number

LAG = 120.0
UNCLEAR = Look(kind=LookKind.UNCLEAR, error="HTTP 500")
DIGITS = NUMBER.removeprefix("+")


def sold(known: str | None) -> Outcome:
    return Outcome(kind=OutcomeKind.PURCHASED, http_status=201, provider_number_id=known)


def owned(known: str | None) -> Look:
    return Look(kind=LookKind.OWNED, provider_number_id=known)


def give_back(returns: Returns, known: str | None = "id-1") -> Row:
    """A number that was bought under the id *known*, and is given back; the provider's list shows what a test says."""
    returns.provider.script.append(sold(known))
    row = returns.bought(idempotency_key="one")
    returns.provider.answers.append(DONE)
    returns.ask(row)
    after = returns.settle(row)
    assert after["status"] == Status.RELEASED
    return after


def asked_again(returns: Returns, outcome: Outcome, *answers: Look) -> Row:
    returns.provider.script.append(outcome)
    returns.provider.looks.extend(answers)
    return returns.bought(idempotency_key="two")


def test_a_refusal_of_what_is_shown_still_is_no_purchase_and_ends_with_a_person(returns: Returns) -> None:
    give_back(returns)
    returns.provider.script.extend([REFUSED] * 100)
    row = asked_again(returns, REFUSED, *[owned("id-1")] * 100)
    assert (row["status"], row["already_owned"]) == (Status.QUEUED, False)
    row = returns.world.settle(row["id"])
    assert (row["status"], row["success"], row["error_code"]) == (Status.HELD, None, "gave_up")
    assert "given back" in row["error"]
    assert returns.provider.charged == []
    assert set(returns.world.attempts(row["id"])) == {"refused"}


def test_a_refusal_fails_once_the_list_shows_it_no_more(returns: Returns) -> None:
    give_back(returns)
    returns.provider.script.append(REFUSED)
    row = asked_again(returns, REFUSED, owned("id-1"), ABSENT)
    row = returns.world.settle(row["id"])
    assert (row["status"], row["error_code"]) == (Status.FAILED, REFUSED.error_code)


@pytest.mark.parametrize("kind", [LookKind.OWNED, LookKind.PROCESSING])
@pytest.mark.parametrize("outcome", [REFUSED, UNKNOWN], ids=lambda one: one.kind)
def test_what_is_shown_under_another_id_is_ours(returns: Returns, outcome: Outcome, kind: LookKind) -> None:
    give_back(returns)
    row = asked_again(returns, outcome, Look(kind=kind, provider_number_id="id-9"))
    if outcome is UNKNOWN:
        returns.world.clock.advance(60)
        returns.world.tick()
        row = returns.world.row(row["id"])
    assert row["provider_number_id"] == "id-9"
    assert row["status"] == (Status.PURCHASED if kind is LookKind.OWNED else Status.PROCESSING)


@pytest.mark.parametrize(
    ("then", "shown", "waits"),
    [("id-1", "id-1", None), (DIGITS, DIGITS, LAG), (None, "id-1", LAG), ("id-1", None, LAG)],
    ids=["the same", "the number itself", "not known then", "not told now"],
)
def test_a_call_in_doubt_is_not_settled_by_what_was_given_back(
    returns: Returns, then: str | None, shown: str, waits: float | None
) -> None:
    """Where no id tells one record from another, it is the time for which a list may lag."""
    first = give_back(returns, then or "known")
    if then is None:
        forget_id(returns, first)
    row = asked_again(returns, UNKNOWN, *[owned(shown)] * 100)
    released = returns.world.clock.passed
    while returns.world.row(row["id"])["status"] == Status.UNKNOWN:
        returns.world.clock.advance(5)
        returns.world.tick()
    row = returns.world.row(row["id"])
    assert returns.provider.calls == [1, 1]
    if waits is None:
        assert (row["status"], row["error_code"]) == (Status.HELD, "look_failed")
    else:
        assert (row["status"], row["provider_number_id"]) == (Status.PURCHASED, shown)
        assert returns.world.clock.passed - released > waits


@pytest.mark.parametrize("outcome", [REFUSED, UNKNOWN], ids=lambda one: one.kind)
def test_a_clock_that_is_set_ahead_hides_nothing_sooner(returns: Returns, outcome: Outcome) -> None:
    give_back(returns, DIGITS)
    clock = returns.world.clock
    released = clock.passed
    clock.set(600)
    returns.provider.script.extend([outcome] * 100)
    row = asked_again(returns, outcome, *[owned(DIGITS)] * 100)
    while row["status"] not in (Status.PURCHASED, Status.HELD):
        clock.advance(5)
        returns.world.tick()
        row = returns.world.row(row["id"])
    assert row["status"] == Status.HELD or clock.passed - released > LAG


def forget_id(returns: Returns, row: Row) -> None:
    with returns.world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(provider_number_id=None))


def test_an_orders_own_word_counts_at_once(returns: Returns) -> None:
    give_back(returns)
    ordered = Look(kind=LookKind.PROCESSING, provider_order_id="order-2")
    row = asked_again(returns, UNKNOWN, ordered)
    returns.world.clock.advance(60)
    returns.world.tick()
    assert returns.world.row(row["id"])["status"] == Status.PROCESSING


def doubtful_then_failed(returns: Returns) -> Row:
    """A purchase as a slow worker looks at it, that a person failed meanwhile."""
    world = returns.world
    returns.provider.script.append(UNKNOWN)
    returns.provider.looks.extend([UNCLEAR] * 8)
    row = seen = world.queued()
    while row["status"] != Status.HELD:
        world.clock.advance(5)
        world.tick()
        seen, row = row, world.row(row["id"])
    fail(world, row)
    return seen


@pytest.mark.parametrize(("known", "stands"), [("id-1", False), (DIGITS, False), ("id-9", True)])
def test_a_look_from_before_a_number_was_given_back_brings_no_purchase_back(
    returns: Returns, known: str, stands: bool
) -> None:
    """Under another id it is another number's charge, that nobody gave back."""
    seen = doubtful_then_failed(returns)
    give_back(returns, DIGITS if known == DIGITS else "id-1")
    world = returns.world
    with world.write() as conn:
        looks.record_look(conn, seen, owned(known), world.binding.policy, world.runtime.watched())
    row = world.row(seen["id"])
    assert row["status"] == (Status.PURCHASED if stands else Status.FAILED)
    assert world.attempts(seen["id"]) == ["purchased" if stands else "unknown"]


@pytest.mark.parametrize(("known", "stands"), [("id-1", False), (DIGITS, False), (None, False), ("id-9", True)])
def test_a_late_yes_to_what_was_given_back_brings_no_purchase_back(
    returns: Returns, known: str | None, stands: bool
) -> None:
    world = returns.world
    claim = world.claimed()
    world.clock.moment = claim.deadline + timedelta(seconds=3)
    returns.provider.looks.extend([UNCLEAR] * 8)
    row = fail(world, world.settle(claim.row["id"]))
    give_back(returns, DIGITS if known == DIGITS else "id-1")
    record(world, claim, sold(known))
    assert world.row(row["id"])["status"] == (Status.PURCHASED if stands else Status.FAILED)
    assert world.attempts(row["id"]) == ["purchased"]


@pytest.mark.parametrize("outcome", [REFUSED, sold("id-5")], ids=lambda one: one.kind)
def test_a_late_yes_to_what_was_given_back_is_none_of_the_next_purchase(returns: Returns, outcome: Outcome) -> None:
    world = returns.world
    claim = world.claimed()
    world.clock.moment = claim.deadline + timedelta(seconds=3)
    returns.provider.looks.extend([UNCLEAR] * 8)
    fail(world, world.settle(claim.row["id"]))
    give_back(returns)
    world.clock.advance(600)
    later = world.claimed()
    lose(world, later)
    returns.provider.looks.extend([ABSENT] * 6)
    while world.row(later.row["id"])["status"] != Status.DISPATCHED:
        world.clock.advance(5)
        world.look()
        world.work()
        world.release()
    later = world.claim(later.row["id"])
    record(world, claim, sold("id-1"))
    record(world, later, outcome)
    row = world.row(later.row["id"])
    assert row["status"] == (Status.UNKNOWN if outcome is REFUSED else Status.PURCHASED)
    assert "charged_twice" not in world.events()


def test_a_late_yes_of_a_call_that_was_made_after_it_counts(returns: Returns) -> None:
    """A provider may give a number the id again that it had."""
    give_back(returns)
    returns.world.clock.advance(1)
    claim = returns.world.claimed()
    assert record(returns.world, claim, sold("id-1"))


class Lagging:
    """A list that shows *shown*, whatever is given back while it is read: *meanwhile* happens before its end."""

    def __init__(self, returns: Returns, *shown: OwnedNumber) -> None:
        self.shown = shown
        self.meanwhile = lambda: None
        returns.provider.owned = self.owned  # type: ignore[method-assign]

    def owned(self) -> Iterator[OwnedNumber]:
        take_turn()()
        yield from self.shown
        happens, self.meanwhile = self.meanwhile, lambda: None
        happens()


def entry(known: str) -> OwnedNumber:
    return OwnedNumber(number=NUMBER, provider_number_id=known)


@pytest.mark.parametrize("known", ["id-1", DIGITS, "id-9"])
def test_an_audit_that_began_before_takes_no_later_purchase_for_bought(returns: Returns, known: str) -> None:
    world, again = returns.world, []
    returns.provider.script.append(sold("id-0"))
    returns.bought(number(1))
    returns.provider.script.append(sold(DIGITS if known == DIGITS else "id-1"))
    row = returns.bought(idempotency_key="one")
    world.clock.advance(600)
    other = OwnedNumber(number=number(1), provider_number_id="id-0")
    walk = Lagging(returns, entry(known), other)

    def happens() -> None:
        world.clock.advance(60)
        returns.provider.answers.append(DONE)
        returns.ask(row)
        returns.settle(row)
        again.append(world.queued())

    walk.meanwhile = happens
    assert schedule.scheduled(returns.runtime, "acme") == 0
    assert world.row(again[0]["id"]) == again[0]
    assert world.events(of=again[0]["id"]) == []


@pytest.mark.parametrize(("known", "waits"), [("id-1", None), (DIGITS, LAG), ("id-9", 0.0)])
def test_an_audit_that_begins_after_takes_what_cannot_be_the_old_record(
    returns: Returns, known: str, waits: float | None
) -> None:
    world = returns.world
    give_back(returns, DIGITS if known == DIGITS else "id-1")
    world.clock.advance(1)
    row = world.queued()
    world.clock.advance(1)
    Lagging(returns, entry("id-1" if known == "id-9" else known), entry(known))
    schedule.scheduled(returns.runtime, "acme")
    assert (world.row(row["id"])["status"] == Status.PURCHASED) is (waits == 0.0)
    if waits != 0.0:
        world.clock.advance(86_400)
        schedule.scheduled(returns.runtime, "acme")
        assert (world.row(row["id"])["status"] == Status.PURCHASED) is (waits is not None)
    if waits is not None:
        assert world.row(row["id"])["provider_number_id"] == known


def test_evidence_of_before_a_purchase_was_made_is_left_for_the_next_audit(returns: Returns) -> None:
    """Nobody knows what became of the number between: given back at the provider's portal, say."""
    world, made = returns.world, []
    walk = Lagging(returns, entry("id-7"))

    def happens() -> None:
        world.clock.advance(60)
        made.append(world.queued())

    walk.meanwhile = happens
    report = compare.audit(returns.runtime, world.binding)
    done = compare.adopt(returns.runtime, world.binding, report, "ann")
    assert [one.kind for one in done.left] == [FindingKind.EVIDENCE]
    assert world.row(made[0]["id"]) == made[0]
    report = compare.audit(returns.runtime, world.binding)
    assert compare.adopt(returns.runtime, world.binding, report, "ann").left == []
    assert world.row(made[0]["id"])["status"] == Status.PURCHASED


def test_what_was_just_given_back_is_no_orphan_while_the_list_may_show_it(returns: Returns) -> None:
    give_back(returns)
    returns.world.clock.advance(60)
    Lagging(returns, entry("id-1"))
    assert compare.audit(returns.runtime, returns.world.binding).findings == []
    returns.world.clock.advance(LAG)
    [found] = compare.audit(returns.runtime, returns.world.binding).findings
    assert found.kind is FindingKind.ORPHAN


def test_an_orphan_that_is_given_back_before_it_is_taken_in_is_left_out(returns: Returns) -> None:
    Lagging(returns, entry("id-1"))
    report = compare.audit(returns.runtime, returns.world.binding)
    assert [one.kind for one in report.findings] == [FindingKind.ORPHAN]
    returns.world.clock.advance(60)
    give_back(returns)
    assert compare.adopt(returns.runtime, returns.world.binding, report, "ann").settled == []
    assert returns.statuses() == [Status.RELEASED]

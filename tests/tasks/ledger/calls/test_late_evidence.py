"""Evidence that comes after a purchase ended without its number."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from schemas.events import EventType
from schemas.outcomes import Look, LookKind, Outcome, OutcomeKind
from schemas.requests import BuyNumber
from schemas.settling import Verdict
from schemas.status import Status
from schemas.tables.purchases import EVENT, PURCHASE
from tasks import orders
from tasks.ledger import resolve
from tasks.ledger.calls import looks
from tasks.ledger.calls.answers import Answer
from tasks.ledger.calls.intents import Claim
from tasks.ledger.calls.outcomes import record_all
from tasks.ledger.requests import accept
from tasks.ledger.resolve import Resolution, Settler
from tasks.ledger.rows import Row, move, version
from tasks.policies.retry import History, after_call
from tests.tasks.ledger.calls.test_outcomes import COMING, FIRST, hold, lose, record
from tests.tasks.ledger.test_resolve import updates
from tests.tasks.scripted_provider import REFUSED, THROTTLED, UNKNOWN
from tests.tasks.support import NUMBER, World, number

REQUEST = BuyNumber(number=NUMBER, provider="acme")


def fail(world: World, row: Row) -> Row:
    """A person says of a held purchase that it did not buy."""
    said = Resolution(purchase_id=row["id"], verdict=Verdict.FAIL)
    with world.write() as conn:
        resolve.resolve(conn, [said], {row["id"]: version(row)}, Settler(by="ann", now=world.clock()))
    return world.row(row["id"])


def failed(world: World) -> Claim:
    """A call whose worker is frozen, of a purchase that a person said was not bought."""
    claim = world.claimed()
    assert fail(world, hold(world, claim))["status"] == Status.FAILED
    return claim


def put(world: World, row: Row, status: Status, **columns: Any) -> Row:
    with world.write() as conn:
        changes = {"status": status, "due_at": None, "already_owned": False, **columns}
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(**changes))
    return world.row(row["id"])


@pytest.mark.parametrize("outcome", [FIRST, COMING], ids=["purchased", "processing"])
def test_a_late_yes_beats_a_persons_no(world: World, outcome: Outcome, caplog: pytest.LogCaptureFixture) -> None:
    claim = failed(world)
    after = record(world, claim, outcome)
    row = world.row(claim.row["id"])
    assert after == row
    assert row["status"] == str(outcome.kind)
    assert (row["success"], row["error"], row["error_code"]) == (True if outcome is FIRST else None, None, None)
    assert row["provider_number_id"] == "first"
    assert world.attempts(row["id"]) == [str(outcome.kind)]
    assert row["number"] in caplog.text
    world.provider.charge(NUMBER)
    assert world.settle(row["id"])["status"] == Status.PURCHASED
    assert world.events() == ["held", "failed", "purchased"]


def test_what_was_cancelled_stands_again_too(world: World) -> None:
    claim = world.claimed()
    put(world, lose(world, claim), Status.CANCELLED)
    after = record(world, claim, FIRST)
    assert after is not None
    assert after["status"] == Status.PURCHASED


def test_a_late_no_leaves_a_persons_no(world: World) -> None:
    claim = failed(world)
    before = world.row(claim.row["id"])
    assert record(world, claim, REFUSED) is None
    assert world.row(claim.row["id"]) == before


def test_what_was_given_back_stays_so(world: World) -> None:
    """The yes is the one that was bought by it, and given back since."""
    claim = world.claimed()
    before = put(world, lose(world, claim), Status.RELEASED, provider_number_id="first")
    assert record(world, claim, FIRST) is None
    assert world.row(claim.row["id"]) == before
    assert world.attempts(claim.row["id"]) == ["purchased"]


def test_the_completed_order_is_told_of_it(world: World) -> None:
    order = orders.begin(world.runtime, name="test")
    orders.load(world.runtime, order["id"], [(1, BuyNumber(number=NUMBER, provider="acme"))])
    orders.finish(world.runtime, order["id"])
    [row] = world.rows(select(PURCHASE))
    if row["status"] == Status.QUEUED:
        assert world.release() == 1
    claim = world.claim(row["id"])
    held = hold(world, claim)
    orders.complete_finished(world.runtime)
    fail(world, held)
    orders.complete_finished(world.runtime)
    record(world, claim, FIRST)
    orders.complete_finished(world.runtime)
    assert [event["data"]["counts"] for event in updates(world)] == [{"failed": 1}, {"purchased": 1}]


@pytest.mark.parametrize("status", [Status.QUEUED, Status.DISPATCHED, Status.UNKNOWN, Status.HELD])
def test_a_purchase_that_stands_by_then_takes_the_evidence_and_buys_nothing(world: World, status: Status) -> None:
    claim = failed(world)
    other = put(world, world.accept(), status)
    assert record(world, claim, FIRST) is None
    assert world.row(claim.row["id"])["status"] == Status.FAILED
    after = world.row(other["id"])
    assert (after["status"], after["provider_number_id"], after["already_owned"]) == (Status.PURCHASED, "first", True)
    world.work()
    assert world.provider.charged == []
    assert world.events(of=other["id"], without="") == ["accepted", "purchased"]


@pytest.mark.parametrize("status", [Status.PURCHASED, Status.PROCESSING])
@pytest.mark.parametrize(
    ("known", "owned", "twice"),
    [("own", False, True), (None, False, True), ("first", False, False), ("own", True, False)],
)
def test_two_that_were_charged_for_are_told_of(
    world: World, status: Status, known: str | None, owned: bool, twice: bool
) -> None:
    claim = failed(world)
    other = put(world, world.accept(), status, provider_number_id=known, already_owned=owned)
    assert record(world, claim, FIRST) is None
    assert world.row(other["id"])["status"] == status
    told = world.rows(select(EVENT).where(EVENT.c.type == EventType.CHARGED_TWICE))
    assert [(one["data"]["purchase_id"], one["data"]["provider_number_ids"]) for one in told] == (
        [(other["id"], ["first", known])] if twice else []
    )
    assert all(one["sequence"] == other["revision"] + 1 == world.row(other["id"])["revision"] for one in told)


@pytest.mark.parametrize("together", [True, False])
def test_a_call_under_way_by_then_that_was_executed_too_is_told_of(world: World, together: bool) -> None:
    claim = failed(world)
    other = world.claim(world.accept()["id"])
    third = world.claimed(number(3))
    record(world, claim, FIRST)
    answers = [(other, Outcome(kind=OutcomeKind.PURCHASED, provider_number_id="second"))]
    if together:
        answers.append((third, Outcome(kind=OutcomeKind.PURCHASED, provider_number_id="third")))
    with world.write() as conn:
        decided = [
            Answer(claim=one, outcome=outcome, decision=after_call(outcome, History(), world.binding.policy))
            for one, outcome in answers
        ]
        record_all(conn, decided, world.clock())
    told = world.rows(select(EVENT).where(EVENT.c.type == EventType.CHARGED_TWICE))
    assert [(one["data"]["purchase_id"], one["data"]["provider_number_ids"]) for one in told] == [
        (other.row["id"], ["first", "second"])
    ]


@pytest.mark.parametrize(
    ("ids", "twice"), [(("first", "second"), True), (("first", "first"), False), ((None, None), True)]
)
def test_two_late_ones_are_told_of_though_the_purchase_that_stands_bought_nothing(
    world: World, ids: tuple[str | None, str | None], twice: bool
) -> None:
    one = failed(world)
    two = failed(world)
    standing = put(world, world.accept(), Status.HELD)
    for claim, known in zip((one, two), ids, strict=True):
        record(world, claim, Outcome(kind=OutcomeKind.PURCHASED, provider_number_id=known))
    assert world.row(standing["id"])["status"] == Status.PURCHASED
    told = world.rows(select(EVENT).where(EVENT.c.type == EventType.CHARGED_TWICE))
    assert [one["data"]["provider_number_ids"] for one in told] == ([list(ids)] if twice else [])


@pytest.mark.parametrize("outcome", [REFUSED, UNKNOWN, THROTTLED], ids=lambda one: one.kind)
def test_a_call_under_way_by_then_cannot_end_without_the_number(world: World, outcome: Outcome) -> None:
    claim = failed(world)
    other = world.claim(world.accept()["id"])
    assert record(world, claim, FIRST) is None
    after = record(world, other, outcome)
    assert after is not None
    assert (after["id"], after["status"]) == (other.row["id"], Status.PURCHASED)


def test_what_was_given_back_since_is_no_evidence(world: World) -> None:
    """The number of long ago is gone: what the next purchase of it comes to is told by its own calls alone."""
    claim = failed(world)
    second = world.accept()
    put(world, second, Status.QUEUED)
    record(world, claim, FIRST)
    put(world, second, Status.RELEASED)
    world.clock.advance(60)
    third = world.claimed()
    lost = lose(world, third)
    assert (lost["id"], lost["status"]) == (third.row["id"], Status.UNKNOWN)


def test_a_purchase_that_is_accepted_at_the_same_instant_takes_the_evidence(world: World) -> None:
    claim = failed(world)
    with world.write() as conn:
        # Its insert is not committed when the yes comes.
        [accepted] = accept.accept(conn, [accept.Entry(request=REQUEST, account="acme-account")], world.clock())
        other = threading.Thread(target=record, args=(world, claim, FIRST))
        other.start()
        other.join(0.2)
    other.join()
    assert world.row(claim.row["id"])["status"] == Status.FAILED
    assert world.row(accepted.row["id"])["status"] == Status.PURCHASED


OWNED = Look(kind=LookKind.OWNED, provider_number_id="first")


@pytest.mark.parametrize("answer", [OWNED, Look(kind=LookKind.ABSENT), Look(kind=LookKind.UNCLEAR)])
@pytest.mark.parametrize("end", [fail, lambda world, row: put(world, row, Status.QUEUED)], ids=["failed", "queued"])
def test_an_old_look_counts_where_it_shows_the_number(
    world: World, answer: Look, end: Callable[[World, Row], Row]
) -> None:
    claim = world.claimed()
    row = lose(world, claim)
    with world.write() as conn:
        held = move(conn, row, Status.HELD, world.clock())
    assert held is not None
    before = end(world, held)
    with world.write() as conn:
        after = looks.record_look(conn, row, answer, world.binding.policy, world.clock.watch())
    if answer is OWNED:
        assert after is not None
        assert world.row(row["id"])["status"] == Status.PURCHASED
    else:
        assert after is None
        assert world.row(row["id"]) == before

"""Claims: the intent of a call, written before it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from schemas.status import Status
from schemas.tables.purchases import ATTEMPT
from tasks.ledger.calls import intents
from tasks.ledger.calls.intents import Claim, Wanted
from tasks.ledger.orders import cancel
from tests.tasks.beside import beside
from tests.tasks.support import ACCOUNT, World, number


def test_the_intent_stands_before_the_call(world: World) -> None:
    row = world.accept()
    claim = world.claim(row["id"])
    after = world.row(row["id"])
    assert (after["status"], after["attempts"], after["revision"]) == (Status.PURCHASING, 1, row["revision"] + 1)
    assert after["call_deadline"] == claim.deadline == world.clock.moment + timedelta(seconds=32)
    [attempt] = world.rows(select(ATTEMPT))
    assert (attempt["revision"], attempt["deadline"], attempt["outcome"]) == (after["revision"], claim.deadline, None)


def test_a_claim_at_another_revision_or_status_is_none(world: World) -> None:
    row = world.accept()
    with world.write() as conn:
        for revision, claimed in ((-1, False), (0, True), (0, False), (1, False)):
            [claim] = intents.claim(conn, [Wanted(row["id"], row["revision"] + revision, ACCOUNT)], world.clock(), 32.0)
            assert (claim is not None) == claimed
    assert world.attempts(row["id"]) == [None]


def test_a_claim_of_another_accounts_purchase_is_none(world: World) -> None:
    row = world.accept()
    with world.write() as conn:
        assert intents.claim(conn, [Wanted(row["id"], row["revision"], "another")], world.clock(), 32.0) == [None]
        assert intents.keep(conn, [Wanted(row["id"], row["revision"], "another")], world.clock()) == {}
    assert world.row(row["id"]) == row
    assert world.attempts(row["id"]) == []


def test_claims_made_together_are_those_that_stand_at_their_revision(world: World) -> None:
    rows = [world.accept(number(index)) for index in range(3)]
    moved = world.claim(rows[1]["id"])
    wanted = [Wanted(row["id"], row["revision"], ACCOUNT) for row in (*rows, rows[2])]
    with world.write() as conn:
        first, outdated, third, duplicate = intents.claim(conn, wanted, world.clock(), 32.0)
    assert first is not None
    assert third is not None
    assert (outdated, duplicate) == (None, None)
    assert [first.row, moved.row, third.row] == [world.row(row["id"]) for row in rows]
    assert len(world.rows(select(ATTEMPT))) == 3


def test_two_calls_of_other_names_never_share_a_purchase(world: World) -> None:
    row = world.accept()
    wanted = [Wanted(row["id"], row["revision"], ACCOUNT, name) for name in ("one", "two")]
    with world.write() as conn:
        first, duplicate = intents.claim(conn, wanted, world.clock(), 32.0)
    assert (first and first.reference, duplicate) == ("one", None)
    assert [attempt["reference"] for attempt in world.rows(select(ATTEMPT))] == ["one"]


def test_what_is_kept_for_a_search_stays_claimable_at_its_revision(world: World) -> None:
    rows = [world.accept(number(index)) for index in range(3)]
    claimed = world.claim(rows[1]["id"])
    until = world.clock() + timedelta(seconds=40)
    wanted = [Wanted(row["id"], row["revision"], ACCOUNT) for row in rows[:2]]
    wanted.append(Wanted(rows[2]["id"], rows[2]["revision"] - 1, ACCOUNT))
    with world.write() as conn:
        kept = intents.keep(conn, wanted, until)
    assert kept == {wanted[0]: {**rows[0], "due_at": until}}
    assert [world.row(row["id"]) for row in rows] == [kept[wanted[0]], claimed.row, rows[2]]


def test_a_claim_that_waits_for_a_cancel_claims_nothing(postgres: World) -> None:
    row = postgres.accept()
    claims: list[Claim | None] = []

    def claim() -> None:
        with postgres.write() as conn:
            claims.extend(intents.claim(conn, [Wanted(row["id"], row["revision"], ACCOUNT)], postgres.clock(), 32.0))

    with beside(postgres, claim) as conn:
        cancel.cancel(conn, row["id"], postgres.clock())
    assert claims == [None]
    assert (postgres.row(row["id"])["status"], postgres.attempts(row["id"])) == (Status.CANCELLED, [])

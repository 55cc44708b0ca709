"""What is held though every look said no: the scheduled audit fails it once the whole list does not show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from schemas.outcomes import WRONG_NUMBER, Look, LookKind, Outcome, OutcomeKind, OwnedNumber
from schemas.requests import BuyNumber
from schemas.status import Status
from schemas.tables.audits import FINDING
from schemas.tables.purchases import ATTEMPT, EVENT, PURCHASE, RESOLUTION
from tasks import orders
from tasks.audit import compare, schedule
from tasks.ledger.orders.cancel import cancel
from tasks.ledger.rows import Row
from tasks.policies.pause import Cause
from tasks.providers.adapter import Known, ProviderError
from tasks.providers.transport.turns import take_turn
from tests.tasks.ledger.test_resolve import updates
from tests.tasks.scripted_provider import NOT_SENT, REFUSED, UNKNOWN
from tests.tasks.shops import Shop
from tests.tasks.support import NUMBER, World, number

Make = Callable[..., World]
DAY = 24 * 3600.0
OURS = number(90)


def listing(world: World, *, hides: Sequence[str] = ()) -> list[float]:
    """Have the provider list what it sold, but for *hides*: one number at least, which is ours for sure.

    Returns when it is asked to, in seconds that passed.
    """
    walks: list[float] = []
    if not hides:
        world.settle(world.accept(OURS)["id"])

    def owned() -> Iterator[OwnedNumber]:
        take_turn()()
        walks.append(world.clock.passed)
        for wanted, known in world.provider.charged:
            if wanted not in hides:
                yield OwnedNumber(number=wanted, provider_number_id=known)

    world.provider.owned = owned  # type: ignore[method-assign, assignment]
    return walks


def held(world: World, *script: Outcome) -> Row:
    """A purchase that is held after a call in doubt, and what came then."""
    world.provider.script += script or (UNKNOWN, REFUSED)
    row = world.settle(world.accept()["id"])
    assert row["status"] == Status.HELD
    return row


def scheduled(world: World) -> int | None:
    return schedule.scheduled(world.runtime, "acme")


def wait(world: World, row: Row, seconds: float = DAY) -> None:
    """Until so long after the row's last call."""
    world.clock.moment = row["call_deadline"] + timedelta(seconds=seconds)


def test_what_is_refused_after_a_doubt_fails_when_the_list_does_not_show_it(world: World) -> None:
    walks = listing(world)
    row = held(world)
    wait(world, row, DAY - 1)
    assert scheduled(world) == 0
    assert world.row(row["id"]) == row
    wait(world, row, 2 * DAY)
    walks.clear()
    assert scheduled(world) == 1
    after = world.row(row["id"])
    assert (after["status"], after["success"], after["error_code"]) == (Status.FAILED, False, "not_owned")
    assert "whole list of 1 numbers, read twice from 2026-01-0" in after["error"]
    assert "refused after an earlier call" in after["error"]
    assert len(walks) == 2
    [said] = world.rows(select(RESOLUTION))
    assert (said["decision"], said["by"], said["revision"]) == ("absent", "audit", after["revision"])
    assert said["note"] in after["error"]
    [found] = world.rows(select(FINDING))
    assert (found["kind"], found["purchase_id"], found["resolved_at"]) == ("absent", row["id"], world.clock.moment)
    assert world.events() == ["purchased", "held", "failed", "absent"]
    assert world.accept()["id"] != row["id"]


def test_giving_up_with_a_doubt_behind_it_is_settled_too(make: Make) -> None:
    world = make(max_attempts=1)
    listing(world)
    row = held(world, UNKNOWN)
    assert row["error_code"] == "gave_up"
    wait(world, row)
    assert scheduled(world) == 1
    assert world.row(row["id"])["status"] == Status.FAILED


def test_what_could_not_be_sent_again_is_settled_too(make: Make) -> None:
    world = make(give_up_after="200s", backoff_max=10)
    listing(world)
    row = held(world, UNKNOWN, *[NOT_SENT] * 100)
    wait(world, row)
    assert scheduled(world) == 1


def test_what_could_not_be_asked_for_is_asked_for_again(world: World) -> None:
    listing(world)
    world.provider.looks += [Look(kind=LookKind.UNCLEAR, error="503")] * 100
    row = held(world, UNKNOWN)
    assert row["error_code"] == "look_failed"
    wait(world, row)
    assert scheduled(world) == 0
    world.provider.looks.clear()
    wait(world, row, 3 * DAY)
    assert scheduled(world) == 1
    assert world.row(row["id"])["status"] == Status.FAILED


def test_what_was_answered_with_another_number_is_a_persons_to_settle(world: World) -> None:
    """That number may be sold now, also where every look failed."""
    listing(world)
    world.provider.looks += [Look(kind=LookKind.UNCLEAR, error="503")] * 100
    row = held(world, replace(UNKNOWN, error_code=WRONG_NUMBER))
    assert row["error_code"] == "look_failed"
    world.provider.looks.clear()
    wait(world, row, 3 * DAY)
    assert scheduled(world) == 0
    assert world.row(row["id"])["status"] == Status.HELD


@pytest.mark.parametrize(("calls", "code"), [(1, "cancelled_in_doubt"), (2, "refused")])
def test_what_was_cancelled_in_doubt_is_cancelled(world: World, calls: int, code: str) -> None:
    """Not failed: a wish would buy another one in its place."""
    listing(world)
    world.provider.script += [UNKNOWN, REFUSED]
    row = world.accept()
    while (row["status"], row["attempts"]) != (Status.UNKNOWN, calls):
        world.tick()
        world.clock.advance(5)
        row = world.row(row["id"])
    with world.write() as conn:
        cancel(conn, row["id"], world.clock())
    row = world.settle(row["id"])
    assert (row["status"], row["error_code"]) == (Status.HELD, code)
    wait(world, row)
    assert scheduled(world) == 1
    row = world.row(row["id"])
    assert (row["status"], row["success"], row["error_code"]) == (Status.CANCELLED, False, "not_owned")
    assert world.events() == ["purchased", "held", "cancelled", "absent"]


def test_the_completed_order_is_told_of_it(world: World) -> None:
    listing(world)
    world.provider.script += [UNKNOWN, REFUSED]
    order = orders.begin(world.runtime, name="test")
    orders.load(world.runtime, order["id"], [(1, BuyNumber(number=NUMBER, provider="acme"))])
    orders.finish(world.runtime, order["id"])
    [row] = world.rows(select(PURCHASE).where(PURCHASE.c.number == NUMBER))
    row = world.settle(row["id"])
    orders.complete_finished(world.runtime)
    wait(world, row)
    scheduled(world)
    orders.complete_finished(world.runtime)
    assert [event["data"]["counts"] for event in updates(world)] == [{"failed": 1}]


@pytest.mark.parametrize("policy", [{"settle_after": 0}, {"on_unknown": "hold"}], ids=str)
def test_a_policy_that_leaves_it_to_a_person_is_obeyed(make: Make, policy: dict[str, Any]) -> None:
    row = held(make())
    world = make(**policy)
    listing(world)
    wait(world, row, 30 * DAY)
    assert scheduled(world) == 0
    assert world.row(row["id"]) == row


def test_another_time_may_be_asked_for(make: Make) -> None:
    world = make(settle_after="2h")
    listing(world)
    row = held(world)
    wait(world, row, 2 * 3600)
    assert scheduled(world) == 1


MAY_BE_BOUGHT: list[dict[str, Any]] = [
    *({"error_code": code} for code in ("order_lost", "processing_too_long", "wrong_number")),
    {"error_code": "unavailable"},
    {"error_code": None},
    {"provider_number_id": "order-7"},
]


@pytest.mark.parametrize("columns", MAY_BE_BOUGHT, ids=str)
def test_what_may_have_been_bought_stays_held(world: World, columns: dict[str, Any]) -> None:
    listing(world)
    row = held(world)
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(**columns))
    wait(world, row, 30 * DAY)
    assert scheduled(world) == 0
    assert world.row(row["id"]) == {**row, **columns}


@pytest.mark.parametrize("kind", [OutcomeKind.PURCHASED, OutcomeKind.PROCESSING])
def test_a_call_that_was_executed_keeps_it_held(world: World, kind: OutcomeKind) -> None:
    listing(world)
    row = held(world)
    with world.write() as conn:
        conn.execute(update(ATTEMPT).where(ATTEMPT.c.outcome == OutcomeKind.UNKNOWN).values(outcome=kind))
    wait(world, row)
    assert scheduled(world) == 0


@pytest.mark.parametrize("shows", [1, 2])
def test_what_any_walk_shows_stays_held(world: World, shows: int) -> None:
    """What the last one shows is evidence, but for what is not usable yet."""
    row = held(world)
    walks = listing(world)
    plain: Any = world.provider.owned

    def once() -> Iterator[OwnedNumber]:
        yield from plain()
        if len(walks) == shows:
            yield OwnedNumber(number=NUMBER, provider_number_id="late", usable=False)

    world.provider.owned = once  # type: ignore[method-assign, assignment]
    wait(world, row)
    assert scheduled(world) == 0
    assert world.row(row["id"]) == row


@pytest.mark.parametrize("said", LookKind)
def test_the_last_word_is_a_look_where_one_can_be_had(world: World, said: LookKind) -> None:
    """A refused order of a call in doubt is found by our name of the call, and the number is not ours."""
    listing(world)
    row = held(world)
    wait(world, row)
    world.provider.looks.append(Look(kind=said))
    gone = said in (LookKind.ABSENT, LookKind.REFUSED)
    assert scheduled(world) == gone
    assert world.row(row["id"])["status"] == (Status.FAILED if gone else Status.HELD)


def test_a_database_that_lost_calls_settles_nothing(world: World) -> None:
    """A later call for the same number may be among them."""
    listing(world)
    row = held(world)
    wait(world, row)
    assert world.pause(Cause.BEHIND, cooldown=None)
    assert scheduled(world) == 0
    assert world.row(row["id"]) == row


def test_a_list_that_cannot_be_read_settles_nothing(world: World) -> None:
    row = held(world)

    def broken() -> Iterator[OwnedNumber]:
        yield OwnedNumber(number=number(1), provider_number_id="1")
        raise ProviderError(UNKNOWN)

    world.provider.owned = broken  # type: ignore[method-assign, assignment]
    wait(world, row)
    assert scheduled(world) is None
    assert world.row(row["id"]) == row


@pytest.mark.parametrize(("bought", "hidden", "settled"), [(0, 0, 0), (1, 0, 1), (1, 1, 0), (2, 2, 0), (2, 1, 1)])
def test_a_list_that_shows_none_of_ours_proves_nothing(
    world: World, bought: int, hidden: int, settled: int, caplog: pytest.LogCaptureFixture
) -> None:
    numbers = [number(n) for n in range(bought)]
    for one in numbers:
        world.settle(world.accept(one)["id"])
    row = held(world)
    listing(world, hides=numbers[:hidden] or [NUMBER])
    wait(world, row)
    scheduled(world)
    assert (world.row(row["id"])["status"] == Status.FAILED) is bool(settled)
    assert ("shows none of ours" in caplog.text) is not bool(settled)


def test_what_is_ours_after_all_tells_whose_the_list_is(world: World) -> None:
    """Nothing was bought before: the one that was in doubt, and is shown, says that the other is not ours."""
    shown, row = world.settle(world.accept(OURS)["id"]), held(world)
    listing(world, hides=[NUMBER])
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == shown["id"]).values(status=Status.HELD, success=None))
    wait(world, row)
    assert scheduled(world) == 2
    assert [world.row(one["id"])["status"] for one in (shown, row)] == [Status.PURCHASED, Status.FAILED]


@pytest.mark.parametrize("columns", [{"status": Status.QUEUED}, {"error_code": "order_lost"}], ids=str)
def test_what_moves_on_during_the_walks_is_left_alone(world: World, columns: dict[str, Any]) -> None:
    listing(world)
    row = held(world)
    wait(world, row)
    look = world.provider.look

    def meanwhile(numbers: Any) -> dict[str, Look]:
        with world.write() as conn:
            conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(**columns))
        return look(numbers)

    world.provider.look = meanwhile  # type: ignore[method-assign]
    assert scheduled(world) == 0
    assert world.row(row["id"]) == {**row, **columns}
    assert world.rows(select(RESOLUTION)) == []


def test_a_clock_that_is_set_ahead_settles_nothing_at_once(world: World) -> None:
    listing(world)
    row = held(world)
    world.clock.set(2 * DAY)
    world.clock.advance(119)
    assert scheduled(world) == 0
    assert world.row(row["id"]) == row
    world.clock.advance(DAY)
    assert scheduled(world) == 1


def test_it_is_shown_by_hand_and_changes_nothing(world: World) -> None:
    listing(world)
    row = held(world)
    wait(world, row)
    report = compare.audit(world.runtime, world.binding)
    assert [one.key for one in report.findings] == [("absent", NUMBER)]
    assert world.row(row["id"]) == row
    assert world.rows(select(EVENT).where(EVENT.c.type.like("%audit%"))) == []


def test_each_provider_that_can_list_settles_it(shop: Shop) -> None:
    row, _ = shop.buy(number(1), OURS)
    shop.forget()
    shop.own(OURS)
    with shop.world.write() as conn:
        call = ATTEMPT.c.purchase_id == row["id"]
        conn.execute(update(ATTEMPT).where(call).values(outcome=OutcomeKind.REFUSED, provider_number_id=None))
        columns = {"error_code": "refused", "error": "refused", "doubt": True, "provider_number_id": None}
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(**columns))
    shop.put(row, Status.HELD)
    shop.world.clock.advance(2 * DAY)
    assert shop.scheduled() == 1
    assert shop.world.row(row["id"])["status"] == Status.FAILED


def test_an_order_that_is_not_delivered_yet_is_asked_for_by_our_name_of_the_call(world: World) -> None:
    """The list does not show it, and nothing else says that it was bought."""
    world.provider.keeps_reference = True
    listing(world)
    row = held(world)
    names = {one["reference"] for one in world.rows(select(ATTEMPT).where(ATTEMPT.c.purchase_id == row["id"]))}
    look = world.provider.look

    def ordered(numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        found = look(numbers)
        mine = numbers[NUMBER]
        assert mine is not None
        return {**found, NUMBER: Look(kind=LookKind.PROCESSING)} if names & {*mine.references} else found

    world.provider.look = ordered  # type: ignore[method-assign]
    wait(world, row)
    assert scheduled(world) == 0
    assert world.row(row["id"]) == row

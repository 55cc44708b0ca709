"""Several numbers in one call: each keeps its own row, attempt, outcome and event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from schemas.outcomes import BATCH_REFUSED, Outcome, OutcomeKind
from schemas.status import Status
from tasks.ledger.orders.cancel import cancel
from tasks.provider_reaction import react
from tasks.runtime import Message
from tests.tasks.scripted_provider import REFUSED, UNKNOWN
from tests.tasks.support import World, number

WHOLE = Outcome(
    kind=OutcomeKind.UNKNOWN, http_status=429, error="answered as a whole", error_code=BATCH_REFUSED, retry_after=7.0
)
Make = Callable[..., World]


@pytest.fixture
def batching(make: Make) -> World:
    return make(max_batch=3)


def released(world: World, count: int) -> tuple[list[str], list[Message]]:
    """The ids of *count* new purchases, and the messages of their release."""
    ids = [world.queued(number(index))["id"] for index in range(count)]
    world.sent.clear()
    assert world.release() == count
    return ids, list(world.sent)


def statuses(world: World, ids: list[str]) -> Counter[str]:
    return Counter(world.row(one)["status"] for one in ids)


def test_what_is_due_together_goes_in_one_call(batching: World) -> None:
    ids, messages = released(batching, 5)
    batching.work()
    assert len(messages) == 2
    assert batching.provider.calls == [3, 2]
    assert statuses(batching, ids) == {Status.PURCHASED: 5}
    assert [batching.attempts(one) for one in ids] == [["purchased"]] * 5
    assert len({batching.row(one)["provider_number_id"] for one in ids}) == 5
    assert batching.events() == ["purchased"] * 5


def test_without_the_policy_every_number_has_its_call(world: World) -> None:
    released(world, 3)
    world.work()
    assert world.provider.calls == [1, 1, 1]


def test_a_batch_delivered_twice_buys_once(batching: World) -> None:
    _, (message,) = released(batching, 3)
    batching.deliver(message)
    assert batching.deliver(message) == []
    assert len(batching.provider.charged) == 3


def test_a_number_cancelled_meanwhile_is_left_out(batching: World) -> None:
    ids, (message,) = released(batching, 3)
    with batching.write() as conn:
        cancel(conn, ids[1], batching.clock())
    batching.deliver(message)
    assert batching.provider.calls == [2]
    assert statuses(batching, ids) == {Status.PURCHASED: 2, Status.CANCELLED: 1}


def test_a_batch_that_is_answered_as_a_whole_may_have_been_bought_in_part(batching: World) -> None:
    """Its limit ended in the middle of it: what it sold is not bought again, and no call goes on too soon."""
    ids, (message,) = released(batching, 3)
    sold = number(1)

    def answered(wanted: str) -> Outcome:
        if wanted == sold:
            batching.provider.charge_unseen(wanted)
        return WHOLE

    batching.provider.script.append(answered)
    batching.deliver(message)
    assert statuses(batching, ids) == {Status.UNKNOWN: 3}
    assert (batching.pace.cooled, batching.pace.penalties) == (["buy", "look"], [7.0, 7.0])
    for one in ids:
        batching.settle(one)
    assert statuses(batching, ids) == {Status.PURCHASED: 3}
    assert Counter(one for one, _ in batching.provider.charged) == {number(index): 1 for index in range(3)}


def test_a_batch_in_doubt_is_settled_number_by_number(batching: World) -> None:
    ids, (message,) = released(batching, 3)
    bought = number(1)

    def cut(wanted: str) -> Outcome:
        return batching.provider.charge_unseen(wanted) if wanted == bought else UNKNOWN

    batching.provider.script.append(cut)
    batching.deliver(message)
    assert statuses(batching, ids) == {Status.UNKNOWN: 3}
    for one in ids:
        batching.settle(one)
    assert statuses(batching, ids) == {Status.PURCHASED: 3}
    assert Counter(sold for sold, _ in batching.provider.charged) == {number(index): 1 for index in range(3)}
    assert batching.provider.calls == [3, 1, 1]


def test_a_batch_whose_account_is_refused_pauses_once_and_burns_nothing(batching: World) -> None:
    ids, (message,) = released(batching, 3)
    batching.provider.script.append(Outcome(kind=OutcomeKind.ACCOUNT, http_status=401, error="no"))
    batching.deliver(message)
    assert statuses(batching, ids) == {Status.QUEUED: 3}
    assert {batching.row(one)["attempts"] for one in ids} == {0}
    assert batching.events() == ["paused"]


def test_one_failing_batch_is_one_failure_in_a_row(make: Make) -> None:
    world = make(max_batch=3, pause_after_failures=3)
    _, (message,) = released(world, 3)
    world.provider.script.append(UNKNOWN)
    world.deliver(message)
    assert world.events() == []


def test_a_probe_carries_one_number(batching: World) -> None:
    ids = [batching.queued(number(index))["id"] for index in range(3)]
    batching.sent.clear()
    batching.pause(cooldown=1.0)
    batching.clock.advance(2.0)
    batching.release()
    batching.deliver(batching.sent.pop())
    assert batching.provider.calls == [1]
    assert statuses(batching, ids)[Status.PURCHASED] == 1


def test_refusals_of_single_numbers_in_a_batch_count_each_and_one_of_the_whole_once(make: Make) -> None:
    world = make(max_batch=25, pause_after_failures=4)
    answered = [(number(index), REFUSED) for index in range(4)]
    react(world.runtime, world.binding, [(one, WHOLE) for one, _ in answered], probe=False)
    react(world.runtime, world.binding, answered[:3], probe=False)
    assert "paused" not in world.events()
    react(world.runtime, world.binding, answered[3:], probe=False)
    assert world.events() == ["paused"]

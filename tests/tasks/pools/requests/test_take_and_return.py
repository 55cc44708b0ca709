"""Taking and giving back: a number has one taker at a time, whatever comes twice or at once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import select, update

from schemas.events import EventType
from schemas.pool_requests import TakeNumber
from schemas.tables.pools import POOL_NUMBER, POOL_REQUEST, Slot
from schemas.tables.purchases import EVENT
from tasks.ledger.rows import Row
from tasks.policies.delivered_again import MAY_BE_LATE
from tasks.pools.requests import take_and_return
from tests.tasks.pools.stocking import FIRST, POOL, SECOND, fill, give_back, numbers, take
from tests.tasks.support import Killed, World, die


def places(world: World) -> dict[int, Row]:
    return {row["slot"]: row for row in world.rows(select(POOL_NUMBER).order_by(POOL_NUMBER.c.slot))}


def told(world: World) -> list[Row]:
    return world.rows(select(EVENT).order_by(EVENT.c.seq))


def set_status(world: World, slot: int, status: Slot) -> None:
    with world.write() as conn:
        conn.execute(update(POOL_NUMBER).where(POOL_NUMBER.c.slot == slot).values(status=status))


def test_a_take_moves_the_number_and_tells_all_of_it(world: World) -> None:
    fill(world, 2)
    before = places(world)
    answer = take(world, taker="crm", metadata={"ticket": 7})
    after = places(world)
    assert after[2] == before[2]
    changed = {name: value for name, value in after[1].items() if value != before[1][name]}
    assert changed == {"status": "taken", "taker": "crm", "request_id": "m", "taken_at": world.clock.moment}
    assert answer == {
        "request_id": "m",
        "pool": POOL,
        "taker": "crm",
        "success": True,
        "error": None,
        "error_code": None,
        "numbers": [
            {
                "number": FIRST,
                "provider": "acme",
                "provider_number_id": "id-1",
                "purchase_id": before[1]["purchase_id"],
            }
        ],
        "metadata": {"ticket": 7},
        "repeat": False,
    }
    [event] = told(world)
    assert (event["type"], event["source"], event["data"]) == (EventType.POOL_TAKEN, "/dialstock/pools/support", answer)


def test_the_longest_available_goes_first_and_a_returned_one_last(world: World) -> None:
    fill(world, 3)
    assert numbers(take(world, "m1")) == [FIRST]
    world.clock.advance(1)
    answer = give_back(world)
    assert (answer["success"], numbers(answer)) == (True, [FIRST])
    assert told(world)[-1]["type"] == EventType.POOL_RETURNED
    row = places(world)[1]
    assert (row["status"], row["available_at"]) == ("available", world.clock.moment)
    assert (row["taker"], row["taken_at"], row["request_id"]) == (None, None, None)
    assert numbers(take(world, "m2", count=3)) == [SECOND, "+14150000003", FIRST]


def test_all_or_none(world: World) -> None:
    fill(world, 2)
    before = places(world)
    answer = take(world, count=3)
    assert (answer["success"], answer["error_code"], answer["numbers"]) == (False, "not_enough", [])
    assert "2 of the 3" in answer["error"]
    assert places(world) == before
    [event] = told(world)
    assert (event["type"], event["data"]["task"]) == (EventType.POOL_REFUSED, "take")


@pytest.mark.parametrize(("there", "code"), [(0, "pool_empty"), (1, "not_enough")])
def test_a_take_that_was_refused_and_comes_again_takes_nothing(world: World, there: int, code: str) -> None:
    fill(world, 3)
    for slot in range(there + 1, 4):
        set_status(world, slot, Slot.ORDERED)
    first = take(world, count=2, metadata={"a": 1})
    assert (first["error_code"], first["repeat"]) == (code, False)
    for slot in range(there + 1, 4):
        set_status(world, slot, Slot.AVAILABLE)
    before = places(world)
    assert take(world, count=2, metadata={"a": 1}) == {**first, "repeat": True}
    assert places(world) == before
    assert [(one["type"], one["data"]["repeat"]) for one in told(world)] == [
        (EventType.POOL_REFUSED, False),
        (EventType.POOL_REFUSED, True),
    ]
    assert take(world, "another", count=2)["success"]


@pytest.mark.parametrize("status", [one for one in Slot if one is not Slot.AVAILABLE])
def test_only_what_is_available_is_taken(world: World, status: Slot) -> None:
    fill(world, 1, status=status)
    assert take(world)["error_code"] == "pool_empty"


def test_a_take_that_comes_again_gets_the_same_numbers(world: World) -> None:
    fill(world, 4)
    first = take(world, count=2)
    before = places(world)
    assert take(world, count=2) == {**first, "repeat": True}
    assert take(world, "another", request_id="m", count=2) == {**first, "repeat": True}
    assert places(world) == before
    assert len(world.rows(select(POOL_REQUEST))) == 1


def test_a_take_that_died_after_its_commit_answers_when_it_comes_again(world: World) -> None:
    fill(world, 2)
    world.points["recorded"] = die
    with pytest.raises(Killed):
        take(world)
    answer = take(world)
    assert (numbers(answer), answer["repeat"]) == ([FIRST], True)
    assert Counter(row["status"] for row in places(world).values()) == {"taken": 1, "available": 1}
    assert world.events() == ["taken", "taken"]


def test_a_take_that_comes_again_does_not_get_what_another_has_now(world: World) -> None:
    fill(world, 2)
    take(world, "m1", count=2)
    give_back(world)
    assert numbers(take(world, "m2")) == [FIRST]
    before = places(world)
    answer = take(world, "m1", count=2)
    assert (answer["success"], answer["error_code"], numbers(answer)) == (False, "already_returned", [SECOND])
    assert places(world) == before


def test_a_take_that_comes_again_after_a_release_at_the_provider_says_so(world: World) -> None:
    fill(world, 1)
    take(world)
    set_status(world, 1, Slot.GONE)
    answer = take(world)
    assert (answer["error_code"], answer["numbers"]) == ("already_returned", [])


def test_a_return_that_comes_again_leaves_the_next_taker_its_number(world: World) -> None:
    fill(world, 1)
    take(world, "m1", taker="crm")
    first = give_back(world)
    take(world, "m2", taker="crm")
    before = places(world)
    assert give_back(world) == {**first, "repeat": True}
    assert places(world) == before
    assert before[1]["status"] == "taken"


@pytest.mark.parametrize(
    "again",
    [{"count": 2}, {"taker": "other"}, {"metadata": {"a": 1}}, {"pool": "other"}],
)
def test_an_id_that_came_with_another_request_is_refused(world: World, again: dict[str, Any]) -> None:
    fill(world, 3)
    take(world)
    before = places(world)
    assert take(world, **again)["error_code"] == "key_conflict"
    assert give_back(world, "m")["error_code"] == "key_conflict"
    assert places(world) == before


@pytest.mark.parametrize("taker", ["crm", None])
def test_who_took_a_number_gives_it_back(world: World, taker: str | None) -> None:
    fill(world, 1)
    take(world, taker="crm")
    answer = give_back(world, taker=taker)
    assert (answer["success"], answer["taker"]) == (True, "crm")


@pytest.mark.parametrize("owner", ["crm", None])
def test_a_number_of_another_is_not_given_back(world: World, owner: str | None) -> None:
    fill(world, 1)
    take(world, taker=owner)
    before = places(world)
    answer = give_back(world, taker="other")
    assert (answer["success"], answer["error_code"], answer["task"]) == (False, "not_yours", "return")
    assert places(world) == before
    assert give_back(world, "another", taker=owner)["success"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Slot.WANTED, "not_taken"),
        (Slot.ORDERED, "not_taken"),
        (Slot.AVAILABLE, "not_taken"),
        (Slot.GONE, "gone"),
    ],
)
def test_what_nobody_took_is_not_given_back(world: World, status: Slot, code: str) -> None:
    fill(world, 1, status=status)
    before = places(world)
    assert give_back(world)["error_code"] == code
    assert places(world) == before


@pytest.mark.parametrize("code", ["not_taken", "not_yours", "gone"])
def test_a_return_that_was_refused_and_comes_again_leaves_the_next_taker_its_number(world: World, code: str) -> None:
    fill(world, 1, status=Slot.GONE if code == "gone" else Slot.AVAILABLE)
    if code == "not_yours":
        take(world, "m1", taker="other")
    first = give_back(world, taker="crm")
    assert (first["error_code"], first["repeat"]) == (code, False)
    if code == "not_yours":
        give_back(world, "r1", taker="other")
    set_status(world, 1, Slot.AVAILABLE)
    assert numbers(take(world, "m2", taker="crm")) == [FIRST]
    before = places(world)
    assert give_back(world, taker="crm") == {**first, "repeat": True}
    assert places(world) == before
    assert give_back(world, "r2", taker="crm")["success"]


def test_the_id_of_a_refused_request_is_its_own_for_ever(world: World) -> None:
    assert take(world)["error_code"] == "pool_empty"
    fill(world, 2)
    before = places(world)
    assert take(world, count=2)["error_code"] == "key_conflict"
    assert give_back(world, "m")["error_code"] == "key_conflict"
    assert places(world) == before


def test_a_number_is_given_back_to_its_own_pool(world: World) -> None:
    fill(world, 1)
    take(world)
    assert give_back(world, "r1", pool="other")["error_code"] == "not_taken"
    assert give_back(world, "r2", number=SECOND)["error_code"] == "not_taken"
    assert places(world)[1]["status"] == "taken"


def test_a_number_that_was_bought_again_after_its_release_is_given_back(world: World) -> None:
    fill(world, 2)
    set_status(world, 1, Slot.GONE)
    with world.write() as conn:
        conn.execute(update(POOL_NUMBER).values(number=FIRST))
    take(world)
    assert give_back(world)["success"]
    assert [row["status"] for row in places(world).values()] == ["gone", "available"]


def test_a_refusal_in_a_shared_transaction_leaves_the_others_theirs(world: World) -> None:
    fill(world, 2)
    wanted = (("c", 1), ("b", 2), ("a", 1))
    asked = [(TakeNumber(pool=POOL, request_id=one, count=count), None) for one, count in wanted]
    with world.write() as conn:
        answers = take_and_return._together(world.clock, take_and_return._take_free)(conn, asked)
    codes = [(one["request_id"], one["error_code"]) for one in answers if one is not None]
    assert codes == [("c", None), ("b", "not_enough"), ("a", None)]
    # Done in the order of their ids, in every process, lest two of them wait for each other.
    assert [numbers(one) for one in answers if one is not None] == [[SECOND], [], [FIRST]]
    assert [row["status"] for row in places(world).values()] == ["taken", "taken"]


def test_a_messages_id_of_any_length_will_do(world: World) -> None:
    fill(world, 2)
    first = take(world, "x" * 1000)
    assert take(world, "x" * 1000) == {**first, "repeat": True}
    assert take(world, "x" * 1001)["repeat"] is False


@pytest.mark.parametrize("taker", ["crm", None])
def test_a_return_that_is_delivered_again_and_was_not_answered_leaves_the_next_taker_its_number(
    world: World, taker: str | None
) -> None:
    fill(world, 1)
    take(world, "m1", taker="crm")
    assert give_back(world, "sent anew", taker=taker)["success"]
    world.clock.advance(60)
    take(world, "m2", taker="crm")
    before = places(world)
    answer = give_back(world, again=True, taker=taker)
    assert (answer["error_code"], answer["repeat"]) == ("unclear", False)
    assert give_back(world, taker=taker) == {**answer, "repeat": True}
    assert places(world) == before
    assert give_back(world, "a new one", taker=taker)["success"]


def test_a_return_that_is_delivered_again_of_a_number_that_nobody_had_before_is_done(world: World) -> None:
    fill(world, 2)
    take(world, "m1", count=2)
    assert give_back(world, again=True)["success"]
    assert give_back(world, again=True)["repeat"]
    take(world, "m2")
    world.clock.advance(MAY_BE_LATE.total_seconds())
    assert give_back(world, "r2", again=True)["success"]

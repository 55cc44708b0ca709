"""The slots that a process holds for calls that are not ready yet."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from tasks.policies.held_slots import HeldSlots
from tasks.policies.pace import WAKING, Lane, Slot

LANE, OTHER = (Lane(key=key, windows=((20_000, 1),)) for key in ("one", "other"))


def held(*waits: float) -> HeldSlots:
    slots = HeldSlots()
    for token, wait in enumerate(waits, 1):
        slots.hold(LANE, Slot(wait, token))
    return slots


def test_the_nearest_is_had_first_and_the_farthest_is_given_back() -> None:
    slots = held(30.0, 10.0, 40.0, 20.0)
    last = slots.last(LANE)
    assert last is not None
    assert last.wait == 40.0
    assert [slot.wait for _ in range(3) if (slot := slots.first(LANE, 0.0))] == [10.0, 20.0, 30.0]
    assert slots.first(LANE, 0.0) is None
    assert slots.last(LANE) is None


def test_what_is_missed_is_not_had() -> None:
    slots = HeldSlots()
    for late in (1.0, 2 * WAKING):
        slots.hold(LANE, Slot(0.0, 1, time.monotonic() - late))
    slots.hold(LANE, Slot(10.0, 2))
    assert (slot := slots.first(LANE, 0.0))
    assert slot.token == 2


def test_each_is_had_once_and_by_calls_of_its_lane() -> None:
    slots = held(*(10.0 + wait for wait in range(200)))
    assert slots.first(OTHER, 0.0) is None
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda _: slots.first(LANE, 0.0), range(300))]
    assert sorted(slot.token for slot in found if slot) == [*range(1, 201)]

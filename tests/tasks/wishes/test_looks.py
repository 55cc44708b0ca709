"""How often open wishes are looked at."""

from __future__ import annotations

import pytest

from tasks.wishes import due
from tests.tasks.wishes.wishing import Wishing


@pytest.mark.parametrize(("wishes", "least", "most"), [(1, 0.2, 0.3), (due.AT_ONCE, 1.0, 1.5)])
def test_the_more_there_are_the_more_seldom_each_is_looked_at(
    world: Wishing, wishes: int, least: float, most: float
) -> None:
    for number in range(wishes):
        world.wish(1, key=f"key-{number}")
    for wish in world.wishes():
        world.run_of(wish["order_id"])
    due.look(world.runtime)
    waits = [(wish["next_run_at"] - world.runtime.now()).total_seconds() for wish in world.wishes()]
    assert least <= min(waits) <= max(waits) <= most

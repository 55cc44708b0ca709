"""A run has its wish for itself for as long as it searches, and no longer."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta

import pytest
from sqlalchemy import update

from schemas.tables.wishes import WISH
from tasks.wishes import run
from tests.tasks.wishes.wishing import Wishing
from tests.waiting import eventually


def test_a_run_keeps_its_wish_for_as_long_as_its_search_takes(world: Wishing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "LEASE", timedelta(seconds=0.3))
    world.wish(10)
    kept: list[bool] = []

    def slowly() -> None:
        world.later(hours=1)
        kept.append(eventually(lambda: world.wishes()[0]["leased_until"] > world.clock.moment))
        world.search()

    world.market().happens.append(slowly)
    world.search()
    assert (kept, len(world.market().searches), len(world.lines())) == ([True], 1, 10)
    assert world.wishes()[0]["leased_until"] is None


@pytest.mark.parametrize("fails", [False, True])
def test_a_run_that_stood_still_leaves_the_wish_to_who_took_its_place(world: Wishing, *, fails: bool) -> None:
    world.wish(10)

    def another_takes_its_place() -> None:
        world.later(hours=1)
        with world.write() as conn:
            until = world.clock.moment + run.LEASE
            conn.execute(update(WISH).values(searches=WISH.c.searches + 1, leased_until=until))
        if fails:
            raise ValueError("stood still")

    world.market().happens.append(another_takes_its_place)
    with pytest.raises(ValueError, match="stood still") if fails else nullcontext():
        world.search()
    assert world.wishes()[0]["leased_until"] == world.clock.moment + run.LEASE

"""Everything at once: whatever dies and whenever, nothing is bought twice and nothing paid for is lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.chaos import histories
from tests.chaos.campaign import run
from tests.chaos.conftest import LONG, NUMBERS
from tests.chaos.faults import blows, gateways
from tests.chaos.faults.blows import Blow
from tests.chaos.faults.commands import killed_commands
from tests.chaos.faults.traps import POINTS
from tests.chaos.judge import held
from tests.chaos.world import World

IN_TURN: list[Blow] = [histories.set_clock, killed_commands, gateways.MIXED]
"""One of them is in each short run."""


@pytest.mark.timeout(5400 if LONG else 900)
def test_whatever_dies_and_whenever(
    set_stage: Callable[..., AbstractContextManager[World]], seed: int, database_url: str
) -> None:
    rng = random.Random(f"{seed} {database_url.partition(':')[0]}")
    with set_stage(beats=2, batch=rng.choice((1, 5))) as world:
        report = run(world, seed, draw(rng), total=NUMBERS)
        assert not report.verdict.wrong, report.result() + world.fleet.log()
        assert len(world.missed) <= 2, world.missed
        if LONG:
            assert not held(world), report.result()


def draw(rng: random.Random) -> list[Blow]:
    """All blows, those at the points twice; or for the short form some of each sort."""
    if LONG:
        drawn = [*blows.ALL, *(blows.kill_at(point) for point in POINTS), blows.database_away]
        drawn += [*IN_TURN, *gateways.ALL, killed_commands, histories.stale_redis]
        drawn += [histories.restored_database] * 2
    else:
        kills = [blows.kill_at(point) for point in rng.sample(POINTS, 2)]
        freeze = rng.choice([blows.freeze_at("claimed"), blows.freeze_at("answered"), blows.freeze_in_call])
        redis = rng.choice([blows.flush, blows.restart_redis, blows.lose_redis, histories.stale_redis])
        drawn = [*kills, freeze, redis, blows.database_away, blows.tamper_with_messages]
        drawn += [histories.restored_database, rng.choice(IN_TURN)]
    rng.shuffle(drawn)
    return drawn

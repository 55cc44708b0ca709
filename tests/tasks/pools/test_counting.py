"""How a pool stands: the same before and after its places are settled."""

from __future__ import annotations

from schemas.pool_requests import TakeNumber
from schemas.status import Status
from tasks.pools import counting
from tasks.pools.counting import Levels
from tasks.pools.requests import take_and_return
from tests.tasks.pools.supplying import NAME, Make, Supplied


def levels(world: Supplied) -> Levels:
    with world.runtime.database.read() as conn:
        return counting.levels(conn, NAME, world.clock())


def test_what_is_counted(make: Make) -> None:
    world = make(low=10)
    world.run()
    for status in (Status.PURCHASED, Status.FAILED, Status.HELD, Status.UNKNOWN, Status.PURCHASING, Status.CANCELLED):
        world.lead(status, 1)
    expected = {Status.HELD: 1, Status.UNKNOWN: 1, Status.PURCHASING: 1, Status.QUEUED: 4}
    unsettled = levels(world)
    assert unsettled == Levels(available=1, on_the_way=expected, wanted=2, taken=0, bought_today=8)
    assert (unsettled.held, unsettled.moving) == (1, 6)
    assert (unsettled.level(with_held=True), unsettled.level(with_held=False)) == (8, 7)
    # settling changes what the places say, and not what they count for
    assert world.settle_all() == 3
    assert levels(world) == unsettled
    take_and_return.take(world.runtime, TakeNumber(pool=NAME), "m")
    assert (levels(world).available, levels(world).taken, levels(world).bought_today) == (0, 1, 8)
    # What is on its way is bought when it is bought.
    world.clock.advance(24 * 3600 + 300)
    assert levels(world).bought_today == 6

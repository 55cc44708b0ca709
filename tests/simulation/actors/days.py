"""Providers' daily limits: which worlds have one, their judge, and who gives up what waits for tomorrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks import orders
from tasks.ledger.orders import cancel
from tests.simulation.scheduler.clockwork import Broken

if TYPE_CHECKING:
    from tests.simulation.world import World

SHARE = 0.15
"""The share of worlds in which each account may buy so many numbers in 24 hours; none of them is so long."""
LIMITS = (2, 4, 8)

_WAITS = "SELECT id FROM purchase WHERE status = 'queued' ORDER BY id"
_LOOKING = "SELECT DISTINCT order_id FROM order_wish WHERE state = 'open' ORDER BY order_id"


def draw(world: World) -> int:
    """The limit of all accounts; 0 where there is none."""
    rng = world.chance("daily limits")
    return rng.choice(LIMITS) if rng.random() < SHARE else 0


def after_charge(world: World, desk: str) -> None:
    """Raises Broken where an account bought more than it may.

    What is not shown before the last look may have been taken for not bought, and what a database does not know of any
    more is not counted.
    """
    if not world.daily or world.weather.went_back:
        return
    bought = {one for one in world.judge.ever if one[0] == desk} - world.judge.unseen
    if len(bought) > world.daily:
        raise Broken(f"{desk} sold {len(bought)} numbers within a day, and its daily limit is {world.daily}")


def give_up(world: World) -> None:
    """Cancel what waits for tomorrow: nobody here has so much time."""
    runtime = world.staff.runtime
    for (order_id,) in world.judge.all(_LOOKING) if world.daily else ():
        orders.cancel(runtime, order_id)
    for (waits,) in world.judge.all(_WAITS) if world.daily else ():
        runtime.database.run(lambda conn, waits=waits: cancel.cancel(conn, waits, runtime.now()))  # type: ignore[misc]

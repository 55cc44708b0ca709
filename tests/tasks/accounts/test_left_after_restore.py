"""An account that is left while a database that went back in time does not know what was bought there."""

from __future__ import annotations

from sqlalchemy import select

from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.accounts import identity
from tasks.restored_database.go_on import hold_lost
from tests.tasks.accounts.test_identity import OTHER, as_account
from tests.tasks.past import Past
from tests.tasks.support import ACCOUNT, number


def test_what_lost_calls_may_have_bought_is_held(past: Past) -> None:
    """It waits in the copy, or was accepted after it; what nobody called for is cancelled."""
    world = past.world
    identity.settle(world.runtime)
    world.queued(number(1))
    past.keep()
    world.queued(number(2))
    world.tick()
    assert past.charged() == [number(1), number(2)]
    past.go_back()
    world.queued(number(3))
    left = as_account(world, OTHER)
    done = identity.leave(left, "acme")
    assert (done.held, done.cancelled) == (2, 1)
    rows = {row["number"]: (row["status"], row["error_code"]) for row in world.rows(select(PURCHASE))}
    assert rows == {
        number(1): (Status.HELD, "history_lost"),
        number(2): (Status.HELD, "history_lost"),
        number(3): (Status.CANCELLED, "cancelled"),
    }
    assert hold_lost(left, ACCOUNT, "acme") == []
    identity.settle(left)

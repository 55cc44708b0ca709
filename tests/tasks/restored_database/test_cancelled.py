"""A cancel after a restore: what waits again, and may have been bought since, is not told as cancelled."""

from __future__ import annotations

from schemas.status import Status
from tasks.ledger.orders import cancel
from tasks.ledger.rows import Row
from tasks.restored_database.go_on import GoingOn
from tests.tasks.past import TWO, Past
from tests.tasks.restored_database.test_absence import audit, listing
from tests.tasks.scripted_provider import ABSENT, UNKNOWN
from tests.tasks.support import number


def called_off(past: Past, row: Row) -> tuple[Status, str | None]:
    with past.world.write() as conn:
        cancel.cancel(conn, row["id"], past.world.clock())
    after = past.world.row(row["id"])
    return after["status"], after["error_code"]


def second_is_not_ours(past: Past) -> GoingOn | None:
    """An audit, once all is shown that was bought: a look says that the second of two lost calls bought nothing."""
    past.world.clock.advance(3600)
    listing(past, [TWO[0]])
    past.world.provider.looks.append(ABSENT)
    return audit(past)


def test_what_was_bought_since_is_held_until_an_audit_takes_it_in(past: Past) -> None:
    [row, _] = past.lose(*TWO)
    past.compare()
    assert called_off(past, row) == (Status.HELD, "cancelled_in_doubt")
    past.world.clock.advance(3600)
    assert audit(past) == GoingOn(settled=True, aliases=("acme", "twin"))
    assert past.world.row(row["id"])["status"] == Status.PURCHASED
    assert "cancelled" not in past.world.events(of=row["id"])


def test_what_no_lost_call_was_made_for_is_cancelled(past: Past) -> None:
    past.lose(*TWO)
    waits = past.world.queued(number(7))
    past.compare()
    assert called_off(past, waits) == (Status.CANCELLED, "cancelled")


def test_what_is_not_ours_is_in_doubt_no_more(past: Past) -> None:
    [_, row] = past.lose(*TWO)
    past.compare()
    assert past.world.row(row["id"])["doubt"]
    assert second_is_not_ours(past) == GoingOn(settled=True, aliases=("acme", "twin"), unseen=(TWO[1],))
    assert called_off(past, row) == (Status.CANCELLED, "cancelled")


def test_the_doubt_of_a_call_that_is_known_stays(past: Past) -> None:
    """A look said that it bought nothing, and it waits to be called for again, in the copy."""
    row = past.world.queued(TWO[1])
    past.world.provider.script.append(UNKNOWN)
    past.world.tick()
    while past.world.row(row["id"])["status"] == Status.UNKNOWN:
        past.world.clock.advance(30)
        past.world.look()
        past.world.work()
    assert past.world.row(row["id"])["status"] == Status.QUEUED
    past.world.queued(TWO[0])
    past.keep()
    past.buy_what_is_left()
    past.go_back()
    past.compare()
    assert second_is_not_ours(past) == GoingOn(settled=True, aliases=("acme", "twin"), unseen=(TWO[1],))
    assert called_off(past, row) == (Status.HELD, "cancelled_in_doubt")

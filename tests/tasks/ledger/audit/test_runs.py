"""Who has an account's scheduled audit, for how long, and when the next is due."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from schemas.tables.audits import AUDIT_RUN
from tasks.ledger.audit import runs
from tests.tasks.support import World

ACCOUNT = "acme-account"


def claim(world: World, alias: str = "acme") -> bool:
    with world.write() as conn:
        return runs.claim(conn, ACCOUNT, alias, world.clock.moment)


def renew(world: World, began: datetime) -> bool:
    with world.write() as conn:
        return runs.renew(conn, ACCOUNT, began, world.clock.moment)


def end(world: World, began: datetime, error: str | None = None) -> None:
    with world.write() as conn:
        runs.end(conn, ACCOUNT, world.binding.policy, began=began, now=world.clock.moment, owned=7, error=error)


def test_an_account_is_audited_once_however_many_ask(world: World) -> None:
    began = world.clock.moment
    assert (claim(world), claim(world, "twin")) == (True, False)
    world.clock.advance(60)
    end(world, began)
    assert not claim(world)
    world.clock.advance(24 * 3600 - 61)
    assert not claim(world)
    world.clock.advance(1)
    assert claim(world, "twin")


def test_one_that_failed_is_due_again_sooner(world: World) -> None:
    began = world.clock.moment
    claim(world)
    end(world, began, error="HTTP 500")
    [run] = world.rows(select(AUDIT_RUN))
    assert (run["error"], run["due_at"]) == ("HTTP 500", began + timedelta(hours=1))


def test_one_whose_worker_died_is_taken_over_and_cannot_end_the_other(world: World) -> None:
    began = world.clock.moment
    claim(world)
    world.clock.advance(60)
    assert claim(world, "twin")
    end(world, began, error="late")
    [run] = world.rows(select(AUDIT_RUN))
    assert (run["provider"], run["ended_at"], run["error"]) == ("twin", None, None)
    assert not renew(world, began)
    assert world.rows(select(AUDIT_RUN)) == [run]


def test_one_that_is_renewed_is_nobody_elses(world: World) -> None:
    began = world.clock.moment
    claim(world)
    for _ in range(5):
        world.clock.advance(runs.LEASE.total_seconds() - 1)
        assert not claim(world, "twin")
        assert renew(world, began)


def test_one_that_lapsed_goes_on_while_nobody_took_it(world: World) -> None:
    began = world.clock.moment
    claim(world)
    world.clock.advance(3600)
    assert renew(world, began)
    assert not claim(world, "twin")


def test_one_that_is_given_back_is_due_at_once(world: World) -> None:
    claim(world)
    with world.write() as conn:
        runs.give_back(conn, ACCOUNT, world.clock.moment)
    assert claim(world, "twin")

"""The doctor tells of releases that stand still, and of those whose end nobody can tell."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from schemas.tables.releases import RELEASE
from tasks.releases import giving_back
from tests.tasks.releasing import Returns, make_returns
from workers.cli.doctor.tables.releases import ACCEPTED_LOOKS, LATE, LOOKS, examine_releases
from workers.database.connections import SqlDatabase


@pytest.fixture
def returns(database_url: str) -> Iterator[Returns]:
    database = SqlDatabase(database_url)
    yield make_returns(database)
    database.close()


def told(returns: Returns, **changes: object) -> list[str]:
    with returns.world.write() as conn:
        conn.execute(update(RELEASE).values(**changes))
        return [one.message for one in examine_releases(conn, returns.world.clock.moment)]


def test_what_stands_still_is_told_and_nothing_else(returns: Returns) -> None:
    row = returns.bought()
    returns.ask(row)
    now = returns.world.clock.moment
    assert told(returns, due_at=now + timedelta(days=14)) == []
    assert told(returns, due_at=now - LATE + timedelta(seconds=1)) == []
    assert ["should have been given back" in one for one in told(returns, due_at=now - LATE)] == [True]
    unclear = told(returns, due_at=now, look_failures=LOOKS)
    assert ["nobody can tell" in one for one in unclear] == [True]
    accepted = told(returns, look_failures=0, found="there", looks=ACCEPTED_LOOKS)
    assert ["accepted to take back" in one for one in accepted] == [True]
    assert told(returns, looks=ACCEPTED_LOOKS - 1) == []
    assert told(returns, found="gone", looks=ACCEPTED_LOOKS) == []
    returns.settle(row)
    assert told(returns, look_failures=LOOKS) == []


def test_a_number_that_nothing_goes_on_with_is_told(returns: Returns) -> None:
    row = returns.bought()
    returns.ask(row)
    assert told(returns, due_at=returns.world.clock.moment) == []
    assert ["nothing of ours goes on" in one for one in told(returns, status="kept", due_at=None)] == [True]
    assert giving_back.mark_kept(returns.runtime, row["id"], "ann", None) is not None
    assert told(returns, due_at=None) == []

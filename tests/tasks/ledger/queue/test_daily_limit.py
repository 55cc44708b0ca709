"""An account's daily limit, as purchases are released."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, select, update

from schemas.status import Status
from schemas.tables.purchases import PROVIDER, PURCHASE
from tasks.ledger import accounts
from tasks.ledger.queue.day_counts import day_counts
from tasks.policies.accounts import Account
from tests.tasks.ledger.queue.test_dispatch import Make, counts, many, order, release_both, release_of, twins
from tests.tasks.scripted_provider import REFUSED, UNKNOWN
from tests.tasks.support import ACCOUNT, World, number


def test_a_daily_limit_counts_what_was_or_may_have_been_charged(make: Make) -> None:
    world = make(daily_limit=3)
    world.provider.script += [REFUSED, UNKNOWN]
    many(world, 6)
    for _ in range(8):
        world.release()
        world.work()
    found = Counter(row["status"] for row in world.rows(select(PURCHASE)))
    # the refused one cost nothing, the unknown one may have
    assert found == {Status.FAILED: 1, Status.UNKNOWN: 1, Status.PURCHASED: 2, Status.QUEUED: 2}
    world.clock.advance(24 * 3600 + 60)
    assert world.release() > 0


@pytest.mark.parametrize("single", [True, False])
def test_what_a_daily_limit_counts_already_does_not_wait_for_another_day(make: Make, single: bool) -> None:
    world = make(daily_limit=3)
    world.provider.script += [UNKNOWN, UNKNOWN]
    (many if single else order)(world, 5)
    for _ in range(100):
        world.tick()
        world.clock.advance(10)
    found = Counter(row["status"] for row in world.rows(select(PURCHASE)))
    assert found == {Status.PURCHASED: 3, Status.QUEUED: 2}
    assert len(world.provider.charged) == 3


def test_a_daily_limit_counts_what_an_alias_bought_that_was_renamed(make: Make) -> None:
    world = make(daily_limit=3)
    many(world, 2)
    world.tick()
    ensure = [{"provider": "former", "account": ACCOUNT, "updated_at": world.clock()}]
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(provider="former"))
        conn.execute(insert(PROVIDER), ensure)
    many(world, 4, first=10)
    for _ in range(10):
        world.tick()
    assert len(world.provider.charged) == 3


@pytest.mark.parametrize("of", [ACCOUNT, "first-name"])
@pytest.mark.parametrize(("status", "counts"), [(Status.RELEASED, True), (Status.FAILED, False)])
def test_a_daily_limit_counts_what_was_bought_under_an_alias_that_is_another_account_now(
    make: Make, of: str, status: Status, counts: bool
) -> None:
    world = make(daily_limit=3)
    many(world, 2)
    world.tick()
    alias = [{"provider": "other", "account": "other-account", "updated_at": world.clock()}]
    same = [("first-name", "second-name"), ("second-name", ACCOUNT)]
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(provider="other", account=of, status=status))
        conn.execute(insert(PROVIDER), alias)
        for former, account in same:
            accounts.remember_link(conn, former, account, world.clock(), same=True)
        accounts.remember_link(conn, "stranger", ACCOUNT, world.clock(), same=False)
    world.clock.advance(60)
    many(world, 4, first=10)
    for _ in range(10):
        world.tick()
        world.clock.advance(10)
    assert len(world.provider.charged) == (3 if counts else 5)


def test_a_daily_limit_does_not_count_what_another_account_bought(make: Make) -> None:
    world = make(daily_limit=3)
    many(world, 2)
    world.tick()
    alias = [{"provider": "other", "account": "other-account", "updated_at": world.clock()}]
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(provider="other", account="stranger"))
        conn.execute(insert(PROVIDER), alias)
        accounts.remember_link(conn, "stranger", ACCOUNT, world.clock(), same=False)
    world.clock.advance(60)
    many(world, 4, first=10)
    for _ in range(10):
        world.tick()
    assert len(world.provider.charged) == 5


def test_a_doubt_of_another_day_keeps_to_the_daily_limit(make: Make) -> None:
    world = make(daily_limit=1)
    many(world, 2)
    yesterday = world.clock.moment - timedelta(hours=25)
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(doubt=True, call_deadline=yesterday))
    for _ in range(20):
        world.tick()
        world.clock.advance(1)
    assert len(world.provider.charged) == 1


def test_what_is_counted_waits_where_more_may_be_charged_than_the_daily_limit_allows(make: Make) -> None:
    world = make(daily_limit=2)
    bought, doubtful = world.queued(), world.queued(number(8))
    with world.write() as conn:
        called = {"call_deadline": world.clock.moment}
        for row, values in ((bought, {"status": Status.PURCHASED}), (doubtful, {"doubt": True})):
            conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(**called, **values))
    assert world.release() == 1
    again = {"status": Status.QUEUED, "due_at": world.clock.moment}
    # As a restored database's audit takes in what was bought since.
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == doubtful["id"]).values(again))
        more = {**bought, "id": "00000000-0000-0000-0000-000000000009", "number": number(9), **called}
        conn.execute(insert(PURCHASE).values({**more, "status": Status.PURCHASED, "idempotency_key": "more"}))
    world.clock.advance(2)
    assert world.release() == 0
    world.clock.advance(24 * 3600)
    assert world.release() == 1


def test_a_daily_limit_counts_by_the_last_call_and_not_by_the_first(make: Make) -> None:
    world = make(daily_limit=1)
    row = world.queued()
    long_ago = world.clock.moment - timedelta(days=2)
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(first_attempt_at=long_ago))
    world.release()
    world.work()
    many(world, 1, first=7)
    assert world.release() == 0


@pytest.mark.parametrize("first", ["acme", "twin"])
def test_aliases_of_one_account_share_its_daily_limit(make: Make, first: str) -> None:
    world = make(daily_limit=8)
    twins(world, 12)
    release_of(world, first)
    world.work()
    assert len(world.provider.charged) == 6
    for _ in range(3):
        release_both(world)
        world.work()
    assert len(world.provider.charged) == 8


def test_a_probe_keeps_to_the_daily_limit(make: Make) -> None:
    world = make(daily_limit=1)
    world.accept(number(1))
    world.work()
    many(world, 1, first=2)
    world.pause(cooldown=1)
    world.clock.advance(1)
    assert world.release() == 0


@pytest.mark.parametrize("limit", [1, 9_000], ids=["used up", "far away"])
def test_a_daily_limit_is_counted_once_a_second(make: Make, limit: int) -> None:
    world = make(daily_limit=limit, max_in_flight=2)
    order(world, 50)
    world.release()
    world.work()
    world.clock.advance(1)
    asked = counts(world)
    for _ in range(5):
        world.release()
        world.work()
    assert len(asked) == 1
    world.clock.advance(1)
    world.release()
    assert len(asked) == 2


def test_a_daily_limit_that_is_near_is_counted_exactly(make: Make) -> None:
    # The pace lets nearly 1,000 through while a count is remembered.
    world = make(daily_limit=900, max_in_flight=2)
    order(world, 50)
    world.release()
    world.work()
    asked = counts(world)
    for _ in range(3):
        world.release()
        world.work()
    # Before the lock, and with it.
    assert len(asked) == 6


def test_what_is_told_of_a_day_is_what_limits_it(make: Make) -> None:
    world = make(daily_limit=3)
    many(world, 4)
    for _ in range(2):
        world.tick()
    aliases = [("former", ACCOUNT), ("other", "other-account")]
    rows = [{"provider": alias, "account": account, "updated_at": world.clock()} for alias, account in aliases]
    bought = [row["number"] for row in world.rows(select(PURCHASE)) if row["status"] == Status.PURCHASED]
    with world.write() as conn:
        conn.execute(insert(PROVIDER), rows)
        for number_, alias in zip(bought, ("former", "other"), strict=False):
            conn.execute(update(PURCHASE).where(PURCHASE.c.number == number_).values(provider=alias))
    day = Account(ACCOUNT, ("acme", "twin"))
    stranger = Account("other-account", ("other",))
    asked = statements(world)
    with world.runtime.database.read() as conn:
        found = day_counts(conn, [day, stranger], world.clock())
        of, once = found[ACCOUNT], len(asked)
        assert (of.charged, of.running, of.left(3), of.waiting(conn)) == (3, 0, 0, 1)
        assert of.fits_at(conn, 3) == min(deadlines(world)) + timedelta(days=1)
        assert of.fits_at(conn, 4) == world.clock()
        assert day_counts(conn, [], world.clock()) == {}
    # However many accounts.
    assert once == 5


def statements(world: World) -> list[str]:
    asked: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT") and "\nFROM " in statement:
            asked.append(statement)

    event.listen(world.runtime.database.engine, "before_cursor_execute", note)  # type: ignore[attr-defined]
    return asked


def deadlines(world: World) -> list[datetime]:
    return [row["call_deadline"] for row in world.rows(select(PURCHASE)) if row["status"] == Status.PURCHASED]

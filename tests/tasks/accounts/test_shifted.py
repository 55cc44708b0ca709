"""Aliases that change their accounts, killed between any two commits; and their marks, where no purchase would tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import Connection, select, update

from schemas.requests import BuyNumber
from schemas.status import Status
from schemas.tables.audits import AUDIT_RUN, FINDING
from schemas.tables.purchases import PROVIDER, PURCHASE
from tasks.accounts import identity
from tasks.accounts.chosen import AccountElsewhere
from tasks.accounts.identity import AccountChanged
from tasks.ledger import history
from tasks.ledger.accounts import Home
from tasks.ledger.rows import new_id
from tasks.lifecycle import accept, release_and_sweep
from tasks.policies.pause import Cause
from tasks.restored_database import detect
from tasks.runtime import Runtime
from tasks.watermark import Mark
from tests.tasks.support import Killed, World, number
from workers.database.connections import SqlDatabase

ONE, TWO, ANEW = "vogent|p1", "vogent|p2", "vogent|p1-anew"
STATES = (Status.PURCHASED, Status.QUEUED, Status.UNKNOWN, Status.HELD, Status.FAILED)


@dataclass
class Dying:
    """The database, and a process that is killed once it has committed so often."""

    database: SqlDatabase
    commits: int

    def run(self, action: Callable[[Connection], Any]) -> Any:
        if not self.commits:
            raise Killed
        self.commits -= 1
        return self.database.run(action)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.database, name)


def as_file(world: World, file: Mapping[str, str]) -> Runtime:
    """The runtime of a process whose file says which account each alias is."""
    binding = world.runtime.providers["acme"]
    providers = {alias: replace(binding, alias=alias, account=account) for alias, account in file.items()}
    return replace(world.runtime, providers=providers, kinds={})


def stock(world: World, runtime: Runtime) -> dict[str, str]:
    """Purchases in each state under each alias; the account of each by its id."""
    index = 0
    for alias, binding in runtime.providers.items():
        for state in STATES:
            row = accept.accept_one(runtime, BuyNumber(number=number(index), provider=alias))
            values = {"provider": alias, "account": binding.account, "status": state}
            with world.write() as conn:
                conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(**values))
            index += 1
    return {row["id"]: row["account"] for row in world.rows(select(PURCHASE))}


def at(world: World) -> dict[str, tuple[str, str]]:
    return {row["id"]: (row["provider"], row["account"]) for row in world.rows(select(PURCHASE))}


def home(runtime: Runtime, alias: str) -> Home:
    return Home(provider=alias, account=runtime.providers[alias].account)


def until_done(runtime: Runtime, work: Callable[[Runtime], object], check: Callable[[], None]) -> int:
    """Kill *work* after 0, 1, 2... commits, and begin again with what is left, until it is done. Returns how often."""
    times = 0
    database = runtime.database
    assert isinstance(database, SqlDatabase)
    while True:
        try:
            work(replace(runtime, database=Dying(database, times)))
        except Killed:
            times += 1
            check()
        else:
            return times


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "CHUNK", 2)


def test_a_swap_that_is_killed_anywhere_is_gone_on_with(world: World) -> None:
    before = as_file(world, {"acme": ONE, "twin": TWO})
    identity.settle(before)
    stood = stock(world, before)
    swapped = as_file(world, {"acme": TWO, "twin": ONE})

    def swap(runtime: Runtime) -> None:
        # Once all that stood there went, what stands there belongs there.
        with suppress(AccountElsewhere):
            identity.move(runtime, "acme", home(runtime, "twin"))
        identity.move(runtime, "twin", home(runtime, "acme"))

    def nothing_is_anothers() -> None:
        found = at(world)
        assert {key: account for key, (_, account) in found.items()} == stood
        right = {(alias, binding.account) for alias, binding in swapped.providers.items()}
        if not {*found.values()} <= right:
            with pytest.raises(AccountChanged):
                identity.settle(swapped)
        astray = [row for row in world.rows(select(PURCHASE)) if (row["provider"], row["account"]) not in right]
        for binding in swapped.providers.values():
            release_and_sweep.release_due(swapped, binding)
            release_and_sweep.look_due(swapped, binding)
        assert [world.row(row["id"]) for row in astray] == astray

    assert until_done(swapped, swap, nothing_is_anothers) > 3
    assert {*at(world).values()} == {("acme", TWO), ("twin", ONE)}
    identity.settle(swapped)
    known = {row["provider"]: row["account"] for row in world.rows(select(PROVIDER))}
    assert known == {"acme": TWO, "twin": ONE}


def test_an_account_written_anew_that_is_killed_anywhere_is_gone_on_with(world: World) -> None:
    before = as_file(world, {"acme": ONE, "twin": TWO})
    identity.settle(before)
    stood = stock(world, before)
    after = as_file(world, {"acme": ANEW, "twin": TWO})
    mark = lost(world)
    world.runtime.watermark.write({ONE: [mark]})

    def check() -> None:
        for key, (alias, account) in at(world).items():
            assert account == stood[key] or (alias, account, stood[key]) == ("acme", ANEW, ONE)
        assert world.runtime.watermark.newest(ANEW) == [mark]

    assert until_done(after, lambda runtime: identity.move(runtime, "acme", home(runtime, "acme")), check) > 3
    assert {*at(world).values()} == {("acme", ANEW), ("twin", TWO)}
    identity.settle(after)
    # Where it goes by another name again it is still known to have been used.
    with pytest.raises(AccountChanged):
        identity.settle(as_file(world, {"acme": "vogent|p1-once-more", "twin": TWO}))


def test_leaving_that_is_killed_anywhere_is_gone_on_with(world: World) -> None:
    before = as_file(world, {"acme": ONE, "twin": TWO})
    identity.settle(before)
    stock(world, before)
    after = as_file(world, {"acme": "vogent|p9", "twin": TWO})

    def check() -> None:
        with pytest.raises(AccountChanged):
            identity.settle(after)

    assert until_done(after, lambda runtime: identity.leave(runtime, "acme"), check) > 2
    identity.settle(after)
    ended = {row["status"] for row in world.rows(select(PURCHASE)) if row["account"] == ONE}
    assert ended == {Status.PURCHASED, Status.CANCELLED, Status.HELD, Status.FAILED}
    assert {row["status"] for row in world.rows(select(PURCHASE)) if row["account"] == TWO} == {*STATES}


def test_what_the_file_has_elsewhere_is_not_written_anew_whoever_asks(world: World) -> None:
    before = as_file(world, {"acme": ONE})
    identity.settle(before)
    stock(world, before)
    stood = at(world)
    after = as_file(world, {"acme": TWO, "twin": ONE})
    for _ in range(2):
        with pytest.raises(AccountElsewhere, match="dialstock provider move acme twin"):
            identity.move(after, "acme", home(after, "acme"))
        with pytest.raises(AccountElsewhere, match="dialstock provider move acme twin"):
            identity.leave(after, "acme")
    assert at(world) == stood


def test_an_alias_settles_only_with_all_others(world: World) -> None:
    """Who is settled alone would be forgotten as who it was, while purchases of that wait for their alias."""
    before = as_file(world, {"acme": ONE, "twin": TWO})
    identity.settle(before)
    stock(world, before)
    accounts = select(PROVIDER.c.provider, PROVIDER.c.account).order_by(PROVIDER.c.provider)
    known = world.rows(accounts)
    with pytest.raises(AccountChanged):
        identity.settle(as_file(world, {"acme": TWO, "twin": ONE, "third": "vogent|p3"}))
    assert world.rows(accounts) == known


def test_what_was_written_anew_is_known_as_used_before_all_is_settled(world: World) -> None:
    before = as_file(world, {"acme": ONE, "twin": TWO})
    identity.settle(before)
    stock(world, before)
    after = as_file(world, {"acme": ANEW, "twin": "vogent|p9"})
    identity.move(after, "acme", home(after, "acme"))
    with pytest.raises(AccountChanged, match=r"vogent\|p2"):
        identity.settle(after)
    with pytest.raises(AccountChanged, match=rf"may be the account {ANEW.replace('|', '.')}, which is gone"):
        identity.settle(as_file(world, {"else": "vogent|@else"}))


def test_what_goes_by_its_alias_alone_takes_no_other_account_along(world: World) -> None:
    before = as_file(world, {"acme": ONE})
    identity.settle(before)
    stock(world, before)
    row = accept.accept_one(before, BuyNumber(number=number(99), provider="acme"))
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(account=TWO))
    after = as_file(world, {"twin": TWO})
    identity.move(after, "acme", home(after, "twin"))
    assert {*at(world).values()} == {("acme", ONE), ("twin", TWO)}


def test_findings_go_along_with_the_alias(world: World) -> None:
    before = as_file(world, {"acme": ONE, "twin": TWO})
    ids = list(stock(world, before))
    for key, alias, account in ((ids[0], "acme", ONE), (ids[-1], "twin", TWO)):
        finding = {"id": key, "kind": "missing", "number": number(1), "provider": alias, "account": account}
        run = {"account": account, "provider": alias, "due_at": world.clock()}
        with world.write() as conn:
            conn.execute(FINDING.insert().values(provider_number_ids=[], found_at=world.clock(), **finding))
            conn.execute(AUDIT_RUN.insert().values(**run))
    after = as_file(world, {"acme": TWO, "twin": ONE})
    until_done(after, lambda runtime: identity.move(runtime, "acme", home(runtime, "twin")), lambda: None)
    found = {(row["account"], row["provider"], row["resolved_at"]) for row in world.rows(select(FINDING))}
    assert found == {(ONE, "twin", None), (TWO, "twin", None)}
    assert {row["account"] for row in world.rows(select(AUDIT_RUN))} == {ONE, TWO}


def lost(world: World) -> Mark:
    """The mark of a call that the database does not know."""
    then = world.clock()
    return Mark(purchase_id=new_id(), revision=2, number=number(1), started_at=then, deadline=then)


@pytest.mark.parametrize(
    ("before", "after", "behind"),
    [
        ({"acme": ONE}, {"acme": ANEW}, True),
        ({"acme": ONE, "twin": TWO}, {"acme": ANEW, "twin": TWO}, True),
        ({"acme": "vogent|@acme"}, {"twin": "vogent|@twin"}, True),
        ({"acme": "vogent|@acme"}, {"acme": ONE}, True),
        ({"acme": ONE}, {"twin": TWO}, False),
        ({"acme": ONE}, {"acme": "sandbox:vogent|p1"}, False),
        ({"acme": ONE}, {"acme": "bird|p1"}, False),
        ({"acme": ONE, "twin": TWO}, {"acme": TWO, "twin": "vogent|p3"}, False),
    ],
)
def test_a_database_that_went_back_to_before_any_purchase_is_seen_by_another_name(
    make: Callable[..., World], redis: Redis, before: Mapping[str, str], after: Mapping[str, str], behind: bool
) -> None:
    world = make(redis)
    identity.settle(as_file(world, before))
    former = before["acme"]
    world.runtime.watermark.write({former: [lost(world)]})
    now = as_file(world, after)
    for _ in range(2):
        identity.settle(now)
    detect.compare(now)
    causes = {row["provider"]: row["cause"] for row in world.rows(select(PROVIDER))}
    [alias] = [alias for alias in after if alias not in before or after[alias] != before[alias]][:1]
    assert causes[alias] == (Cause.BEHIND if behind else None)
    # What it was keeps its own, for where it comes back as another.
    assert len(world.runtime.watermark.newest(former)) == 1


def test_what_was_answered_for_is_handed_on_and_no_alarm(make: Callable[..., World], redis: Redis) -> None:
    world = make(redis)
    identity.settle(as_file(world, {"acme": "vogent|@acme"}))
    world.runtime.watermark.write({"vogent|@acme": [lost(world)]})
    now = as_file(world, {"twin": "vogent|@twin"})
    identity.settle(now)
    marks = now.watermark.newest("vogent|@twin")
    with world.write() as conn:
        history.answer(conn, marks, account="vogent|@twin", now=world.clock())
    identity.settle(now)
    detect.compare(now)
    assert now.watermark.newest("vogent|@twin") == marks
    assert {row["cause"] for row in world.rows(select(PROVIDER))} == {None}

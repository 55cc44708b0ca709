"""One of several accounts is left or written anew, killed between any two commits; and marks of one that returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from redis import Redis
from sqlalchemy import select, update

from schemas.status import Status
from schemas.tables.accounts import LEFT
from schemas.tables.purchases import PURCHASE
from tasks.accounts import identity
from tasks.accounts.chosen import AccountUnclear
from tasks.accounts.identity import AccountChanged
from tasks.providers.configured import parse_config
from tasks.runtime import Runtime
from tests.tasks.accounts.test_shifted import ANEW, ONE, STATES, TWO, as_file, home, lost, stock, until_done
from tests.tasks.support import World

PROJECT = """
[providers.{0}]
kind = "signalwire"
base_url = "https://a.signalwire.com"
token_env = "T"
project_id = "{1}"
{2}
"""


@pytest.fixture
def several(world: World, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """`acme` has purchases of two accounts, and is a third one in the file of this process."""
    monkeypatch.setattr(identity, "CHUNK", 2)
    before = as_file(world, {"acme": ONE, "twin": TWO})
    identity.settle(before)
    stock(world, before)
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(provider="acme"))
    return as_file(world, {"acme": ANEW})


def statuses(world: World, account: str) -> list[str]:
    query = select(PURCHASE.c.status).where(PURCHASE.c.account == account).order_by(PURCHASE.c.id)
    return [row["status"] for row in world.rows(query)]


@pytest.mark.parametrize("work", ["leave", "move"])
def test_one_of_several_that_is_killed_anywhere_is_gone_on_with(world: World, several: Runtime, work: str) -> None:
    def one(runtime: Runtime) -> None:
        if work == "leave":
            identity.leave(runtime, "acme", ONE)
        else:
            identity.move(runtime, "acme", home(runtime, "acme"), ONE)

    def check() -> None:
        assert statuses(world, TWO) == [*STATES]
        with pytest.raises(AccountChanged, match=r"are of vogent\|p2"):
            identity.settle(several)

    assert until_done(several, one, check) > 2
    check()
    ended = {Status.QUEUED: Status.CANCELLED, Status.UNKNOWN: Status.HELD}
    wanted = [ended.get(state, state) for state in STATES] if work == "leave" else [*STATES]
    assert statuses(world, {"leave": ONE, "move": ANEW}[work]) == wanted
    identity.leave(several, "acme")
    identity.settle(several)


def test_nothing_is_done_where_nobody_says_which(world: World, several: Runtime) -> None:
    for wrong in (None, "vogent|p3", "acme"):
        with pytest.raises(AccountUnclear):
            identity.leave(several, "acme", wrong)
        with pytest.raises(AccountUnclear):
            identity.move(several, "acme", home(several, "acme"), wrong)
    assert (statuses(world, ONE), statuses(world, TWO)) == ([*STATES], [*STATES])
    assert world.rows(select(LEFT)) == []


def as_projects(world: World, *aliases: tuple[str, str, str]) -> Runtime:
    config = parse_config("".join(PROJECT.format(*one) for one in aliases), "providers.toml")
    binding = world.runtime.providers["acme"]
    providers = {alias: replace(binding, alias=alias, account=one.account) for alias, one in config.providers.items()}
    return replace(world.runtime, config=config, providers=providers, kinds={})


def test_the_marks_of_an_account_that_was_left_are_its_own_where_it_returns(
    make: Callable[..., World], redis: Redis
) -> None:
    """Nothing is alive that would tell: the database may have gone back to before it was bought."""
    world = make(redis)
    named = 'account_id = "x"'
    identity.settle(as_projects(world, ("b", "p3", named)))
    mark = lost(world)
    identity.leave(as_projects(world, ("b", "p1", "")), "b")
    # Of a worker that stood still: what is marked by then is held.
    world.runtime.watermark.write({"signalwire|x": [mark]})
    identity.settle(as_projects(world, ("b", "p1", "")))
    assert world.runtime.watermark.newest("signalwire|p1") == []
    identity.settle(as_projects(world, ("b", "p1", ""), ("d", "p3", "")))
    assert world.runtime.watermark.newest("signalwire|p3") == [mark]
    assert world.rows(select(LEFT)) == []

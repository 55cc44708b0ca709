"""Blows that take the system back in time: its database, its Redis, its clock."""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from contextlib import ExitStack, suppress
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select

from schemas.status import Status
from schemas.tables.purchases import ATTEMPT, EVENT, PROVIDER, PURCHASE
from tasks.policies.pause import Cause
from tasks.restored_database.lost_calls import lost_calls, newest_marks
from tests.chaos.faults.clock import STEP
from tests.chaos.faults.command import Done
from tests.chaos.world import World
from tests.servers.backups import Backup
from tests.waiting import eventually

MORE = 12
"""Purchase calls that are made between a copy and its return, where so many are made in time."""

_ANSWERED = ATTEMPT.c.http_status.is_not(None)
"""Calls that were surely made."""


def restored_database(world: World, rng: random.Random) -> str:
    """A copy of the database is put back after more was bought; people mend it by the command line.

    The workers are killed meanwhile, as a replaced SQLite file needs it; those of PostgreSQL may run on and find
    another server.
    """
    with world.desk:
        copy = Backup(world.database.engine.url.render_as_string(hide_password=False))
    _buy_more(world)
    with ExitStack() as stack:
        stack.enter_context(world.desk)
        killed = world.postgres is None or rng.random() < 0.5
        if killed:
            stack.enter_context(world.fleet.down())
        before, at = _calls(world, _ANSWERED), world.clock()
        world.database.close()
        copy.restore()
        after = _calls(world)
        lost = {alias: calls - after[alias] for alias, calls in before.items()}
    behind = {alias for alias, calls in lost.items() if calls}
    eventually(lambda: behind <= _paused(world), what=f"{behind} are paused")
    while left := _paused(world) | _unknown(world):
        for alias in sorted(left):
            eventually(lambda alias=alias: alias in _paused(world), what=f"{alias} is paused")  # type: ignore[misc]
            _mend(world, alias)
    _undo(world, at)
    copy.close()
    how = "workers killed" if killed else "workers running"
    return f"database restored, {how}, {sum(map(len, lost.values()))} calls to buy lost at {', '.join(sorted(behind))}"


def stale_redis(world: World, rng: random.Random) -> str:
    """Redis is killed, and comes back with what it knew some calls ago."""
    copy = world.folder / f"redis-{rng.randrange(10**9)}"
    world.redis.copy_data(copy)
    calls = _buy_more(world)
    world.lose_redis(back_to=copy)
    return f"Redis killed, and back with its data from before the last {calls} calls"


def set_clock(world: World, rng: random.Random) -> str:
    """The database's clock goes ahead, back, and ahead again: what was put off in the first time is due then."""
    for ahead in (STEP, -STEP, STEP):
        world.clock.set(world.clock.ahead + ahead)
        time.sleep(2.0 + rng.random() * 3)
    return f"the database's clock set by {STEP:+g} s, back, and ahead again"


def _buy_more(world: World) -> int:
    """Let some calls be made; returns how many."""
    before = len(world.shop.calls())
    with suppress(AssertionError):
        eventually(lambda: len(world.shop.calls()) >= before + MORE, seconds=4.0)
    return len(world.shop.calls()) - before


def _calls(world: World, *which: ColumnElement[bool]) -> dict[str, set[tuple[Any, ...]]]:
    """The calls to buy that the database knows, by alias."""
    query = (
        select(PURCHASE.c.provider, ATTEMPT.c.purchase_id, ATTEMPT.c.revision, ATTEMPT.c.started_at)
        .join(PURCHASE, PURCHASE.c.id == ATTEMPT.c.purchase_id)
        .where(*which)
    )
    calls: dict[str, set[tuple[Any, ...]]] = defaultdict(set)
    with world.database.read() as conn:
        for alias, *call in conn.execute(query):
            calls[alias].add(tuple(call))
    return calls


def _paused(world: World) -> set[str]:
    with world.database.read() as conn:
        return set(conn.execute(select(PROVIDER.c.provider).where(PROVIDER.c.cause == Cause.BEHIND)).scalars())


def _mend(world: World, alias: str) -> None:
    """What the person on call does: an audit that adopts, or their word where there is no list."""
    if alias == "timepay":
        _say(world, alias)
    else:
        said: list[Done] = []
        try:
            eventually(lambda: _adopted(world, alias, said))
        except AssertionError as exc:
            raise AssertionError(f"no audit of {alias} lets it go on, of {len(said)}: {said[-1:]}") from exc


def _unknown(world: World) -> set[str]:
    """The aliases of accounts at which calls were made that the database does not know."""
    runtime = world.runtime
    return {
        alias
        for account, one in runtime.accounts.items()
        for alias in one.aliases
        if lost_calls(runtime.database, account, newest_marks(runtime, account)).calls
    }


def _say(world: World, alias: str) -> None:
    word = ("--lost-history", "--reason", "looked at the dashboard")
    done = world.command("provider", "resume", alias, *word)
    assert done.status == 0, done


def settle_lost(world: World) -> None:
    """What the person on call does who let an account go on without its history: settle what was not bought.

    What was bought is the scheduled audit's to find.
    """
    at = PURCHASE.c
    lost = (at.status == Status.HELD, at.error_code == "history_lost", at.provider != "timepay")
    with world.database.read() as conn:
        rows = conn.execute(select(at.id, at.number).where(*lost)).all()
    charged = {charge["number"] for charge in world.shop.charges()}
    if ids := [row.id for row in rows if row.number not in charged]:
        done = world.command("purchase", "resolve", *ids, "--fail")
        # 1: an audit was quicker.
        assert done.status in (0, 1), done


def _adopted(world: World, alias: str, said: list[Done]) -> bool:
    done = world.command("audit", alias, "--adopt", "--json")
    said.append(done)
    assert done.status in (0, 1), done
    if not done.stdout:
        # The list could not be read this time, or shows nothing, which proves nothing: its dashboard does.
        owns = any(charge["kind"] == alias for charge in world.shop.charges())
        by_word = "Its dashboard tells whether it owns one" in done.stderr and not owns
        if by_word:
            _say(world, alias)
        return by_word
    going = json.loads(done.stdout)["lost_history"]
    if going is not None and going["shows_none"]:
        _say(world, alias)
    return going is None or bool(going["settled"] or going["shows_none"])


def _undo(world: World, at: datetime) -> None:
    """Note the events of the time that is lost: they were told to others, and are in no table any more."""
    world.save_stream()
    with world.database.read() as conn:
        known = set(conn.execute(select(EVENT.c.id)).scalars())
    gone = (one for one in world.seen.values() if one["id"] not in known)
    world.undone |= {one["id"] for one in gone if datetime.fromisoformat(one["time"]) <= at}

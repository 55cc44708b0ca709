"""How often a purchase, a poll, a look and a release wait for the database, Redis and the broker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from redis import Redis
from redis.connection import Connection as RedisConnection
from sqlalchemy import event

from schemas.requests import BuyNumber
from schemas.status import Status
from tasks.ledger.releases.asking import Asking
from tasks.ledger.rows import Row
from tasks.lifecycle import accept, give_back, purchase, reconcile, release_and_sweep
from tasks.providers.registry import kinds
from tasks.releases import giving_back
from tasks.runtime import Message
from tasks.sandbox import SandboxServer
from tests.tasks.pacing import saved_up
from tests.tasks.shops import Shop, bind
from tests.tasks.support import World, number
from workers.database.connections import SqlDatabase

TURNS = 10
"""Of so many the fewest count: a machine that stands still has a turn taken anew, a script sent again, and another
connection made, whose first claim looks at the marks.
"""

MOST = {
    "accept": (11, 0, 1),
    "buy": (10, 2, 0),
    "look": (19, 2, 1),
    "poll": (16, 2, 1),
    "release": (21, 2, 0),
}
"""Of the database, Redis and the broker; CONTRIBUTING tells the same. On SQLite a few less."""

Trips = dict[str, int]
_ENDS = ("before_cursor_execute", "commit", "rollback")


@dataclass
class Counter:
    """Statements and the ends of transactions; commands of Redis, or pipelines; publishings. `parts` has the fewest."""

    now: Trips = field(default_factory=lambda: {"database": 0, "Redis": 0, "broker": 0})
    parts: dict[str, Trips] = field(default_factory=dict)
    rest: Callable[[], None] = lambda: None

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what is asked in the block for *name*, with turns that may be had at once."""
        self.rest()
        before = {**self.now}
        yield
        asked = {server: self.now[server] - before[server] for server in before}
        self.parts[name] = min(self.parts.get(name, asked), asked, key=lambda one: sum(one.values()))


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch, database: SqlDatabase) -> Iterator[Counter]:
    """Counts what this process asks of its servers."""
    found = Counter()

    def ask(*_: Any) -> None:
        found.now["database"] += 1

    sent = RedisConnection.send_packed_command

    def send(self: RedisConnection, *arguments: Any, **options: Any) -> Any:
        found.now["Redis"] += 1
        return sent(self, *arguments, **options)

    monkeypatch.setattr(RedisConnection, "send_packed_command", send)
    for name in _ENDS:
        event.listen(database.engine, name, ask)
    yield found
    for name in _ENDS:
        event.remove(database.engine, name, ask)


@pytest.fixture
def open_counted(
    make: Callable[..., World], redis: Redis, sandbox: SandboxServer, counter: Counter
) -> Callable[[str], Shop]:
    """Opens a shop of a kind with the real pace and marks, whose publishings are counted."""

    def open_one(kind: str) -> Shop:
        world, binding = make(redis), bind(sandbox.url, kind, rate_guard=5.0)

        def send(messages: Iterable[Message]) -> None:
            found = [*messages]
            counter.now["broker"] += bool(found)
            world.sent.extend(found)

        def rest() -> None:
            for lane in (binding.buying, binding.looking):
                saved_up(redis, lane)

        counter.rest = rest
        rest()
        runtime = replace(world.runtime, providers={kind: binding}, kinds={kind: kinds()[kind]}, send=send)
        return Shop(world, sandbox, kind, runtime, binding)

    return open_one


def bought(shop: Shop, counter: Counter, index: int) -> Row:
    with counter.part("accept"):
        row = accept.accept_one(shop.runtime, BuyNumber(number=number(index), provider=shop.kind))
    with counter.part("buy"):
        purchase.buy(shop.runtime, **shop.world.sent.pop(0).kwargs)
    return shop.world.row(row["id"])


def looked_at(shop: Shop, counter: Counter, row: Row, part: str) -> Row:
    shop.world.clock.advance(60)
    with counter.part(part):
        assert release_and_sweep.look_all(shop.runtime) == 1
        reconcile.look(shop.runtime, **shop.world.sent.pop(0).kwargs)
    return shop.world.row(row["id"])


def within(parts: dict[str, Trips], *names: str) -> None:
    """No more is asked than MOST tells."""
    asked = {name: tuple(parts[name].values()) for name in names}
    more = {
        name: one for name, one in asked.items() if any(here > most for here, most in zip(one, MOST[name], strict=True))
    }
    assert more == {}


def test_a_purchase_a_look_and_a_release(open_counted: Callable[[str], Shop], counter: Counter) -> None:
    shop = open_counted("vogent")
    for turn in range(TURNS):
        row = bought(shop, counter, turn)
        assert row["status"] == Status.PURCHASED
        giving_back.ask(shop.runtime, row["id"], Asking(by="ann", key=f"key {turn}"))
        with counter.part("release"):
            assert give_back.step(shop.runtime, shop.binding)
        assert shop.world.row(row["id"])["status"] == Status.RELEASED
        shop.sandbox.control.plan(shop.kind, "error_after")
        counter.rest()
        row = accept.accept_one(shop.runtime, BuyNumber(number=number(100 + turn), provider=shop.kind))
        purchase.buy(shop.runtime, **shop.world.sent.pop().kwargs)
        assert shop.world.row(row["id"])["status"] == Status.UNKNOWN
        shop.world.sent.clear()
        assert looked_at(shop, counter, row, "look")["status"] == Status.PURCHASED
    within(counter.parts, "accept", "buy", "release", "look")


def test_a_poll(open_counted: Callable[[str], Shop], counter: Counter) -> None:
    shop = open_counted("telnyx")
    shop.sandbox.control.provisioning(3600)
    row = bought(shop, counter, 0)
    for _ in range(TURNS):
        # on its way yet, as most polls find it
        assert looked_at(shop, counter, row, "poll")["status"] == Status.PROCESSING
    within(counter.parts, "poll")

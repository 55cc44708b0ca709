"""The one order of locks: whatever is done to the same orders at once, no two transactions wait for each other."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, Table, event, select, text, update
from sqlalchemy.engine.interfaces import ExceptionContext

from schemas.outcomes import Outcome, OutcomeKind
from schemas.requests import BuyNumber, RequestError
from schemas.settling import Finding, FindingKind, Verdict
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import ORDER, PURCHASE
from tasks import orders
from tasks.chunks import chunks
from tasks.ledger import locking
from tasks.ledger.audit import findings
from tasks.ledger.audit.differences import Shown
from tasks.ledger.orders import limits, reopen
from tasks.ledger.resolve import Resolution, Settler
from tasks.operator import resolve, retry_order
from tests.tasks.beside import beside
from tests.tasks.ledger.audit.test_differences import walks
from tests.tasks.scripted_provider import REFUSED, UNKNOWN
from tests.tasks.support import World, make_world, number
from workers.database.connections import SqlDatabase

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NUMBERS, ORDERS, PROCESSES, THREADS, ROUNDS = 24, 5, 2, 4, 30


class Process(World):
    """A worker process, or a person at the command line, who does anything to anything."""

    def draw(self, rng: random.Random) -> str:
        name = rng.choice(("submit", "submit", "cancel", "retry", "settle", "evidence", "pause", *["work"] * 5))
        with suppress(RequestError, orders.OrderError, resolve.ResolveError):
            getattr(self, name)(rng)
        return name

    def submit(self, rng: random.Random) -> None:
        wanted = rng.sample(range(NUMBERS), NUMBERS // 2)
        order_id = orders.begin(self.runtime, name="shared", max_purchases=rng.choice((None, 3, 6)))["id"]
        requests = [BuyNumber(number=number(one), provider=rng.choice(("acme", "twin"))) for one in wanted]
        for chunk in chunks(enumerate(requests, 1), 5):
            orders.load(self.runtime, order_id, chunk)
        (orders.abandon if rng.random() < 0.3 else orders.finish)(self.runtime, order_id)

    def cancel(self, rng: random.Random) -> None:
        orders.cancel(self.runtime, self.any_order(rng))
        orders.complete_finished(self.runtime)

    def retry(self, rng: random.Random) -> None:
        retry_order.retry(self.runtime, self.any_order(rng))

    def settle(self, rng: random.Random) -> None:  # type: ignore[override]
        held = [row["id"] for row in self.rows(select(PURCHASE).where(PURCHASE.c.status == Status.HELD))]
        wanted = rng.sample(held, min(len(held), 6))
        resolve.resolve(
            self.runtime, [Resolution(purchase_id=one, verdict=rng.choice([*Verdict][:3])) for one in wanted], "kim"
        )

    def evidence(self, rng: random.Random) -> None:
        rows = self.rows(select(PURCHASE).where(PURCHASE.c.status.in_((Status.QUEUED, Status.HELD, Status.UNKNOWN))))
        found = [
            Finding(
                kind=FindingKind.EVIDENCE,
                number=row["number"],
                provider=row["provider"],
                purchase_id=row["id"],
                usable=True,
            )
            for row in rng.sample(rows, min(len(rows), 4))
        ]
        settler = Settler(by="audit", now=self.clock())
        self.runtime.database.run(
            lambda conn: findings.take_evidence(conn, found, settler, walks(self, Shown()), poll_every=5.0)
        )

    def pause(self, rng: random.Random) -> None:  # type: ignore[override]
        super().pause(cooldown=0.1)

    def work(self, rng: random.Random) -> None:  # type: ignore[override]
        self.clock.advance(1.0)
        self.tick_alone(rng)

    def tick_alone(self, rng: random.Random) -> None:
        for step in rng.sample([self.sweep, self.release, self.look], 3):
            step()
        while self.sent:
            with suppress(IndexError):
                message = self.sent.pop(0)
                self.deliver(message)
                if rng.random() < 0.2:
                    self.deliver(message)

    def any_order(self, rng: random.Random) -> str:
        open_ones = self.rows(select(ORDER.c.id).where(ORDER.c.status != OrderStatus.ABANDONED))
        return str(rng.choice(open_ones)["id"])


@pytest.fixture
def processes(postgres_url: str) -> Iterator[list[Process]]:
    """Worker processes on one database, each with connections of its own."""
    databases = [SqlDatabase(postgres_url) for _ in range(PROCESSES)]
    made = [make_world(database, max_batch=5, reconcile_after=[1, 2]) for database in databases]
    for world in made[1:]:
        object.__setattr__(world.runtime, "providers", made[0].runtime.providers)
    yield [Process(**vars(world)) for world in made]
    for database in databases:
        database.close()


def answers(rng: random.Random) -> Callable[[str], Outcome]:
    """Whatever a provider says."""
    yes = Outcome(kind=OutcomeKind.PURCHASED, http_status=200, provider_number_id="x")
    return lambda _: rng.choice((yes, yes, REFUSED, UNKNOWN))


def dawdle(*_: object) -> None:
    """Between two statements there is time for others to come in between."""
    time.sleep(random.uniform(0, 0.003))


def test_whatever_is_done_at_once_nobody_waits_for_ever(processes: list[Process], seed: int) -> None:
    deadlocks: list[object] = []
    for process in processes:
        engine = process.runtime.database.engine  # type: ignore[attr-defined]
        event.listen(engine, "after_cursor_execute", dawdle)
        event.listen(engine, "handle_error", lambda found: deadlocks.append(met_deadlock(found)))
        process.provider.script.extend([answers(random.Random(seed))] * 5000)
    rng = random.Random(seed)
    for _ in range(ORDERS):
        processes[0].submit(rng)

    def many(place: int) -> Counter[str]:
        mine = random.Random(seed + place)
        return Counter(processes[place % PROCESSES].draw(mine) for _ in range(ROUNDS))

    with ThreadPoolExecutor(PROCESSES * THREADS) as pool:
        done = sum(pool.map(many, range(PROCESSES * THREADS)), Counter())
    assert done.total() == PROCESSES * THREADS * ROUNDS
    assert [one for one in deadlocks if one] == []


@pytest.mark.parametrize(
    ("table", "lock"),
    [
        (ORDER, limits.lock_limited),
        (ORDER, lambda conn, ids: locking.locked_with_orders(conn, purchases_of(conn, ids))),
        (ORDER, lambda conn, ids: reopen.reopen_orders(conn, purchases_of(conn, ids), NOON)),
        (PURCHASE, locking.locked),
        (PURCHASE, locking.hold),
        (PURCHASE, locking.reserve),
    ],
    ids=["limited", "with orders", "reopened", "locked", "held", "reserved"],
)
def test_what_is_locked_together_is_locked_by_its_ids(
    postgres: World, table: Table, lock: Callable[[Connection, list[str]], object]
) -> None:
    for one in range(2):
        order_id = orders.begin(postgres.runtime, name="limited", max_purchases=5)["id"]
        orders.load(postgres.runtime, order_id, [(1, BuyNumber(number=number(one), provider="acme"))])
        orders.finish(postgres.runtime, order_id)
    first, second = (row["id"] for row in postgres.rows(select(table.c.id).order_by(table.c.id)))
    with postgres.write() as conn:
        conn.execute(update(ORDER).values(status=OrderStatus.COMPLETED))
        # It stands behind the other in the table then, which is the order that nobody asked for.
        conn.execute(update(table).where(table.c.id == first).values(updated_at=NOON))

    def take() -> None:
        with postgres.write() as conn:
            for way in ("indexscan", "bitmapscan"):
                conn.execute(text(f"SET LOCAL enable_{way} = off"))
            lock(conn, [second, first])

    def free(conn: Connection) -> None:
        conn.execute(select(table.c.id).where(table.c.id == second).with_for_update(nowait=True))

    with beside(postgres, take, free) as conn:
        conn.execute(select(table.c.id).where(table.c.id == first).with_for_update())


def purchases_of(conn: Connection, order_ids: list[str]) -> list[str]:
    found = conn.execute(select(PURCHASE.c.id, PURCHASE.c.order_id).where(PURCHASE.c.order_id.in_(order_ids)))
    by_order = {row.order_id: row.id for row in found}
    return [by_order[one] for one in order_ids]


def met_deadlock(found: ExceptionContext) -> str | None:
    """What was asked when the server ended a transaction for another's sake."""
    return found.statement if getattr(found.original_exception, "sqlstate", None) == "40P01" else None

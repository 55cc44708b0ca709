"""What a release costs of an order with --max that has bought many: far from its limit, near it, and at it."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime
from itertools import islice

from sqlalchemy import insert, select, update

from schemas.status import OrderStatus, Status
from schemas.tables.purchases import ORDER, PURCHASE
from tasks.ledger.orders.limits import lock_limited
from tasks.ledger.queue import dispatch, release
from tasks.ledger.rows import new_id
from tasks.policies.full_orders import FullOrders
from tests.bench.measuring import report
from tests.bench.measuring.candidates import Bench
from tests.bench.measuring.harness import setting
from tests.bench.measuring.places import Place, place
from tests.servers import PostgresServer, RedisServer
from workers.database.connections import SqlDatabase

FEW = 1_000
DATABASES = ("SQLite", "PostgreSQL")
FAR = 1_000_000


def bench_limited_order(redis_server: RedisServer, postgres_server: PostgresServer) -> None:
    bench = Bench(redis_server, postgres_server, setting("COUNT", 200))
    rows = []
    for kind in DATABASES:
        for bought in (FEW, setting("ROWS", 100_000)):
            with place(bench, kind, bought) as made:
                rows.append((f"{kind}, {bought:,} bought", *_ticks(made, bench.count)))
    report.publish(
        "A release of an order with --max",
        ("", "far from it, ms", "near it, ms", "at it, ms"),
        rows,
        notes=f"Which lanes are due, and a release of one purchase: medians of {bench.count}, wall.",
    )


def _ticks(made: Place, count: int) -> tuple[str, ...]:
    database, full = SqlDatabase(made.url), FullOrders()
    order_id, account, bought = _order(database, made, 3 * count)
    found = []
    # At the limit the last two are counted, and nothing is released.
    for left in (FAR, count, 0):
        with database.write() as conn:
            conn.execute(update(ORDER).where(ORDER.c.id == order_id).values(max_purchases=bought + left))
        took = [_tick(database, order_id, account, full) for _ in range(count)]
        bought += count
        found.append(f"{1000 * statistics.median(took):.2f}")
    database.close()
    return tuple(found)


def _order(database: SqlDatabase, made: Place, waiting: int) -> tuple[str, str, int]:
    """An open order that bought all of the past, and of which so many wait; its account, and how many it bought."""
    order_id, now = new_id(), datetime.now(UTC)
    times = {"created_at": now, "updated_at": now}
    with database.write() as conn:
        past = dict(conn.execute(select(PURCHASE).limit(1)).mappings().one())
        conn.execute(insert(ORDER), {"id": order_id, "status": OrderStatus.OPEN, "metadata": {}, "lines": 1, **times})
        conn.execute(update(PURCHASE).values(order_id=order_id, status=Status.PURCHASED))
        fresh = {**past, "status": Status.QUEUED, "order_id": order_id, "due_at": now, "idempotency_key": None}
        numbers = islice(made.numbers, waiting)
        conn.execute(insert(PURCHASE), [{**fresh, "id": new_id(), "number": one, "revision": 0} for one in numbers])
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("VACUUM ANALYZE" if conn.dialect.name == "postgresql" else "ANALYZE")
    return order_id, past["account"], made.rows


def _tick(database: SqlDatabase, order_id: str, account: str, full: FullOrders) -> float:
    began, now = time.perf_counter(), datetime.now(UTC)
    with database.read() as conn:
        lanes = dispatch.due_lanes(conn, "stub", account, now, full.known())
    if lanes:
        with database.write() as conn:
            limited = lock_limited(conn, [order_id])
            release.release(
                conn, "stub", account, lanes, count=1, now=now, take_within=60.0, limited=limited, full=full
            )
    return time.perf_counter() - began

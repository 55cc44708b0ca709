"""One worker process of 100 threads, a stub provider of 200 ms and no limit, everything accepted before.

Set against a bare Celery task that only posts: same pool, same stub, same run.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.bench.harness import (
    Measure,
    dialstock,
    dialstock_environ,
    measure,
    order_file,
    rounds,
    stub,
    table,
    worker,
)
from tests.servers import PostgresServer, RedisServer

COUNT = int(os.environ.get("COUNT", "10000"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))


def bench_throughput(redis_server: RedisServer, postgres_server: PostgresServer, tmp_path: Path) -> None:
    candidates = {
        "bare Celery task that posts": lambda: _bare(redis_server),
        "dialstock on SQLite": _fresh_folders(tmp_path, lambda folder: _sqlite(redis_server, folder)),
        "dialstock on PostgreSQL": _fresh_folders(
            tmp_path, lambda folder: _postgres(redis_server, postgres_server, folder)
        ),
    }
    results = rounds(ROUNDS, candidates)
    print(table(f"{COUNT} numbers, accepted before, one process", "bare Celery task that posts", results))


def _fresh_folders(parent: Path, run: Callable[[Path], Measure]) -> Callable[[], Measure]:
    return lambda: run(parent / os.urandom(4).hex())


def _bare(redis_server: RedisServer) -> Measure:
    redis_server.flushall()
    with stub() as url:
        environ = {"REDIS_URL": redis_server.url}
        os.environ.update(environ)
        from tests.bench.bare import app, post  # noqa: PLC0415 - it reads REDIS_URL when it is imported

        with app.producer_pool.acquire(block=True) as producer, producer.batch(1000):
            for index in range(COUNT):
                post.apply_async((url, f"+1415{index:07d}"), producer=producer)
        with worker("tests.bench.bare:app", environ) as process:
            return measure(url, process, COUNT)


def _sqlite(redis_server: RedisServer, folder: Path) -> Measure:
    return _dialstock(redis_server, folder, f"sqlite:///{folder}/bench.db")


def _postgres(redis_server: RedisServer, postgres_server: PostgresServer, folder: Path) -> Measure:
    with postgres_server.database() as database_url:
        return _dialstock(redis_server, folder, database_url)


def _dialstock(redis_server: RedisServer, folder: Path, database_url: str) -> Measure:
    redis_server.flushall()
    with stub() as url:
        environ = dialstock_environ(folder, url, redis_server.url, database_url, rate="1000000/second")
        dialstock(environ, "migrate")
        dialstock(environ, "order", "submit", str(order_file(folder, COUNT)))
        with worker("workers.app:app", environ) as process:
            return measure(url, process, COUNT)

"""A process that takes numbers with many threads, and prints what it got: DATABASE_URL, pool, threads, takes, name."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

from schemas.pool_requests import TakeNumber
from tasks.ledger.rows import Row
from tasks.pools.requests import take_and_return
from tests.tasks.support import make_world
from workers.database.connections import SqlDatabase


def main(url: str, pool: str, threads: int, takes: int, name: str) -> None:
    runtime = make_world(SqlDatabase(url)).runtime

    def take(index: int) -> Row:
        return take_and_return.take(runtime, TakeNumber(pool=pool, taker=name), f"{name}-{index}")

    print("ready", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(threads) as executor:
        answers = list(executor.map(take, range(takes)))
    print(json.dumps([one["numbers"][0]["number"] if one["success"] else one["error_code"] for one in answers]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])

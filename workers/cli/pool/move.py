"""A pool that goes on by another name."""

from __future__ import annotations

from tasks.pools import former
from tasks.pools.requests.reading import former_pools
from tasks.runtime import Runtime
from workers.views.errors import Failure
from workers.views.pools import known_pool


def move_pool(runtime: Runtime, old: str, name: str) -> int:
    """Have the pool *name* go on with what *old* has. Returns how many numbers. Raises Failure."""
    if old in runtime.config.pools:
        raise Failure(f"{old} is in providers.toml: take [pools.{old}] out first, where it goes on as {name}")
    pool = known_pool(runtime.config, name)
    if old not in former_pools(runtime):
        raise Failure(f"there is no pool {old}, and was none")
    return runtime.database.run(lambda conn: former.move(conn, old, name, pool, runtime.now()))

"""Takes and returns as they come in: checked against the configured pools, and those that were configured once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from sqlalchemy import select

from schemas.pool_requests import UNKNOWN_POOL, ReturnNumber, TakeNumber, parse_return, parse_take
from schemas.requests import RequestError
from schemas.tables.pools import POOL
from tasks.runtime import Runtime

R = TypeVar("R", TakeNumber, ReturnNumber)
Parse = Callable[[Mapping[str, Any], Collection[str], Collection[str]], R]


def read_take(runtime: Runtime, fields: Mapping[str, Any]) -> TakeNumber:
    """Validate a take. Raises RequestError."""
    return _read(runtime, parse_take, fields)


def read_return(runtime: Runtime, fields: Mapping[str, Any]) -> ReturnNumber:
    """Validate a return, which may be to a pool that is not configured any more. Raises RequestError."""
    return _read(runtime, parse_return, fields)


def former_pools(runtime: Runtime) -> set[str]:
    """The pools that were configured once and are not any more."""
    with runtime.database.read() as conn:
        return set(conn.execute(select(POOL.c.name)).scalars()) - runtime.config.pools.keys()


def _read(runtime: Runtime, parse: Parse[R], fields: Mapping[str, Any]) -> R:
    """Asks the table only where a pool is not configured."""
    try:
        return parse(fields, runtime.config.pools, ())
    except RequestError as exc:
        if exc.code != UNKNOWN_POOL:
            raise
    return parse(fields, runtime.config.pools, former_pools(runtime))

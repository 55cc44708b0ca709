"""The begin of a transaction, on a connection of the pool that may have been lost since its last one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction that commits at the end of the block: on a new connection where the pool's could begin none."""
    with ExitStack() as stack:
        connection = stack.enter_context(engine.connect())
        try:
            begun = connection.begin()
        except DBAPIError as exc:
            if not exc.connection_invalidated:
                raise
            connection.close()
            connection = stack.enter_context(engine.connect())
            begun = connection.begin()
        stack.enter_context(begun)
        yield connection

"""What the tests of the broker's side share."""

from __future__ import annotations

from collections.abc import Iterator

import kombu.transport
import pytest
from kombu import Connection

from tests.servers import RedisServer
from workers.broker.incoming import use_keeping_transport


@pytest.fixture
def connection(redis_server: RedisServer) -> Iterator[Connection]:
    """A connection over our own transport."""
    # An earlier test may have made a connection of kombu's own kind, which kombu remembers.
    kombu.transport._transport_cache.clear()
    use_keeping_transport()
    with Connection(redis_server.url) as found:
        yield found

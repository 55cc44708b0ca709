"""A worker's connection to the broker, when the broker goes."""

from __future__ import annotations

import kombu.transport
import pytest
from kombu import Connection
from redis.exceptions import ConnectionError as RedisAway

from tests.servers import RedisServer
from workers.broker.incoming import use_keeping_transport


def test_a_channel_that_outlives_its_connection_fails_as_a_connection_does(redis_server: RedisServer) -> None:
    # An earlier test may have made a connection of kombu's own kind, which kombu remembers.
    kombu.transport._transport_cache.clear()
    use_keeping_transport()
    connection = Connection(redis_server.url)
    channel = connection.channel()
    connection.close()
    assert issubclass(RedisAway, connection.connection_errors)
    with pytest.raises(RedisAway, match="given up"), channel.conn_or_acquire():
        pass

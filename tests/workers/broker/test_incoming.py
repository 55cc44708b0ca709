"""How bad messages end is told by tests/integration/test_bad_messages.py; here, what needs no worker."""

import subprocess
import sys
from contextlib import suppress
from queue import Empty

import pytest
from kombu import Connection
from sqlalchemy.exc import SQLAlchemyError

from tasks.outages.readiness import READINESS
from tests.servers import RedisServer
from tests.waiting import PATIENCE

SCRIPT = """
import sys
from kombu import Connection
from workers.broker.incoming import use_keeping_transport
use_keeping_transport()
connection = Connection(sys.argv[1])
print(type(connection.transport).__name__, bool(connection.ssl))
"""


@pytest.mark.parametrize(
    ("url", "tls"),
    [("redis://127.0.0.1:1/0", "False"), ("rediss://127.0.0.1:1/0?ssl_cert_reqs=required", "True")],
)
def test_both_schemes_keep_their_meaning(url: str, tls: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, url], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["KeepingTransport", tls]


def test_a_channel_has_one_client_for_each_pool_it_has(connection: Connection) -> None:
    channel = connection.channel()
    with channel.conn_or_acquire() as first, channel.conn_or_acquire() as again:
        assert first is again
        assert first is not channel.client
    channel._disconnect_pools()
    with channel.conn_or_acquire() as other:
        assert other is not first
        assert other.connection_pool is channel.pool
        assert other.ping()


def test_messages_come_and_are_acknowledged_over_a_restart_of_the_server(
    connection: Connection, redis_server: RedisServer
) -> None:
    with connection.SimpleQueue("q") as queue:
        queue.put("before")
        queue.get(timeout=PATIENCE).ack()
        redis_server.kill()
        redis_server.restart()
        connection.ensure_connection(max_retries=5)
        queue.put("after")
    with connection.clone() as anew, anew.SimpleQueue("q") as queue:
        got = queue.get(timeout=PATIENCE)
        got.ack()
        assert got.payload == "after"
        assert anew.default_channel.client.zcard("unacked_index") == 0


def test_no_message_is_asked_for_while_the_database_is_away_and_none_is_left_half_way(connection: Connection) -> None:
    with connection.SimpleQueue("q") as queue:
        with pytest.raises(Empty):
            queue.get(timeout=0.1)
        try:
            with suppress(SQLAlchemyError), READINESS.asking():
                raise SQLAlchemyError
            queue.put("asked for before")
            got = queue.get(timeout=PATIENCE)
            got.ack()
            assert got.payload == "asked for before"
            queue.put("later")
            with pytest.raises(Empty):
                queue.get(timeout=1.5)
            assert queue.qsize() == 1
        finally:
            READINESS.forget()
        got = queue.get(timeout=PATIENCE)
        got.ack()
        assert got.payload == "later"

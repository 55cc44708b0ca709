"""Real servers for the tests, started without root and without containers."""

from tests.servers.availability import unavailable
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer
from tests.servers.sentinels import Sentinels
from tests.servers.tls import TlsRedis

__all__ = ["PgBouncer", "PostgresServer", "RedisServer", "Sentinels", "TlsRedis", "unavailable"]

"""Redis for the commands that need it: the one that the settings name, or the embedded one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import redis

from workers.health import redis_info
from workers.processes.embedded_redis import connect_embedded
from workers.redis_access.client import connect_redis
from workers.settings import Settings


@contextmanager
def open_redis(settings: Settings) -> Iterator[redis.Redis]:
    """A client of a server that answers; the embedded one is started where it does not run.

    Raises Away or EmbeddedError.
    """
    with connect_embedded(settings.home) if settings.embedded_redis else nullcontext() as server:
        url = settings.redis_url if server is None else server.url
        redis_info(url)
        client = connect_redis(url, settings.key_prefix)
        try:
            yield client
        finally:
            client.close()

"""What a message names and this worker does not know, while another may: it waits for that one, for a while.

An edited file reaches workers one after the other, and machines even later. Until all have the same one, who does not
know a provider or a pool cannot say that there is none.
"""

from __future__ import annotations

import hashlib

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from schemas.pool_requests import UNKNOWN_POOL
from schemas.requests import RequestError
from tasks import processes
from tasks.redis_keys import named
from tasks.runtime import Runtime

WAITS = 60.0
"""Seconds after which a message is answered with what the worker that has it then knows."""

_KEY = "dialstock:waits"
_KEPT = 3600.0
_CODES = (UNKNOWN_POOL, "unknown_provider")


def may_be_known(runtime: Runtime, error: RequestError, task: str, message_id: object) -> bool:
    """Whether a message that *error* would be the answer to is to wait: so too where that cannot be told now."""
    if error.code not in _CODES or not isinstance(message_id, str):
        return False
    try:
        return _differ(runtime) and _waited(runtime, task, message_id) < WAITS
    except (RedisError, SQLAlchemyError):
        return True


def _differ(runtime: Runtime) -> bool:
    """Whether another configuration than ours is in the file, or in force in another worker."""
    if runtime.file_differs():
        return True
    with runtime.database.read() as conn:
        return processes.others_differ(conn, runtime.config.digest, runtime.now())


def _waited(runtime: Runtime, task: str, message_id: str) -> float:
    """Seconds since the first worker saw the message, by Redis's clock."""
    name = hashlib.sha256(f"{task}|{message_id!a}".encode()).hexdigest()
    key = named(runtime.redis, f"{_KEY}:{name}")
    kept = int(_KEPT * 1000)
    if runtime.redis.set(key, 1, nx=True, px=kept):
        return 0.0
    return float(kept - runtime.redis.pttl(key)) / 1000

"""Whether something else stands in Redis under a name of ours: another program writes there, too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from redis.exceptions import ResponseError

from schemas.events import STREAM
from tasks.lifecycle.outbox_relay import BATCH_KEY, LEASE_KEY
from tasks.redis_keys import BEAT_KEY, named
from workers.cli.doctor.findings import Finding, fail
from workers.health import asked_redis
from workers.views.errors import AWAY

# Read by commands that our user has a right to, which TYPE is not.
_READS: dict[str, tuple[str | int, ...]] = {
    "unacked": ("HGET", "nothing"),
    "unacked_index": ("ZRANGE", 0, 0),
    STREAM: ("XREVRANGE", "+", "-", "COUNT", 1),
    **dict.fromkeys((LEASE_KEY, BATCH_KEY, BEAT_KEY), ("GET",)),
}
_MEND = (
    "another program writes there, too: give Dialstock a database of its own (the number in REDIS_URL) or a "
    "REDIS_KEY_PREFIX; or stop what uses that key, and take it away (RENAME, DEL)"
)


def other_keys(url: str, key_prefix: str, queues: Iterable[str]) -> Iterator[Finding]:
    """A line for each of the *queues* and our other fixed names that holds another type. Raises Away."""
    reads = {**dict.fromkeys(queues, ("LLEN",)), **_READS}
    with asked_redis(url, key_prefix) as client, client.pipeline(transaction=False) as together:
        keys = [named(client, name) for name in reads]
        for key, (command, *arguments) in zip(keys, reads.values(), strict=True):
            together.execute_command(command, key, *arguments)  # type: ignore[no-untyped-call]
        for key, answer in zip(keys, together.execute(raise_on_error=False), strict=True):
            if not isinstance(answer, Exception):
                continue
            if not (isinstance(answer, ResponseError) and str(answer).startswith("WRONGTYPE")):
                raise answer
            yield fail("redis", f"its key {key} is not of our type: nothing is bought with it", _MEND, AWAY)

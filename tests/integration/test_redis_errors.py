"""A Redis that answers, but with errors: a failover left a replica, its memory is full, rights were taken away."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest
from redis import Redis

from tests.integration.place import Place
from tests.integration.test_going_back import statuses, submit
from tests.waiting import eventually
from workers.broker.reconnect import ASK_EVERY

Numbers = Callable[[int], list[str]]
BROKEN, WELL = "the broker answers with errors", "the broker answers again"


Commands = Sequence[Sequence[str]]
KILL = ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
TROUBLES: dict[str, tuple[Commands, Commands]] = {
    "replica": ([("REPLICAOF", "127.0.0.1", "1")], [("REPLICAOF", "NO", "ONE")]),
    "rights": ([("ACL", "SETUSER", "default", "-brpop"), KILL], [("ACL", "SETUSER", "default", "+@all")]),
}
"""What brings it about, and what ends it."""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_worker_outlives_them_and_goes_on(fresh_place: Callable[..., Place], numbers: Numbers, trouble: str) -> None:
    begins, ends = TROUBLES[trouble]
    place = fresh_place(rate_limits=["10/second"])
    wanted = numbers(40)
    worker = place.setup("worker").worker
    with Redis.from_url(place.redis.url) as admin:
        submit(place, *wanted, provider="signalwire")
        eventually(lambda: len(place.charged(wanted)) >= 5, what="some are bought")
        try:
            for command in begins:
                admin.execute_command(*command)
            eventually(lambda: BROKEN in worker.logs(), what="the worker tells of it")
            time.sleep(2 * ASK_EVERY)
        finally:
            for command in ends:
                admin.execute_command(*command)
    eventually(lambda: statuses(place, wanted) == {"purchased": 40}, what="all are bought")
    assert set(place.charged(wanted).values()) == {1}
    eventually(lambda: WELL in worker.logs(), what="the worker tells that it is over")
    assert (worker.logs().count(BROKEN), worker.logs().count(WELL)) == (1, 1)
    assert worker.container.status == "running"

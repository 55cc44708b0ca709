"""A database that is restored from a copy while providers keep what was bought since."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from schemas.tables.purchases import PROVIDER
from tests.integration.commands import dialstock, statuses, submit
from tests.integration.place import Place
from tests.servers import PostgresServer, RedisServer
from tests.servers.backups import Backup
from tests.waiting import eventually

Numbers = Callable[[int], list[str]]
WATCHED = 4.0
"""Seconds: a release, its call and the look of a worker's timer come several times in it."""


def paused(place: Place, alias: str) -> bool:
    return any(row["cause"] == "database_behind" for row in place.rows(PROVIDER, provider=alias))


def stays(place: Place, numbers: list[str], charged: Counter[str]) -> None:
    """Nothing is bought for a while: what must not happen has no event to wait for."""
    until = time.monotonic() + WATCHED
    while time.monotonic() < until:
        assert place.charged(numbers) == charged
        time.sleep(0.1)


def adopted(place: Place, alias: str) -> dict[str, Any] | None:
    """What an audit says that lets the account go on; None where it came too soon."""
    done = dialstock(place, "audit", alias, "--adopt", "--json")
    assert done.returncode in (0, 1), done.stderr
    if not done.stdout:
        # On a busy machine it had no turn in time.
        return None
    found: dict[str, Any] = json.loads(done.stdout)["lost_history"]
    return found if found["settled"] else None


def test_a_restored_backup_buys_nothing_until_it_was_mended(
    fresh_place: Callable[..., Place], numbers: Numbers
) -> None:
    """Two are queued in the backup, two are accepted after it; all are bought, and a refused one is not."""
    place = fresh_place()
    wanted = numbers(4)
    submit(place, *wanted[:2], provider="fluents")
    place.database.close()
    copy = Backup(place.database_url)
    submit(place, *wanted[2:], provider="fluents")
    first = place.setup("first")
    eventually(lambda: statuses(place, wanted) == {"purchased": 4}, what="all four are bought")
    first.worker.kill("SIGTERM")
    first.worker.container.wait()
    once = Counter(dict.fromkeys(wanted, 1))
    place.database.close()
    copy.restore()
    with place.results() as results:
        place.setup("heir")
        eventually(lambda: paused(place, "fluents"), what="the provider is paused")
        told = results.wait("dialstock.provider.paused")
        assert (told["data"]["provider"], told["data"]["cause"]) == ("fluents", "database_behind")
        stays(place, wanted, once)
        eventually(lambda: adopted(place, "fluents"), what="an audit that comes late enough")
        results.wait("dialstock.provider.resumed")
    eventually(lambda: statuses(place, wanted) == {"purchased": 4}, what="all four are taken in")
    assert place.charged(wanted) == once
    assert not paused(place, "fluents")
    copy.close()


def test_a_server_that_is_replaced_under_running_workers_buys_nothing_twice(
    tmp_path: Path, postgres_server: PostgresServer, postgres_url: str, redis_server: RedisServer, numbers: Numbers
) -> None:
    """A replica that lagged: the workers' connections break, and lead to it."""
    wanted = numbers(6)
    with Place(tmp_path, postgres_url, redis_server) as place:
        submit(place, *wanted, provider="signalwire")
        place.database.close()
        copy = Backup(postgres_url)
        place.setup("one", "two")
        eventually(lambda: statuses(place, wanted) == {"purchased": 6}, what="all are bought")
        copy.restore()
        eventually(lambda: paused(place, "signalwire"), what="the provider is paused")
        once = Counter(dict.fromkeys(wanted, 1))
        stays(place, wanted, once)
        eventually(lambda: adopted(place, "signalwire"), what="an audit that comes late enough")
        eventually(lambda: statuses(place, wanted) == {"purchased": 6}, what="all are taken in")
        assert place.charged(wanted) == once
        copy.close()

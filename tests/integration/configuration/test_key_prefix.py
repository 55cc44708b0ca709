"""Two installations share one Redis by their prefixes, and neither sees anything of the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from celery import Celery
from redis import Redis

from tasks.redis_keys import BEAT_KEY
from tests.integration.commands import dialstock, statuses, submit
from tests.integration.place import POOLS, Place
from tests.servers import RedisServer
from tests.waiting import eventually

Numbers = Callable[[int], list[str]]
PREFIXES = ("one:", "two/")


class Prefixed(Place):
    """A deployment whose names in Redis begin with its prefix."""

    prefix: str

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, "REDIS_KEY_PREFIX": self.prefix}


@pytest.fixture
def both(
    tmp_path: Path, sqlite_url: str, postgres_url: str, redis_server: RedisServer
) -> Iterator[tuple[Prefixed, Prefixed]]:
    with ExitStack() as stack:
        found = []
        for prefix, url in zip(PREFIXES, (sqlite_url, postgres_url), strict=True):
            (home := tmp_path / str(len(found))).mkdir()
            place = Prefixed(home, url, redis_server, pools=POOLS)
            place.prefix = prefix
            found.append(stack.enter_context(place))
        yield found[0], found[1]


def foreign_call(place: Prefixed, number: str) -> None:
    """A message of a service that has Celery and nothing of ours."""
    options = {"global_keyprefix": place.prefix}
    with Celery(broker=place.redis.url, broker_transport_options=options, set_as_current=False) as app:
        kwargs = {"number": number, "provider": "vogent"}
        app.send_task("dialstock.buy_number", kwargs=kwargs, queue="purchases", ignore_result=True)


def test_two_installations_on_one_redis(both: tuple[Prefixed, Prefixed], numbers: Numbers) -> None:
    wanted = [numbers(5), numbers(5)]
    with Redis.from_url(both[0].redis.url) as client, client.pubsub() as live:
        live.psubscribe("*")
        for place, mine in zip(both, wanted, strict=True):
            place.setup("worker")
            place.start_beat("beat")
            submit(place, *mine[1:], provider="signalwire")
            foreign_call(place, mine[0])
        for place, mine, other in zip(both, wanted, reversed(wanted), strict=True):
            eventually(lambda place=place, mine=mine: bought(place, mine), what="each buys its own")
            assert place.charged([*mine, *other]) == dict.fromkeys(mine, 1)
            key = f"{place.prefix}{BEAT_KEY}"
            eventually(lambda key=key: client.exists(key), what="its beat gives a sign")
            told = dialstock(place, "doctor").stdout
            assert "1 answered" in told, told
            assert "one sends what is due" in told, told
            assert client.xlen(f"{place.prefix}dialstock:results") >= len(mine)
        strangers = [key for key in client.scan_iter() if not key.decode().startswith(PREFIXES)]
        assert strangers == []
        channels = {message["channel"].decode() for message in iter(lambda: live.get_message(timeout=1), None)} - {"*"}
        assert {f"{prefix}dialstock.results" for prefix in PREFIXES} <= channels
        assert [channel for channel in channels if not channel.startswith(PREFIXES)] == []


def bought(place: Place, numbers: list[str]) -> bool:
    return place.charged(numbers).keys() == set(numbers) and statuses(place, numbers) == {"purchased": len(numbers)}

"""Redis Sentinel: the master dies, or is demoted while it lives, with an order under way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from redis import Redis

from tasks.redis_keys import BEAT_KEY
from tests.integration.commands import dialstock, statuses, submit
from tests.integration.containers import LocalProcess
from tests.integration.place import POOLS, Place
from tests.servers import Sentinels
from tests.servers.redis import free_port
from tests.servers.sentinels import NAME
from tests.waiting import eventually, fair_clock

Numbers = Callable[[int], list[str]]
InASecond = Callable[[Sequence[float]], int]
LIMIT = 10
"""Calls a second."""

GOES_ON = 15.0
"""Seconds after the sentinels name another master."""


class Watched(Place):
    """A deployment that knows nothing of Redis but its sentinels."""

    redis_url: str

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, "REDIS_URL": self.redis_url}


@pytest.fixture
def sentinels(_redis_program: str) -> Iterator[Sentinels]:
    with Sentinels(_redis_program) as found:
        yield found


@pytest.fixture
def watched(tmp_path: Path, database_url: str, sentinels: Sentinels) -> Iterator[Watched]:
    with Watched(tmp_path, database_url, sentinels.master, pools=POOLS, rate_limits=[f"{LIMIT}/second"]) as place:
        place.redis_url = sentinels.url
        yield place


def dies(sentinels: Sentinels) -> None:
    sentinels.master.kill()


def hangs(sentinels: Sentinels) -> None:
    """No connection to it breaks; when it wakes up, it believes to be the master."""
    psutil.Process(sentinels.master.pid).suspend()


def is_demoted(sentinels: Sentinels) -> None:
    """For seconds there are two who believe to be the master."""
    sentinels.fail_over()


def slot_given(server: Redis) -> bool:
    """Whether the server gave a turn as a master, and not only knows what another one gave."""
    lanes: Any = [server.hgetall(key) for key in server.scan_iter("dialstock:pace:*:buy")]
    ours = server.info("replication")["master_replid"].encode()
    return any(lane[b"replid"] == ours and lane.get(b"last", b"0") != b"0" for lane in lanes)


@pytest.mark.parametrize(
    ("database_url", "ends"),
    [("sqlite", dies), ("postgresql", hangs), ("sqlite", is_demoted)],
    indirect=["database_url"],
    ids=["dies", "hangs", "is demoted"],
)
def test_an_order_goes_on_at_the_new_master(
    watched: Watched,
    sentinels: Sentinels,
    numbers: Numbers,
    ends: Callable[[Sentinels], None],
    most_in_a_second: InASecond,
) -> None:
    wanted = numbers(80)
    workers = watched.setup("one", "two").worker_cluster
    submit(watched, *wanted[:50], provider="signalwire")
    eventually(lambda: len(watched.charged(wanted)) >= 20, what="some are bought")
    ends(sentinels)
    sentinels.wait_until_switched()
    with fair_clock() as clock:
        # However long this took, so many are left.
        submit(watched, *wanted[50:], provider="signalwire")
        with Redis.from_url(sentinels.replica.url) as new:
            eventually(lambda: slot_given(new), what="the new master gives turns")
        bought = len(watched.charged(wanted))
        eventually(lambda: len(watched.charged(wanted)) > bought, what="it goes on")
        assert clock() < GOES_ON
    if ends is hangs:
        psutil.Process(sentinels.master.pid).resume()
    eventually(lambda: statuses(watched, wanted) == {"purchased": len(wanted)}, what="all are bought")
    assert set(watched.charged(wanted).values()) == {1}
    at = sorted(call["monotonic"] for call in watched.control.calls("signalwire"))
    assert most_in_a_second(at) <= LIMIT
    assert [worker.container.status for worker in workers] == ["running", "running"]
    assert "2 answered" in (told := dialstock(watched, "doctor").stdout), told


def waiting(client: httpx.Client) -> int:
    """How many messages Flower says that wait."""
    try:
        queues = client.get("/api/queues/length").json()["active_queues"]
    except httpx.TransportError:
        return 0
    return sum(queue["messages"] for queue in queues if queue["name"] == "purchases")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_beat_and_flower_find_the_master_too(watched: Watched, sentinels: Sentinels) -> None:
    """Flower with its first sentinel dead; what beat sends has to wait, as no worker runs."""
    sentinels.kill_sentinel()
    watched.start_beat("beat")
    port = free_port()
    environ = {**watched.environ, "FLOWER_BASIC_AUTH": "person:hush"}
    with ExitStack() as stack:
        flower = LocalProcess("flower", ["dialstock", "flower", f"--port={port}"], environ, watched.home / "flower.log")
        stack.callback(flower.stop)
        client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", auth=("person", "hush")))
        eventually(lambda: waiting(client) >= len(POOLS), what="Flower shows the messages that beat sent")
        with Redis.from_url(sentinels.master.url) as server:
            eventually(lambda: server.exists(BEAT_KEY), what="beat gives a sign of life")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_passwords_of_both_are_used_and_never_shown(
    watched: Watched, sentinels: Sentinels, numbers: Numbers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CELERY_BROKER_URL is one that Celery reads by itself, too."""
    guarded = sentinels.start_sentinel("requirepass sentinel-s3cret", f"sentinel auth-pass {NAME} server-s3cret")
    sentinels.guard("server-s3cret")
    watched.redis_url = f"sentinel://:server-s3cret@127.0.0.1:{guarded}/{NAME}/0?sentinel_password=sentinel-s3cret"
    environ = {**watched.environ, "CELERY_BROKER_URL": watched.redis_url}
    monkeypatch.setattr(Watched, "environ", property(lambda _: environ))
    [wanted] = numbers(1)
    submit(watched, wanted, provider="signalwire")
    worker = watched.start_worker("worker")
    eventually(lambda: watched.charged([wanted]), what="it is bought")
    shown = [worker.logs(), dialstock(watched, "doctor").stdout]
    for question in ("conf", "stats", "report"):
        asked = ["celery", "-A", "workers.app:app", "inspect", question]
        asker = LocalProcess("asker", asked, environ, watched.home / f"{question}.log")
        assert asker.wait() == 0, asker.logs()
        shown.append(asker.logs().decode())
    assert "1 answered" in shown[1], shown[1]
    assert [text for text in shown if "s3cret" in text] == []

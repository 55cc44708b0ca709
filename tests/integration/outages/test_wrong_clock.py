"""Workers on two hosts, of which one's clock is wrong by an hour: they buy as if it were right."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from schemas.tables.purchases import ATTEMPT, PURCHASE
from tests.integration.commands import statuses, submit
from tests.integration.place import Place
from tests.servers import RedisServer
from tests.servers.own_host import OwnHost
from tests.waiting import PATIENCE, eventually

Numbers = Callable[[int], list[str]]
RATE = 5
ORDER = 20
HOUR = 3600
NEAR = timedelta(seconds=HOUR / 2)
SOURCE = Path(__file__).parents[2] / "servers" / "wrong_clock.c"


class Apart(Place):
    """Its processes have the machine's clock, or one that is some seconds `ahead` of it, on a host of their own."""

    library: Path
    host: OwnHost | None = None
    ahead = 0

    @property
    def environ(self) -> dict[str, str]:
        found = super().environ
        if not self.ahead:
            return found
        there = {} if self.host is None else self.host.environ
        return {**found, **there, "LD_PRELOAD": str(self.library), "CLOCK_AHEAD": str(self.ahead)}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("a clock of its own for a process takes a C compiler: `apt-get install gcc`")
    found = tmp_path_factory.mktemp("clock") / "wrong_clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(found), str(SOURCE), "-ldl"], check=True)
    return found


@pytest.fixture
def place(tmp_path: Path, library: Path, postgres_url: str, redis_server: RedisServer) -> Iterator[Apart]:
    with ExitStack() as stack:
        found = stack.enter_context(Apart(tmp_path, postgres_url, redis_server, rate_limits=[f"{RATE}/second"]))
        found.library = library
        if OwnHost.is_possible():
            ports = [urlsplit(url).port or 0 for url in (found.sandbox.url, redis_server.url)]
            found.host = stack.enter_context(OwnHost(*ports))
        stack.callback(lambda: [worker.teardown() for worker in found.workers])
        yield found


def clock(logs: str) -> datetime:
    """What time it was for who wrote the first line with one."""
    found = re.search(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", logs)
    assert found is not None
    return datetime.fromisoformat(found[1]).astimezone()


@pytest.mark.parametrize("ahead", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_nothing_is_bought_twice_or_lost_and_all_times_are_the_databases(
    place: Apart, numbers: Numbers, ahead: int, most_in_a_second: Callable[[Sequence[float]], int]
) -> None:
    place.setup("right")
    place.ahead = ahead
    place.setup("wrong")
    place.ahead = 0
    if place.host is not None:
        assert [place.host.has(int(worker.container.id)) for worker in place.workers] == [False, True]
    assert abs(clock(place.workers[1].logs()) - datetime.now(UTC) - timedelta(seconds=ahead)) < NEAR
    wanted = numbers(ORDER)
    # In doubt, bought or not: looks come by their deadlines.
    place.control.plan("signalwire", "cut_after", wanted[0])
    place.control.plan("signalwire", "cut_before", wanted[1])
    submit(place, *wanted, provider="signalwire")

    def bought() -> bool:
        return statuses(place, wanted) == {"purchased": len(wanted)}

    eventually(bought, seconds=2 * PATIENCE, what="all are bought")
    while not all("purchased" in worker.logs() for worker in place.workers):
        more = numbers(RATE)
        wanted.extend(more)
        submit(place, *more, provider="signalwire")
        eventually(bought, what="both take part")
    assert place.charged(wanted) == dict.fromkeys(wanted, 1)
    assert most_in_a_second([call["monotonic"] for call in place.control.calls("signalwire")]) <= RATE
    now = datetime.now(UTC)
    times = [row[name] for row in place.rows(ATTEMPT) for name in ("started_at", "deadline", "ended_at")]
    times += [row[name] for row in place.rows(PURCHASE) for name in ("created_at", "updated_at", "finished_at")]
    assert [time for time in times if abs(time - now) > NEAR] == []

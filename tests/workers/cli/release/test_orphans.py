"""`audit --release`: what the provider shows and nothing here knows of goes by name alone, and by the ordinary way."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select, update

from schemas.status import Status
from schemas.tables.purchases import PURCHASE, RESOLUTION
from schemas.tables.releases import RELEASE
from tasks.sandbox import SandboxServer
from tests.servers import RedisServer
from tests.workers.cli.running import NUMBERS, Cli, csv_file, purchases, rested, settle, steady
from workers.views.desk import Desk

pytestmark = pytest.mark.usefixtures("redis_server")


@pytest.fixture
def shop(
    both: Cli, home: Path, sandbox: SandboxServer, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> SandboxServer:
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    steady(home, sandbox.url)
    rested(redis_server.url)
    sandbox.control.own("vogent", NUMBERS[:3])
    return sandbox


def test_the_named_orphan_goes_and_no_other(both: Cli, desk: Desk, shop: SandboxServer) -> None:
    assert "say --yes" in both.refused("audit", "vogent", "--release", NUMBERS[1])
    assert purchases(desk) == {}
    done = both("audit", "vogent", "--release", NUMBERS[1], "--yes", "--by", "ann", "--json")
    assert done.exit_code == 1  # two orphans are left
    assert f"  {NUMBERS[1]}" in done.stderr
    rows = purchases(desk)
    assert {number: (row["status"], row["already_owned"]) for number, row in rows.items()} == {
        NUMBERS[1]: ("releasing", True)
    }
    with desk.runtime.database.read() as conn:
        [release] = conn.execute(select(RELEASE)).mappings()
        assert (release["by"], release["status"], release["attempts"]) == ("ann", "open", 0)
        assert release["provider_number_id"] == rows[NUMBERS[1]]["provider_number_id"]
        assert list(conn.execute(select(RESOLUTION.c.decision, RESOLUTION.c.by))) == [("adopted", "ann")]
    assert shop.control.returns() == []  # a worker calls, and nobody else


def test_all_or_nothing_where_one_is_no_orphan(both: Cli, desk: Desk, home: Path, shop: SandboxServer) -> None:
    both.submit(csv_file(home, [f"{NUMBERS[0]},vogent"]))
    settle(desk, NUMBERS[0], Status.PURCHASED)
    for other in (NUMBERS[0], NUMBERS[9]):
        told = both.refused("audit", "vogent", "--release", NUMBERS[1], "--release", other, "--yes")
        assert f"nothing was changed: {other} is not among what is owned and unknown here" in told
    assert list(purchases(desk)) == [NUMBERS[0]]
    assert purchases(desk)[NUMBERS[0]]["status"] == "purchased"


def test_a_list_that_shows_none_of_ours_gives_nothing_back(
    both: Cli, desk: Desk, home: Path, shop: SandboxServer
) -> None:
    both.submit(csv_file(home, [f"{NUMBERS[5]},vogent"]))
    settle(desk, NUMBERS[5], Status.PURCHASED)
    with desk.runtime.database.write() as conn:
        conn.execute(update(PURCHASE).values(finished_at=desk.runtime.now().replace(year=2025)))
    told = both.refused("audit", "vogent", "--release", NUMBERS[1], "--yes", status=1)
    assert "as with the token of another account: nothing was changed" in told
    assert list(purchases(desk)) == [NUMBERS[5]]


def test_a_kind_without_a_call_says_what_a_person_does(both: Cli, desk: Desk, shop: SandboxServer) -> None:
    shop.control.own("bird", NUMBERS[:1])
    told = both.refused("audit", "bird", "--release", NUMBERS[0], "--yes")
    assert "bird has no call that gives a number back: cancel the subscription" in told
    assert purchases(desk) == {}

"""A pool's numbers when the answer to a commit is lost: none is taken for nobody, none is given back twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from schemas.tables.pools import POOL_NUMBER, Slot
from tests.servers.proxy import PostgresProxy
from tests.workers.cli.order.test_lost_answers import MOST, desk, each_commit, proxy
from tests.workers.cli.pool.test_commands import deliver
from tests.workers.cli.running import Cli, sandbox_config_text
from workers.views.desk import Desk

__all__ = ["desk", "proxy"]

POOL = """
[pools.support]
providers = ["timepay"]
country = "US"
stock_file = "stock.csv"
low = 2
target = 9
daily_limit = 0
schedule = "1h"
"""


@pytest.fixture
def home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a pool of nine numbers from a file."""
    rows = [f"+1415555{n:04d},timepay" for n in range(9)]
    (home / "stock.csv").write_text("\n".join(["number,provider", *rows]))
    (home / "providers.toml").write_text(sandbox_config_text("http://127.0.0.1:9") + POOL)
    monkeypatch.setenv("SANDBOX_TOKEN", "secret")
    return home


@pytest.fixture
def stocked(proxy: PostgresProxy, desk: Desk) -> Cli:
    """The pool is full."""
    cli = Cli()
    cli.ok("pool", "run", "support")
    deliver(desk)
    return cli


def taken(desk: Desk) -> set[str]:
    with desk.runtime.database.read() as conn:
        return set(conn.execute(select(POOL_NUMBER.c.number).where(POOL_NUMBER.c.status == Slot.TAKEN)).scalars())


@pytest.mark.parametrize("delivers", [True, False])
def test_what_is_taken_is_told(stocked: Cli, proxy: PostgresProxy, desk: Desk, delivers: bool) -> None:
    told: set[str] = set()

    def take(_: int) -> None:
        told.update(stocked.ok("pool", "take", "support").split())
        assert taken(desk) == told

    each_commit(proxy, take, delivers=delivers)


@pytest.mark.parametrize("delivers", [True, False])
def test_what_is_returned_is_told(stocked: Cli, proxy: PostgresProxy, desk: Desk, delivers: bool) -> None:
    def give_back(at: int) -> None:
        proxy.cut(MOST)
        mine = stocked.ok("pool", "take", "support", "--count", "2").split()
        proxy.cut(at, delivers=delivers)
        done = stocked.json("pool", "return", "support", *mine)
        assert ([one["number"] for one in done["returned"]], done["refused"]) == (mine, [])

    each_commit(proxy, give_back, delivers=delivers)


def test_where_the_database_stays_away_it_is_not_known(stocked: Cli, proxy: PostgresProxy) -> None:
    proxy.cut(1, leaves=True)
    told = stocked.refused("pool", "take", "support", status=3)
    assert "whether it was written is not known" in told
    proxy.away = False

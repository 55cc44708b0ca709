"""Our own side of a benchmark: configuration, orders, and what the table says after."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Select, func, select

from schemas.tables.purchases import PURCHASE
from tests.bench.measuring.harness import ROOT
from tests.waiting import eventually
from workers.database.connections import SqlDatabase

UNLIMITED = "1000000/second"

_PROVIDER = """\
[providers.{alias}]
kind = "signalwire"
base_url = "{url}"
token_env = "STUB_TOKEN"
project_id = "bench-{alias}"

[providers.{alias}.policy]
daily_limit = 0
{policy}
"""


def provider(url: str, alias: str = "stub", rate: str = UNLIMITED, max_in_flight: int = 200, more: str = "") -> str:
    """A section of providers.toml for a stub at *url*; *more* are further lines of its policy."""
    policy = f'rate_limits = ["{rate}"]\nmax_in_flight = {max_in_flight}\n{more}'
    return _PROVIDER.format(alias=alias, url=url, policy=policy)


def dialstock_environ(folder: Path, providers: Iterable[str], redis_url: str, database_url: str) -> dict[str, str]:
    """What our processes need to buy from *providers*; the database is brought up to date."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "providers.toml"
    config.write_text("\n".join(providers), encoding="utf-8")
    environ = {
        "DIALSTOCK_HOME": str(folder),
        "DIALSTOCK_CONFIG": str(config),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "STUB_TOKEN": "bench",
    }
    dialstock(environ, "migrate")
    return environ


def dialstock(environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run our command line; raises CalledProcessError where it fails."""
    everything = {**os.environ, **environ}
    return subprocess.run(command(*arguments), cwd=ROOT, env=everything, check=True, capture_output=True, text=True)


def command(*arguments: str) -> list[str]:
    """Our command line, as it is installed beside this Python."""
    return [str(Path(sys.executable).parent / "dialstock"), *arguments]


def submit(environ: Mapping[str, str], folder: Path, numbers: Iterable[str], alias: str = "stub") -> None:
    """Submit an order and return when it is open."""
    submit_file(environ, order_file(folder, numbers, alias))


def submit_file(environ: Mapping[str, str], path: Path) -> None:
    """The same with a file that is there."""
    dialstock(environ, "order", "submit", str(path))


def order_file(folder: Path, numbers: Iterable[str], alias: str = "stub") -> Path:
    """A CSV of *numbers*."""
    path = folder / f"{alias}.csv"
    lines = ["number,provider", *(f"{number},{alias}" for number in numbers), ""]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def consecutive(count: int) -> list[str]:
    """*count* numbers in a row."""
    return [f"+1415{index:07d}" for index in range(count)]


def bought(database_url: str, alias: str = "stub") -> int:
    """How many purchases the table says were made."""
    query = select(func.count()).where(PURCHASE.c.provider == alias, PURCHASE.c.status == "purchased")
    return int(ask(database_url, query)[0])


def bought_in_all(database_url: str, count: int) -> int:
    """How many purchases of all aliases the table says were made, once they are *count*, or it waited for long."""
    query = select(func.count()).where(PURCHASE.c.status == "purchased")
    eventually(lambda: ask(database_url, query)[0] >= count, what="every purchase is recorded")
    return int(ask(database_url, query)[0])


def ask(database_url: str, query: Select[Any]) -> Any:
    """The first row that *query* finds."""
    database = SqlDatabase(database_url)
    try:
        with database.read() as conn:
            return conn.execute(query).one()
    finally:
        database.close()

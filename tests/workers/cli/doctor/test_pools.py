from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert

from schemas.tables.pools import POOL
from workers.cli.doctor import ledger
from workers.cli.doctor.findings import Finding, fail, ok, warn
from workers.database.connections import SqlDatabase

SINCE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def findings(url: str, **changes: Any) -> list[Finding]:
    database, now = SqlDatabase(url), datetime.now(UTC)
    row = {"name": "support", "status": "ok", "since": SINCE, "next_slot": 1, "next_run_at": now, "updated_at": now}
    row["schedule"] = "1m"
    with database.write() as conn:
        conn.execute(insert(POOL).values({**row, **changes}))
        conn.execute(insert(POOL).values({**row, "name": "not-configured", "status": "blocked"}))
    database.close()
    return [finding for finding in ledger.read(url, ["support"]).findings if finding.name == "pools"]


def test_a_pool_that_is_well(database_url: str) -> None:
    assert findings(database_url) == [ok("pools", "none is low for want of numbers or budget")]


def test_a_pool_that_is_low_is_told_with_its_reason(database_url: str) -> None:
    message = "support is exhausted since 2026-01-02T03:04:05Z: nothing for sale"
    assert findings(database_url, status="exhausted", reason="nothing for sale") == [
        warn("pools", message, "dialstock pool show support")
    ]


def test_a_pool_that_nobody_looks_after(database_url: str) -> None:
    assert findings(database_url, next_run_at=SINCE) == [
        fail(
            "pools",
            "support should have been looked after at 2026-01-02T03:04:05Z",
            "start `dialstock beat`, and a worker",
        )
    ]


def test_without_pools_there_is_nothing_to_tell(database_url: str) -> None:
    assert [finding for finding in ledger.read(database_url).findings if finding.name == "pools"] == []

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from schemas.tables.pools import POOL, POOL_NUMBER
from schemas.tables.purchases import PURCHASE
from tasks.providers.configured import parse_config
from tests.tasks.pools.stocking import slots
from tests.tasks.support import NUMBER, make_world
from tests.workers.cli.commands import execute
from workers.cli.doctor.findings import Finding, fail, ok, warn
from workers.cli.doctor.tables import ledger
from workers.database.connections import SqlDatabase

PROVIDERS = """\
[providers.acme]
kind = "bird"
base_url = "https://b.example"
workspace_id = "w"
organization_id = "o"
token_env = "T"
"""
POOLS = '[pools.support]\nproviders = ["acme"]\nlow = 1\ntarget = 2\ndaily_limit = 0\n'
SINCE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def findings(url: str, **changes: Any) -> list[Finding]:
    database, now = SqlDatabase(url), datetime.now(UTC)
    row = {"name": "support", "status": "ok", "since": SINCE, "next_slot": 1, "next_run_at": now, "updated_at": now}
    row["schedule"] = "1m"
    with database.write() as conn:
        conn.execute(insert(POOL).values({**row, **changes}))
        conn.execute(insert(POOL).values({**row, "name": "not-configured", "status": "blocked"}))
    database.close()
    return [
        finding
        for finding in ledger.read(url, parse_config(PROVIDERS + POOLS, "file")).findings
        if finding.name == "pools"
    ]


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
    config = parse_config(PROVIDERS, "file")
    assert [finding for finding in ledger.read(database_url, config).findings if finding.name == "pools"] == []


@pytest.mark.parametrize("fault", ["\n[pools.p]\nproviders = 7\n", "\n[", "\nx = 1\n", None])
def test_what_cannot_be_read_of_the_file_is_not_said_to_be_gone(
    tmp_path: Path, database_url: str, fault: str | None
) -> None:
    database = SqlDatabase(database_url)
    with database.write() as conn:
        conn.execute(insert(POOL_NUMBER), list(slots(2)))
    database.close()
    assert "not configured any more" in str(ledger.read(database_url, parse_config(PROVIDERS, "file")).findings)
    if fault is not None:
        (tmp_path / "providers.toml").write_text(PROVIDERS + POOLS + fault)
    said = execute("doctor", "--json", home=tmp_path / "home", cwd=tmp_path, DATABASE_URL=database_url).stdout
    checks = json.loads(said)["checks"]
    assert "not configured any more" not in said
    assert [check for check in checks if check["name"] in ("pools", "accounts")] == []
    [left_out] = [check for check in checks if check["name"] == "configuration" and check["level"] == "warn"]
    assert "these are not looked at: pools" in left_out["message"]


def test_a_number_that_was_bought_for_a_pool_and_stands_in_none(database_url: str) -> None:
    database, now = SqlDatabase(database_url), datetime.now(UTC)
    world = make_world(database)
    row = world.accept()
    with database.write() as conn:
        bought = {"status": "purchased", "pool": "support", "due_at": None, "updated_at": now}
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(**bought))
    told = "its purchase was told late, or by an audit"
    message = f"1 number, bought for support, stands in no place of it, as {NUMBER}: {told}"
    mend = f"see that nobody uses it, then `dialstock release {NUMBER}` gives it back"
    assert findings(database_url) == [warn("pools", message, mend)]
    database.close()

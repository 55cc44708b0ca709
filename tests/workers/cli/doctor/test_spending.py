"""What the doctor says of what may be spent a day."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update

from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.providers.configured import parse_config
from tests.tasks.support import make_world, number
from tests.workers.cli.doctor.test_pools import PROVIDERS
from workers.cli.doctor.findings import Finding, ok, warn
from workers.cli.doctor.tables import ledger
from workers.database.connections import SqlDatabase

BOUND = '[providers.acme.policy]\nmax_spend = "9 USD"\ncost_if_unknown = "2 USD"\n'


def findings(url: str, name: str = "max_spend", bound: str = BOUND, **prices: Any) -> list[Finding]:
    """With one that was bought, and one that waits and has *prices*; those of a *name*."""
    database = SqlDatabase(url)
    world = make_world(database)
    world.queued(number(1))
    world.queued(number(2))
    with database.write() as conn:
        bought = {"status": Status.PURCHASED, "call_deadline": datetime.now(UTC), "due_at": None}
        conn.execute(update(PURCHASE).where(PURCHASE.c.number == number(1)).values(**bought))
        conn.execute(update(PURCHASE).where(PURCHASE.c.number == number(2)).values(due_at=datetime.now(UTC), **prices))
    database.close()
    found = ledger.read(url, parse_config(PROVIDERS + bound, "file")).findings
    return [finding for finding in found if finding.name == name]


def test_what_is_used_of_a_daily_limit_is_told(database_url: str) -> None:
    bound = "[providers.acme.policy]\ndaily_limit = 1\n"
    assert findings(database_url, "daily_limit", bound) == [ok("daily_limit", "acme: 1 of 1 in 24 h are bought")]


def test_what_is_left_is_told(database_url: str) -> None:
    assert findings(database_url) == [ok("max_spend", "acme: 7.00 USD of 9.00 USD is left in 24 h")]


@pytest.mark.parametrize(
    "prices",
    [
        {"monthly_price": "9.5", "currency": "USD"},
        {"monthly_price": "9", "setup_price": "1", "currency": "USD"},
        {"monthly_price": "1", "setup_price": "1", "currency": "EUR"},
    ],
)
def test_what_can_never_be_bought_is_told(database_url: str, prices: dict[str, str]) -> None:
    told = "acme: 7.00 USD of 9.00 USD is left in 24 h; 1 that wait cost more than 9.00 USD, or something in another"
    mend = "raise policy.max_spend of acme, or `dialstock purchase cancel` them"
    assert findings(database_url, **prices) == [warn("max_spend", f"{told} currency", mend)]

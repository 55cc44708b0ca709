"""Providers that fail on purpose, two worker processes, and the sandbox's own ledger against our table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from pytest_celery import CeleryTestSetup

from schemas.tables.purchases import PURCHASE
from tasks.providers.registry import kinds
from tests.integration.place import KINDS, Place
from tests.integration.results import Results

# What happens hangs on the seed and the numbers, so it is the same in each run.
SEED = 20260101
WANTED = [f"+1415556{index:04d}" for index in range(100)]
RATES = {
    "throttle": 0.03,
    "refuse": 0.03,
    "error_before": 0.05,
    "error_after": 0.05,
    "cut_before": 0.04,
    "cut_after": 0.04,
    "silence_before": 0.01,
    "silence_after": 0.02,
    "drip": 0.01,
    "html": 0.03,
    "missing_item": 0.03,
    "wrong_number": 0.02,
    "slow": 0.03,
    "late_show": 0.03,
}


@pytest.fixture
def _faults(place: Place) -> Iterator[None]:
    place.control.rates(SEED, RATES)
    yield
    place.control.rates(SEED, {})


@pytest.mark.usefixtures("_faults")
def test_no_number_is_charged_twice_and_none_is_lost(
    place: Place, celery_setup: CeleryTestSetup, results: Results
) -> None:
    requests = [{"number": number, "provider": KINDS[index % len(KINDS)]} for index, number in enumerate(WANTED)]
    celery_setup.app.send_task("dialstock.submit_order", kwargs={"requests": requests}, queue="purchases")
    data = results.wait("dialstock.order.completed")["data"]

    rows = {row["number"]: row for row in place.rows(PURCHASE, order_id=data["order_id"])}
    charged = place.charged(WANTED)
    assert set(rows) == set(WANTED)
    assert [number for number, times in charged.items() if times > 1] == []
    assert [number for number in charged if rows[number]["status"] not in ("purchased", "held")] == []
    assert [number for number in WANTED if rows[number]["status"] == "purchased" and number not in charged] == []
    # Who has no look-up shows nothing of what it sold; every other provider does.
    shown = [n for n in charged if kinds()[rows[n]["provider"]].lists_owned]
    assert [n for n in shown if rows[n]["status"] == "held"] == []
    assert data["counts"] == Counter(row["status"] for row in rows.values())
    told = {event["subject"]: event["data"]["status"] for event in results.all() if event.get("subject") in rows}
    assert told == {number: row["status"] for number, row in rows.items()}
    faults = [call for call in place.control.calls() if call["fault"] and set(call["numbers"]) & set(WANTED)]
    assert len(faults) >= 15

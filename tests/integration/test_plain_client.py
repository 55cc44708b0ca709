"""Another service, in any language: a Celery message by name goes in, a CloudEvent comes out."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from tests.integration.place import KINDS, Place
from tests.integration.results import Results

pytestmark = pytest.mark.usefixtures("celery_setup")

PURCHASED = "dialstock.purchase.purchased"
METADATA = {"ticket": "T-1", "nested": {"list": [1, 2.5, None, True], "text": "Grüße, 東京 ☎"}, "status": "mine"}


def message(number: str, provider: str = "signalwire", **more: Any) -> dict[str, Any]:
    return {"name": "dialstock.buy_number", "kwargs": {"number": number, "provider": provider, **more}}


def told(row: dict[str, Any], kind: str, message_id: str, event: dict[str, Any]) -> dict[str, Any]:
    """The whole event of a purchase; only what no one can know before is taken from *event*."""
    data = {
        "purchase_id": row["id"],
        "order_id": None,
        "idempotency_key": message_id,
        "number": row["number"],
        "provider": kind,
        "status": "purchased",
        "success": True,
        "error": None,
        "error_code": None,
        "already_owned": False,
        "provider_number_id": row["provider_number_id"],
        "attempts": 1,
        "monthly_price": None,
        "setup_price": None,
        "currency": None,
        "metadata": METADATA,
    }
    return {
        "specversion": "1.0",
        "id": event["id"],
        "source": f"/dialstock/providers/{kind}",
        "type": PURCHASED,
        "time": event["time"],
        "datacontenttype": "application/json",
        "subject": row["number"],
        "sequence": f"{row['revision']:010d}",
        "data": data,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_by_name_buys_a_number_and_its_result_comes_on_stream_and_channel(
    place: Place, results: Results, number: str, kind: str
) -> None:
    [message_id] = place.send(message(number, kind, metadata=METADATA))

    event = results.wait(PURCHASED, number)
    assert results.heard(PURCHASED, number) == event
    row = place.purchase(number)
    assert row["number"] == number
    assert event == told(row, kind, message_id, event)
    assert UUID(event["id"])
    assert datetime.fromisoformat(event["time"]).utcoffset() is not None
    assert place.charged([number]) == {number: 1}
    expected = {name: value for name, value in event["data"].items() if name != "purchase_id"}
    assert {name: row[name] for name in expected} == expected
    assert row["account"].startswith(f"{kind}|")
    # On a busy machine a call may miss its turn, and is made in another one.
    [attempt] = [one for one in place.attempts(row["id"]) if one["outcome"] != "not_sent"]
    assert attempt["outcome"] in ("purchased", "processing")
    assert attempt["started_at"] <= attempt["ended_at"] <= attempt["deadline"]


def test_what_the_provider_knows_as_the_numbers_id_comes_back(place: Place, results: Results, number: str) -> None:
    place.send(message(number, "fluents"))
    data = results.wait(PURCHASED, number)["data"]
    [charge] = [charge for charge in place.control.charges("fluents") if charge["number"] == number]
    assert data["provider_number_id"] == charge["provider_number_id"]


def test_a_request_is_told_accepted_before_it_is_told_purchased(place: Place, results: Results, number: str) -> None:
    place.send(message(number, metadata={"a": 1}))
    results.wait(PURCHASED, number)
    accepted, purchased = results.all(subject=number)
    assert [accepted["type"], purchased["type"]] == ["dialstock.request.accepted", PURCHASED]
    assert accepted["data"]["repeat"] is False
    assert accepted["data"]["success"] is None
    assert accepted["sequence"] < purchased["sequence"]
    assert accepted["data"]["purchase_id"] == purchased["data"]["purchase_id"]


def test_a_refused_number_is_told_failed_with_the_providers_words(place: Place, results: Results, number: str) -> None:
    place.control.plan("vogent", "refuse", number, times=50)
    place.send(message(number, "vogent"))
    data = results.wait("dialstock.purchase.failed", number)["data"]
    assert (data["status"], data["success"]) == ("failed", False)
    assert "not available" in data["error"]
    assert place.charged([number]) == {}


def test_a_number_without_its_plus_is_the_same_number(place: Place, results: Results, number: str) -> None:
    place.send(message(number.removeprefix("+")))
    assert results.wait(PURCHASED, number)["data"]["number"] == number

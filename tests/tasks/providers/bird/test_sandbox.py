from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tasks.sandbox import SandboxServer
from tests.tasks.providers.shopper import ACCESS_KEY, NUMBER, OTHER, Shopper
from tests.waiting import eventually

PATH = "/bird/workspaces/w/numbers-long-code"
STOCK = "/bird/organizations/o/numbers-stock-items"
# The `required` lists of the page 'Buy a Number'.
LONG_CODE = {"id", "endpointId", "numberString", "countryCode", "capabilities", "createdAt", "updatedAt", "endpoint"}
ENDPOINT = {"id", "type", "instanceId", "name", "capabilities", "provisioningStatus", "createdAt", "updatedAt"}
ORDER = {"countryCode", "type", "capabilities", "status", "createdAt", "updatedAt"}


def progress(record: Any) -> tuple[str, str]:
    return record["order"]["status"], record["endpoint"]["provisioningStatus"]


def wait_until(shopper: Shopper, record: Any, wanted: tuple[str, str]) -> None:
    eventually(lambda: progress(shopper.get(f"{PATH}/{record['id']}").json()) == wanted, what=str(wanted))


def test_success_has_every_required_field(shopper: Shopper) -> None:
    answer = shopper.buy("bird", NUMBER, OTHER)
    results = answer.json()["results"]
    assert answer.status_code == 201
    assert [record["numberString"] for record in results] == [NUMBER, OTHER]
    for record in results:
        assert record.keys() >= LONG_CODE
        assert record["endpoint"].keys() >= ENDPOINT
        assert record["order"].keys() >= ORDER
        assert record["capabilities"].keys() >= {"voice", "sms", "mms"}
        assert record["id"] == record["endpointId"] == record["endpoint"]["id"]


def test_a_number_is_provisioned_later(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.provisioning(3600)
    (waiting,) = shopper.buy("bird", NUMBER).json()["results"]
    sandbox.control.provisioning(0.01)
    (record,) = shopper.buy("bird", OTHER).json()["results"]
    assert progress(waiting) == ("processing", "provisioning")
    wait_until(shopper, record, ("fulfilled", "provisioned"))
    assert progress(shopper.get(f"{PATH}/{waiting['id']}").json()) == ("processing", "provisioning")


def test_an_order_can_end_in_a_rejection(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.provisioning(0, succeed=False)
    (record,) = shopper.buy("bird", NUMBER).json()["results"]
    wait_until(shopper, record, ("rejected", "deprovisioned"))


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"numberStockItemIds": []},
        {"numberStockItemIds": [str(uuid4()) for _ in range(26)]},
        {"numberStockItemIds": [NUMBER]},
        {"numberStockItemIds": str(uuid4())},
        {"numberStockItemIds": ["550e8400-e29b-41d4-a716-446655440000"] * 2},
        {"numberStockItemIds": [str(uuid4())], "reserved": True},
    ],
)
def test_refuses_every_other_body(sandbox: SandboxServer, shopper: Shopper, body: Any) -> None:
    answer = shopper.client.post(PATH, headers=ACCESS_KEY, json=body)
    assert answer.status_code == 422
    assert answer.json().keys() == {"code", "message", "details"}
    assert len(answer.json()["code"]) >= 5
    assert sandbox.control.charges() == []


def test_an_item_that_no_search_has_shown_is_a_404(sandbox: SandboxServer, shopper: Shopper) -> None:
    items = [shopper.stock_item(NUMBER), str(uuid4())]
    answer = shopper.client.post(PATH, headers=ACCESS_KEY, json={"numberStockItemIds": items})
    assert answer.status_code == 404
    assert answer.json().keys() == {"code", "message"}
    assert sandbox.control.charges() == []


def test_one_refused_item_refuses_the_call(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.plan("bird", "refuse", number=OTHER)
    assert shopper.buy("bird", NUMBER, OTHER).status_code == 422
    assert sandbox.control.charges() == []


@pytest.mark.parametrize("value", ["sandbox", "Bearer sandbox", "AccessKey wrong"])
def test_checks_the_access_key(shopper: Shopper, value: str) -> None:
    answer = shopper.client.post(PATH, headers={"Authorization": value}, json={"numberStockItemIds": []})
    assert answer.status_code == 401
    assert answer.json().keys() == {"code", "message"}


def test_lists_by_leading_digits_in_pages(sandbox: SandboxServer, shopper: Shopper) -> None:
    numbers = [f"+141555501{n:02d}" for n in range(5)]
    sandbox.control.own("bird", [*numbers, "+442071234567"])
    first = shopper.get(PATH, numberString="1415", limit=3).json()
    second = shopper.get(PATH, numberString="+1415", limit=3, pageToken=first["nextPageToken"]).json()
    assert [record["numberString"] for record in first["results"] + second["results"]] == numbers
    assert "nextPageToken" not in second
    assert [r["numberString"] for r in shopper.get(PATH, numberString=numbers[2]).json()["results"]] == [numbers[2]]
    assert shopper.get(PATH, limit=100).status_code == 422


def test_workspaces_do_not_see_each_other(shopper: Shopper) -> None:
    (record,) = shopper.buy("bird", NUMBER).json()["results"]
    assert shopper.get("/bird/workspaces/v/numbers-long-code").json()["results"] == []
    assert shopper.get(f"/bird/workspaces/v/numbers-long-code/{record['id']}").status_code == 404


def test_search_pages_and_names_prices(shopper: Shopper) -> None:
    first = shopper.get(STOCK, countryCodes=["US", "GB"], prefix="+1415", limit=2).json()
    second = shopper.get(STOCK, countryCodes="US", prefix="1415", limit=2, pageToken=first["nextPageToken"]).json()
    items = first["results"] + second["results"]
    assert len({item["id"] for item in items}) == 4
    assert all(item["numberString"].startswith("+1415") for item in items)
    assert items[0]["monthlyPrice"] == {"currencyCode": "USD", "amount": 3_500_000, "exponent": -6}
    assert shopper.get(STOCK, prefix="+1415").status_code == 422
    assert shopper.get(STOCK, countryCodes="XX").status_code == 422


def test_a_stock_item_keeps_its_id_and_can_be_bought_again(sandbox: SandboxServer, shopper: Shopper) -> None:
    before = shopper.stock_item(NUMBER)
    assert shopper.buy("bird", NUMBER).status_code == 201
    assert shopper.stock_item(NUMBER) == before
    assert shopper.buy("bird", NUMBER).status_code == 201
    assert len(sandbox.control.charges("bird")) == 2

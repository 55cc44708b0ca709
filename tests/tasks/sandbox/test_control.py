from __future__ import annotations

from typing import Any

import pytest

from tasks.sandbox import SandboxServer
from tasks.sandbox.control import Control
from tests.tasks.providers.shopper import KINDS, NUMBER, OTHER, Shopper


@pytest.fixture
def control() -> Control:
    return Control(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_purchase_is_charged_again(sandbox: SandboxServer, shopper: Shopper, kind: str) -> None:
    first, second = shopper.buy(kind, NUMBER), shopper.buy(kind, NUMBER)
    assert first.status_code == second.status_code
    assert [charge["number"] for charge in sandbox.control.charges(kind)] == [NUMBER, NUMBER]
    assert sandbox.control.owned(kind) == [NUMBER]


@pytest.mark.parametrize("kind", KINDS[:5])
def test_owned_numbers_are_refused_where_that_is_switched_on(
    sandbox: SandboxServer, shopper: Shopper, kind: str
) -> None:
    sandbox.control.own(kind, [NUMBER])
    sandbox.control.refuse_owned()
    answer = shopper.buy(kind, NUMBER)
    assert "already" in answer.text
    assert sandbox.control.charges() == []
    if kind == "signalwire":
        assert answer.json()["errors"][0]["code"] == "value_not_unique"


@pytest.mark.parametrize("kind", ["timepay", "fluents", "signalwire", "vogent", "twilio", "plivo", "vonage"])
def test_stock_restricts_and_can_be_lifted(sandbox: SandboxServer, shopper: Shopper, kind: str) -> None:
    sandbox.control.stock(kind, [NUMBER])
    shopper.buy(kind, OTHER)
    assert sandbox.control.charges() == []
    sandbox.control.stock(kind, None)
    shopper.buy(kind, OTHER)
    assert len(sandbox.control.charges(kind)) == 1


def test_a_stock_item_out_of_stock_is_a_404(sandbox: SandboxServer, shopper: Shopper) -> None:
    shopper.stock_item(NUMBER)
    sandbox.control.stock("bird", [NUMBER])
    assert shopper.buy("bird", NUMBER).status_code == 201
    items = {"numberStockItemIds": [shopper.stock_item(NUMBER)]}
    sandbox.control.stock("bird", [])
    headers = {"Authorization": "AccessKey sandbox"}
    assert shopper.client.post("/bird/workspaces/w/numbers-long-code", headers=headers, json=items).status_code == 404


def test_calls_tell_when_each_purchase_arrived(sandbox: SandboxServer, shopper: Shopper) -> None:
    shopper.buy("vogent", NUMBER)
    shopper.client.post("/vogent/api/phone_numbers", json={})
    shopper.buy("timepay", NUMBER, OTHER)
    assert [call["status"] for call in sandbox.control.calls("vogent")] == [200, 401]
    calls = sandbox.control.calls()
    assert [call["call"] for call in calls] == [1, 2, 3]
    assert calls[2]["numbers"] == [NUMBER, OTHER]
    assert calls[0]["monotonic"] < calls[1]["monotonic"] < calls[2]["monotonic"]
    assert [charge["call"] for charge in sandbox.control.charges()] == [1, 3, 3]


def test_reset_forgets_everything(sandbox: SandboxServer, shopper: Shopper) -> None:
    control = sandbox.control
    shopper.buy("vogent", NUMBER)
    control.plan("vogent", "throttle")
    control.rates(1, {"throttle": 1.0})
    control.stock("vogent", [])
    control.latency("vogent", 50)
    control.refuse_owned()
    control.reset()
    assert (control.charges(), control.calls(), control.owned("vogent")) == ([], [], [])
    assert shopper.outcome("vogent", NUMBER) == "200"


def test_what_is_handed_out_is_a_copy(sandbox: SandboxServer, shopper: Shopper) -> None:
    shopper.buy("vogent", NUMBER)
    sandbox.control.charges()[0]["number"] = OTHER
    assert sandbox.control.charges()[0]["number"] == NUMBER


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("stock", {"kind": "acme", "numbers": []}),
        ("own", {"kind": "vogent", "numbers": ["12"]}),
        ("plan", {"kind": "acme", "fault": "throttle"}),
        ("plan", {"kind": "vogent", "fault": "throttle", "on": "tuesday"}),
        ("plan", {"kind": "vogent", "fault": "late_show", "on": "read"}),
        ("plan", {"kind": "vogent", "fault": "throttle", "on": "read", "number": NUMBER}),
        ("latency", {"kind": "vogent", "seconds": -1}),
        ("provisioning", {"seconds": float("nan")}),
        ("owned", {"kind": "acme"}),
    ],
)
def test_refuses_what_it_does_not_know(control: Control, method: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        getattr(control, method)(**arguments)


def test_numbers_may_come_without_the_plus(control: Control) -> None:
    control.own("timepay", ["14155550100"])
    assert control.owned("timepay") == [NUMBER]

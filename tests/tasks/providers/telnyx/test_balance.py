"""What can be spent at Telnyx, as `dialstock provider check` tells it."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.config.balances import parse_low_balance
from schemas.outcomes import Check
from tests.scripted import ScriptedServer, reply
from tests.tasks.providers.adapters import adapter

DATA = {
    "record_type": "balance",
    "pending": "10.00",
    "balance": "300.00",
    "credit_limit": "100.00",
    "available_credit": "400.00",
    "currency": "USD",
}
UNREAD = "Telnyx answered HTTP 200, but with no balance as documented"


def told(server: ScriptedServer, answer: bytes, **changes: Any) -> Check:
    listed = {"data": [], "meta": {"page_number": 1, "page_size": 250, "total_pages": 0, "total_results": 0}}
    server.queue(reply(200, listed), reply(200, {"data": []}), answer)
    checks = adapter("telnyx", server.url, **changes).check()
    assert all(check.ok for check in checks[:-1])
    assert server.seen[2].path == "/v2/balance"
    assert checks[-1].name == "balance"
    return checks[-1]


@pytest.mark.parametrize(
    ("low", "ok", "message"),
    [
        (None, True, "is told: 400.00 USD"),
        ("399.99 USD", True, "is told: 400.00 USD"),
        ("400 USD", False, "400.00 USD is low (low_balance is 400 USD): pay in"),
        (
            "400 EUR",
            None,
            "400.00 USD cannot be held against low_balance, 400 EUR: write that in the currency of the balance",
        ),
    ],
)
def test_what_can_be_spent_is_told(server: ScriptedServer, low: str | None, ok: bool | None, message: str) -> None:
    check = told(server, reply(200, {"data": DATA}), low_balance=low and parse_low_balance(low))
    assert (check.ok, check.message) == (ok, message)


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        DATA,
        {"data": [DATA]},
        {"data": {**DATA, "available_credit": None}},
        {"data": {**DATA, "available_credit": 400.0}},
        {"data": {**DATA, "available_credit": "4e2"}},
        {"data": {**DATA, "currency": None}},
        {"data": {**DATA, "currency": ["USD"]}},
    ],
)
def test_what_cannot_be_read_is_not_told_and_not_low(server: ScriptedServer, body: Any) -> None:
    check = told(server, reply(200, body), low_balance=parse_low_balance("500 USD"))
    assert (check.ok, check.message) == (None, f"not told: {UNREAD}")


def test_what_a_cache_kept_is_not_told(server: ScriptedServer) -> None:
    check = told(server, reply(200, {"data": DATA}, {"Age": "60"}), low_balance=parse_low_balance("500 USD"))
    assert check.ok is None
    assert "a cache has kept" in check.message

from __future__ import annotations

from typing import Any

import pytest

from tasks.sandbox import SandboxServer
from tests.tasks.providers.shopper import BEARER, NUMBER, Shopper

PATH = "/vogent/api/phone_numbers"


@pytest.mark.parametrize(
    ("path", "body"),
    [(PATH, {"type": "purchase", "purchase": {"number": NUMBER}}), (f"{PATH}/purchase", {"number": NUMBER})],
)
def test_both_ways_to_buy_answer_alike(sandbox: SandboxServer, shopper: Shopper, path: str, body: Any) -> None:
    answer = shopper.client.post(path, headers=BEARER, json=body)
    assert answer.status_code == 200
    assert answer.json().pop("id")
    assert answer.json() | {"id": ""} == {"id": "", "number": NUMBER, "type": "PSTN", "agentId": None}
    assert len(sandbox.control.charges("vogent")) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (PATH, {"number": NUMBER}),
        (PATH, {"type": "sip_import", "purchase": {"number": NUMBER}}),
        (PATH, {"type": "purchase", "purchase": NUMBER}),
        (PATH, {"type": "purchase", "purchase": {"number": NUMBER, "agentId": "x"}}),
        (f"{PATH}/purchase", {"number": NUMBER[1:]}),
        (f"{PATH}/purchase", {"type": "purchase", "purchase": {"number": NUMBER}}),
    ],
)
def test_refuses_every_other_body(sandbox: SandboxServer, shopper: Shopper, path: str, body: Any) -> None:
    assert shopper.client.post(path, headers=BEARER, json=body).status_code == 422
    assert sandbox.control.charges() == []


def test_a_body_that_is_no_json_is_a_400(shopper: Shopper) -> None:
    headers = {**BEARER, "Content-Type": "application/json"}
    assert shopper.client.post(PATH, headers=headers, content=b"{").status_code == 400


def test_checks_the_token(shopper: Shopper) -> None:
    assert shopper.client.post(f"{PATH}/purchase", json={"number": NUMBER}).status_code == 401


def test_lists_by_cursor_and_gets_by_id(sandbox: SandboxServer, shopper: Shopper) -> None:
    numbers = [f"+141555501{n:02d}" for n in range(5)]
    sandbox.control.own("vogent", numbers)
    seen, cursor = [], ""
    while cursor is not None:
        page = shopper.get(PATH, limit=2, **({"cursor": cursor} if cursor else {})).json()
        seen += page["data"]
        cursor = page["cursor"]
    assert [item["number"] for item in seen] == numbers
    assert shopper.get(f"{PATH}/{seen[3]['id']}").json() == seen[3]
    assert shopper.get(f"{PATH}/nothing").status_code == 404


def test_search_offers_ten_at_most(shopper: Shopper) -> None:
    def search(**body: Any) -> Any:
        return shopper.client.post(f"{PATH}/search", headers=BEARER, json=body)

    assert len(search(prefix="415").json()) == 5
    assert all(item["number"].startswith("+44207") for item in search(prefix="207", country="GB", limit=10).json())
    for wrong in (
        {},
        {"prefix": "415", "limit": 11},
        {"prefix": "415", "limit": True},
        {"prefix": "+1415"},
        {"prefix": "415", "max": 3},
    ):
        assert search(**wrong).status_code == 422

"""Search and want: what a provider shows, picked from, checked and bought once."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

import httpx
import pytest

from tasks.sandbox import SandboxServer
from tests.waiting import at_once
from tests.workers.cli.conftest import sandbox
from tests.workers.cli.running import Cli, counted, purchases
from tests.workers.pages.serving import Visitor
from workers.pages import search as searching
from workers.views.desk import Desk

__all__ = ["sandbox"]


@pytest.fixture
def shopper(both: Cli, sandbox: SandboxServer, visitor: Visitor) -> Visitor:
    """Ann, where all providers answer."""
    return visitor


@pytest.fixture
def window(cli: Cli, sandbox: SandboxServer, light: Visitor) -> Visitor:
    """The same on SQLite alone."""
    return light


def pick(visitor: Visitor, provider: str, numbers: list[dict[str, Any]]) -> httpx.Response:
    return visitor.submit("/search/picked", "/new", provider=provider, pick=[json.dumps(one) for one in numbers])


def test_what_is_picked_is_checked_and_bought_once(shopper: Visitor, desk: Desk) -> None:
    found = shopper.data("/search?provider=telnyx&prefix=415&limit=4")["found"]
    numbers = found["numbers"]
    assert len(numbers) == 4
    assert all(one["number"].startswith("+1415") for one in numbers)
    assert numbers[0]["monthly_price"] == "1.00"
    assert found["more"] is None

    checked = pick(shopper, "telnyx", numbers[:2])
    assert "2 good rows, 0 bad ones. Nothing is bought yet." in checked.text
    assert "2.00 USD a month, 2.00 USD setup" in checked.text
    assert counted(desk) == (0, 0, 0)
    token = re.search(r"/dialstock/new/file/([^\"]+)", checked.text)
    assert token is not None
    answers = at_once(*[lambda: shopper.submit(f"/new/file/{token[1]}", "/new")] * 2)
    told = sorted(answer.status_code for answer in answers if isinstance(answer, httpx.Response))
    assert told == [303, 409]
    assert set(purchases(desk)) == {one["number"] for one in numbers[:2]}

    again = shopper.data("/search?provider=telnyx&prefix=415&limit=4")["found"]["numbers"]
    assert [one["status"] for one in again] == ["queued", "queued", None, None]


def test_a_stock_item_is_bought_as_the_search_told_it(window: Visitor, desk: Desk) -> None:
    [number] = window.data("/search?provider=bird&prefix=415&limit=1")["found"]["numbers"]
    token = re.search(r"/dialstock/new/file/([^\"]+)", pick(window, "bird", [number]).text)
    assert token is not None
    assert window.submit(f"/new/file/{token[1]}", "/new").status_code == 303
    [bought] = purchases(desk).values()
    assert bought["options"] == {"stock_item_id": number["stock_item_id"]}


def test_what_is_too_dear_is_not_shown(window: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.pages.search.SECONDS", 3.0)
    found = window.data("/search?provider=telnyx&prefix=415&limit=3&max_price=0.50 USD")["found"]
    assert found["numbers"] == []
    assert "cost more than 0.50 USD" in found["more"]
    assert len(window.data("/search?provider=telnyx&prefix=415&limit=3&max_price=1.00 USD")["found"]["numbers"]) == 3


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("provider=nobody", "provider 'nobody' is not configured"),
        ("provider=timepay", "timepay cannot be searched here"),
        ("provider=telnyx&country=XX", "country"),
        ("provider=telnyx&prefix=41x", "prefix"),
        ("provider=telnyx&limit=0", "from 1 to 500"),
        ("provider=telnyx&limit=501", "from 1 to 500"),
        ("provider=telnyx&max_price=1.50", "max_price"),
        ("provider=telnyx&type=pink", "type"),
        ("provider=telnyx&feature=fax", "features"),
    ],
)
def test_a_search_that_cannot_be_asks_nobody(window: Visitor, sandbox: SandboxServer, query: str, words: str) -> None:
    answer = window.get(f"/dialstock/search?{query}", headers={"Accept": "application/json"})
    assert answer.status_code in (400, 404)
    assert words in answer.json()["error"]


def test_what_a_provider_cannot_be_asked_for_is_said(window: Visitor) -> None:
    answer = window.get(
        "/dialstock/search?provider=vogent&prefix=415&contains=77", headers={"Accept": "application/json"}
    )
    assert (answer.status_code, "vogent cannot be asked for contains" in answer.text) == (400, True)


def test_a_provider_that_refuses_is_quoted(window: Visitor, sandbox: SandboxServer) -> None:
    sandbox.control.plan("vogent", "account", on="read")
    page = window.page("/search?provider=vogent&prefix=415", status=502)
    assert "vogent: Vogent refused the account" in page


def test_without_a_secret_it_says_where_it_is_missing(
    window: Visitor, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SANDBOX_TOKEN")
    page = window.page("/search")
    assert "Nobody can be searched from here" in page
    assert "environment variable SANDBOX_TOKEN is not set" in page
    assert "Flower has not its secret" in window.page("/search?provider=telnyx&prefix=415", status=400)


def test_another_site_s_link_and_a_reader_search_nothing(window: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    address = "/dialstock/search?provider=telnyx&prefix=415"
    linked = window.get(address, headers={"Accept": "application/json", "Sec-Fetch-Site": "cross-site"})
    assert linked.json()["found"] is None
    monkeypatch.setenv("DIALSTOCK_OPERATORS", "bob")
    assert window.data("/search?provider=telnyx&prefix=415")["found"] is None
    page = window.page("/search")
    assert "You may look, and search nothing." in page
    token = window.cookies.get("_xsrf")
    assert window.post("/dialstock/search/picked", data={"_xsrf": token, "provider": "telnyx"}).status_code == 403


def test_a_search_that_takes_its_time_holds_up_no_page(
    window: Visitor, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = threading.Semaphore(0), threading.Event()
    real = searching.search

    def slow(*args: Any, **how: Any) -> Any:
        asked.release()
        assert go_on.wait(60)
        return real(*args, **how)

    monkeypatch.setattr(searching, "search", slow)
    address = "/search?provider=telnyx&prefix=415&limit=1"

    def look() -> Any:
        with Visitor(str(window.base_url)) as other:
            return other.data(address)

    def meanwhile() -> Any:
        assert asked.acquire(timeout=60)
        assert asked.acquire(timeout=60)
        try:
            assert window.data("/orders") == {"orders": [], "next": None}
            return window.data(address, status=503)["error"]
        finally:
            go_on.set()

    one, two, third = at_once(look, look, meanwhile)
    assert "2 searches are under way" in third
    assert [len(each["found"]["numbers"]) for each in (one, two)] == [1, 1]


@pytest.mark.parametrize("pick", [[], ["no json"], ["[]"], ['{"number": 5}']])
def test_picks_that_no_search_showed(window: Visitor, desk: Desk, pick: list[str]) -> None:
    answer = window.submit("/search/picked", "/new", provider="telnyx", pick=pick)
    assert answer.status_code == 400
    assert counted(desk) == (0, 0, 0)


def test_a_picked_number_that_is_none_is_a_bad_row(window: Visitor, desk: Desk) -> None:
    found = pick(window, "telnyx", [{"number": "12"}])
    assert "0 good rows, 1 bad ones" in found.text
    assert counted(desk) == (0, 0, 0)


def test_want_so_many_like_these_fills_the_form(window: Visitor) -> None:
    found = window.data("/search?provider=telnyx&prefix=415&limit=1&feature=sms&feature=voice")
    assert found["want"] == "/dialstock/new?provider=telnyx&prefix=415&feature=sms&feature=voice"
    page = window.page(found["want"].removeprefix("/dialstock"))
    assert 'value="415"' in page
    assert re.search(r'value="telnyx" id="from-telnyx" checked', page)
    assert re.search(r'value="sms" id="feature-sms" checked', page)

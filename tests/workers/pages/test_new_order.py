"""Orders from the pages: by criteria, and of a file that was checked first. Each form makes one order."""

from __future__ import annotations

import http.client
import json
import re
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.status import Status
from tests.tasks.orderfile.workbooks import xlsx
from tests.waiting import at_once, eventually
from tests.workers.cli.running import NUMBERS, Cli, counted, csv_file, purchases, settle
from tests.workers.pages.serving import PASSWORDS, Visitor
from tests.workers.pages.test_pages import POOL
from workers.pages import files
from workers.pages.frame import uploads
from workers.views.desk import Desk


def filled_in(visitor: Visitor) -> dict[str, str]:
    """The form of a wish as its page gives it out."""
    key = re.search(r'name="key" value="([^"]+)"', visitor.page("/new"))
    assert key is not None
    return {"key": key[1], "count": "5", "country": "US", "prefix": "415, 212:2"}


def check(visitor: Visitor, file: Path, accept: str = "application/json", **fields: str) -> httpx.Response:
    token = re.search(r'name="_xsrf" value="([^"]+)"', visitor.page("/new"))
    assert token is not None
    return visitor.post(
        "/dialstock/new/file",
        data={"_xsrf": token[1], **fields},
        files={"file": (file.name, file.read_bytes())},
        headers={"Accept": accept},
    )


def test_a_wish_is_one_order_however_often_it_is_sent(visitor: Visitor, desk: Desk) -> None:
    form = {**filled_in(visitor), "max_price": "1.50 USD", "provider": ["telnyx", "plivo"], "name": "for spring"}
    form["max_spend"] = "9 USD"
    answers = at_once(*[lambda: visitor.submit("/new/want", "/new", **form)] * 2)
    places = {answer.headers["location"] for answer in answers if isinstance(answer, httpx.Response)}
    assert len(places) == 1
    [order] = visitor.data("/orders")["orders"]
    assert places == {f"/dialstock/orders/{order['id']}"}
    found = visitor.data(f"/orders/{order['id']}")
    assert [(wish["count"], wish["missing"], wish["criteria"]["prefix"]) for wish in found["wishes"]] == [
        (5, 5, "415"),
        (2, 2, "212"),
    ]
    assert (found["order"]["max_purchases"], found["order"]["max_spend"]) == (7, "9.00 USD")
    assert "for spring" in visitor.page(f"/orders/{order['id']}")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"count": "0"}, "count: must be 1 or more"),
        ({"count": "-5"}, "count '-5' is no number of numbers"),
        ({"count": "999999999"}, "count"),
        ({"country": "XX"}, "country"),
        ({"prefix": "41x"}, "prefix"),
        ({"max_price": "1.50"}, "max_price"),
        ({"provider": "nobody"}, "nobody"),
        ({"provider": "timepay"}, "timepay"),
        ({"key": ""}, "the form's key is missing"),
    ],
)
def test_a_wish_that_cannot_be_begins_nothing(light: Visitor, desk: Desk, changed: dict[str, Any], words: str) -> None:
    answer = light.submit("/new/want", "/new", **{**filled_in(light), **changed})
    assert answer.status_code == 400
    assert words in answer.text.replace("&#x27;", "'")
    assert counted(desk) == (0, 0, 0)


def test_a_file_is_checked_and_then_bought_once(visitor: Visitor, both: Cli, desk: Desk, home: Path) -> None:
    file = csv_file(home, [f"{number},timepay" for number in NUMBERS[:3]])
    found = check(visitor, file).json()
    assert (found["rows"], found["bad_rows"]) == (3, 0)
    assert [(one["provider"], one["to_buy"]) for one in found["plan"]] == [("timepay", 3)]
    assert counted(desk) == (0, 0, 0)
    path = f"/new/file/{found['token']}"
    answers = at_once(*[lambda: visitor.submit(path, "/new")] * 2)
    told = sorted(answer.status_code for answer in answers if isinstance(answer, httpx.Response))
    assert told == [303, 409]
    assert counted(desk) == (1, 3, 3)
    assert [(one["provider"], one["in_work"]) for one in check(visitor, file).json()["plan"]] == [("timepay", 3)]


def test_what_was_given_back_is_told_before_it_is_bought_again(
    light: Visitor, cli: Cli, desk: Desk, home: Path
) -> None:
    file = csv_file(home, [f"{number},timepay" for number in NUMBERS[:2]])
    assert "given back" not in check(light, file, "text/html").text
    cli.submit(file)
    for status in (Status.PURCHASED, Status.RELEASED):
        settle(desk, NUMBERS[0], status)
    assert "1 of these would be bought again: given back before." in check(light, file, "text/html").text


def test_bad_rows_and_numbers_that_stand_twice_need_a_tick(light: Visitor, desk: Desk, home: Path) -> None:
    rows = [f"{NUMBERS[0]},timepay", f"{NUMBERS[0]},bird", "12,bird"]
    found = check(light, csv_file(home, rows)).json()
    assert (found["rows"], found["bad_rows"], found["twice"]) == (2, 1, 1)
    assert found["problems"][0]["line"] == 4
    path = f"/new/file/{found['token']}"
    assert "rows of the file are bad" in light.submit(path, "/new").text
    assert "under two providers" in light.submit(path, "/new", skip_invalid="yes").text
    assert counted(desk) == (0, 0, 0)
    assert light.submit(path, "/new", skip_invalid="yes", allow_duplicates="yes").status_code == 303
    assert counted(desk) == (1, 2, 2)


def test_rows_that_count_numbers_become_wishes(light: Visitor, home: Path) -> None:
    file = csv_file(home, ["5,US,415,telnyx", "7,US,212,plivo"], header="count,country,prefix,provider")
    found = check(light, file).json()
    assert [wish["count"] for wish in found["wishes"]] == [5, 7]
    assert light.submit(f"/new/file/{found['token']}", "/new").status_code == 303
    [order] = light.data("/orders")["orders"]
    assert order["max_purchases"] == 12


def test_a_file_that_was_checked_by_another_configuration_is_checked_again(
    light: Visitor, desk: Desk, home: Path
) -> None:
    found = check(light, csv_file(home, [f"{NUMBERS[0]},timepay"])).json()
    with (home / "providers.toml").open("a") as toml:
        toml.write(POOL)
    eventually(lambda: light.data("/pools")["pools"])
    answer = light.submit(f"/new/file/{found['token']}", "/new")
    assert (answer.status_code, "has changed since" in answer.text) == (409, True)
    assert counted(desk) == (0, 0, 0)


def test_files_that_cannot_be_read(light: Visitor, desk: Desk, home: Path) -> None:
    empty, broken = home / "empty.csv", home / "broken.xlsx"
    empty.write_bytes(b"")
    broken.write_bytes(b"PK\x03\x04 no spreadsheet")
    for file in (empty, broken):
        answer = check(light, file)
        assert answer.status_code == 400, answer.text
        assert file.name in answer.json()["error"]
    no_file = light.submit("/new/file", "/new")
    assert (no_file.status_code, "no file was chosen" in no_file.text) == (400, True)
    assert counted(desk) == (0, 0, 0)


def test_sheets_that_are_not_read_are_named(light: Visitor, home: Path) -> None:
    rows = [["number", "provider"], [NUMBERS[0], "timepay"]]
    (home / "two.xlsx").write_bytes(xlsx({"A": rows, "<B>": rows}))
    assert check(light, home / "two.xlsx").json()["sheets"] == {"read": "A", "others": ["<B>"]}
    assert "was read, and not &lt;B&gt;:" in check(light, home / "two.xlsx", "text/html").text


def begin(visitor: Visitor, path: str, who: str | None = "ann", **headers: str) -> tuple[int, str]:
    """The status and the text where the headers of a form were sent, and nothing of it."""
    address = visitor.base_url
    with closing(http.client.HTTPConnection(address.host, address.port, timeout=60)) as connection:
        connection.putrequest("POST", f"/dialstock{path}")
        if who:
            word = b64encode(f"{who}:{PASSWORDS[who]}".encode()).decode()
            connection.putheader("Authorization", f"Basic {word}")
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        with connection.getresponse() as answer:
            return answer.status, answer.read().decode()


def test_a_file_of_a_gigabyte_is_refused_before_it_is_read(light: Visitor) -> None:
    status, text = begin(light, "/new/file", Content_Length=str(2**30), Accept="application/json")
    assert (status, "the file is longer than 64 MB" in json.loads(text)["error"]) == (413, True)
    assert begin(light, "/new/want", Content_Length=str(2**30))[0] == 400


def test_who_may_not_send_a_file_is_told_before_it_is_read(light: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    assert begin(light, "/new/file", who=None, Content_Length=str(2**30))[0] == 401
    monkeypatch.setenv("DIALSTOCK_OPERATORS", "bob")
    status, text = begin(light, "/new/file", Content_Length=str(2**30), Accept="application/json")
    assert (status, "may look and change nothing" in json.loads(text)["error"]) == (403, True)


def test_a_file_that_does_not_say_how_long_it_is(light: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 2**20)
    boundary = {"Content-Type": "multipart/form-data; boundary=x", "Accept": "application/json"}
    answer = light.post("/dialstock/new/file", content=iter([b"1" * 2**19] * 5), headers=boundary)
    assert (answer.status_code, "longer than 1 MB" in answer.text) == (413, True)


def test_a_file_without_the_form_s_token_or_with_a_broken_form_is_refused(
    light: Visitor, desk: Desk, home: Path
) -> None:
    file = csv_file(home, [f"{NUMBERS[0]},timepay"])
    for data in ({}, {"_xsrf": "another"}):
        answer = light.post("/dialstock/new/file", data=data, files={"file": (file.name, file.read_bytes())})
        assert (answer.status_code, "the form's token (_xsrf)" in answer.text.replace("&#x27;", "'")) == (403, True)
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    assert light.post("/dialstock/new/file", content=b"no form", headers=broken).status_code in (400, 403)
    assert counted(desk) == (0, 0, 0)


def test_only_so_many_files_wait(light: Visitor, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "KEPT", 2)
    files = [check(light, csv_file(home, [f"{number},timepay"])).json()["token"] for number in NUMBERS[:3]]
    assert [light.submit(f"/new/file/{token}", "/new").status_code for token in files] == [409, 303, 303]


def test_who_only_reads_orders_nothing(light: Visitor, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    form = filled_in(light)
    monkeypatch.setenv("DIALSTOCK_OPERATORS", "bob")
    assert "Find and buy" not in light.page("/new")
    assert "New order" not in light.page("/orders")
    answer = light.post("/dialstock/new/want", data={"_xsrf": light.cookies["_xsrf"], **form})
    assert answer.status_code == 403
    assert purchases(desk) == {}

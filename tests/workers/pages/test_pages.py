"""What the pages show, to people and to programs, and page by page."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, insert, update

from schemas.status import Status
from schemas.tables.purchases import ATTEMPT, ORDER, PROVIDER, PURCHASE, RESOLUTION
from tasks.ledger.calls import intents
from tasks.orders import begin
from tests.waiting import eventually
from tests.workers.cli.running import NUMBERS, Cli, csv_file, settle, simple_file
from tests.workers.pages.serving import Visitor
from workers.pages.frame.listing import SIZE
from workers.views.desk import Desk

MANY = SIZE + 10

POOL = """
[pools.new-york]
providers = ["signalwire"]
prefix = "212"
low = 2
target = 5
daily_limit = 9
schedule = "1h"
"""


def test_an_order_and_how_far_it_is(visitor: Visitor, both: Cli, desk: Desk, home: Path) -> None:
    order = both.submit(simple_file(home, 5))
    settle(desk, NUMBERS[0], Status.PURCHASED, success=True)
    settle(desk, NUMBERS[1], Status.FAILED, success=False, error="the number is taken", error_code="taken")
    settle(desk, NUMBERS[2], Status.HELD, doubt=True)

    [listed] = visitor.data("/orders")["orders"]
    assert (listed["id"], listed["name"]) == (order, "numbers.csv")
    assert listed["counts"] == {"bought": 1, "failed": 1, "held": 1, "cancelled": 0, "released": 0, "waiting": 2}

    found = visitor.data(f"/orders/{order}")
    assert {name: found[name] for name in ("lines", "bought", "failed", "held", "waiting")} == {
        "lines": 5,
        "bought": 1,
        "failed": 1,
        "held": 1,
        "waiting": 2,
    }
    assert [row["status"] for row in found["results"]] == ["purchased", "failed", "held", "queued", "queued"]
    assert [row["number"] for row in visitor.data(f"/orders/{order}?status=failed")["results"]] == [NUMBERS[1]]

    assert f"/dialstock/orders/{order}" in visitor.page("/orders")
    page = visitor.page(f"/orders/{order[-8:]}")
    assert "the number is taken" in page
    assert 'data-live="2"' in page

    assert not any("Released" in one for one in (visitor.page("/orders"), page))


def test_what_was_given_back_is_told_as_that(visitor: Visitor, both: Cli, desk: Desk, home: Path) -> None:
    order = both.submit(simple_file(home, 1))
    for status in (Status.PURCHASED, Status.RELEASED):
        settle(desk, NUMBERS[0], status)
    counts = visitor.data("/orders")["orders"][0]["counts"]
    assert (counts["bought"], counts["cancelled"], counts["released"]) == (0, 0, 1)
    assert all("Released" in visitor.page(where) for where in ("/orders", f"/orders/{order}"))


def test_results_as_a_file(visitor: Visitor, both: Cli, home: Path) -> None:
    order = both.submit(simple_file(home, 3))
    answer = visitor.get(f"/dialstock/orders/{order}/export?format=csv")
    assert answer.headers["content-disposition"] == f'attachment; filename="order-{order[-8:]}.csv"'
    assert [row["number"] for row in csv.DictReader(io.StringIO(answer.text))] == NUMBERS[:3]
    assert visitor.get(f"/dialstock/orders/{order}/export?format=xlsx").content.startswith(b"PK")
    assert "csv, xlsx" in visitor.data(f"/orders/{order}/export?format=pdf", status=400)["error"]


def _pages(visitor: Visitor, path: str, key: str, query: str) -> list[list[dict[str, Any]]]:
    pages, more = [], ""
    while True:
        found = visitor.data(f"{path}{more}")
        pages.append(found[key])
        if found["next"] is None:
            return pages
        more = f"?{query}={found['next']}"


def test_lists_page_by_page(visitor: Visitor, both: Cli, desk: Desk, home: Path) -> None:
    order = both.submit(simple_file(home, MANY))
    first, second = _pages(visitor, f"/orders/{order}", "results", "after")
    assert [row["number"] for row in first + second] == NUMBERS[:MANY]
    assert len(first) == SIZE

    assert [len(page) for page in _pages(visitor, "/purchases", "purchases", "before")] == [SIZE, 10]

    for number in NUMBERS[:MANY]:
        settle(desk, number, Status.HELD, doubt=True)
    first, second = _pages(visitor, "/held", "held", "before")
    assert {row["number"] for row in first + second} == set(NUMBERS[:MANY])


def test_many_orders_are_each_shown_once(visitor: Visitor, desk: Desk) -> None:
    made = {begin(desk.runtime, name=f"order {n}")["id"] for n in range(SIZE + 3)}
    shown = [order["id"] for page in _pages(visitor, "/orders", "orders", "before") for order in page]
    assert (len(shown), set(shown)) == (SIZE + 3, made)


def test_only_so_many_lines_are_counted_for_a_list(
    visitor: Visitor, both: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.pages.orders.COUNTED_IN_ALL", 4)
    for first, end in ((0, 1), (1, 3), (3, 6)):
        both.submit(csv_file(home, [f"{number},vogent" for number in NUMBERS[first:end]]))
    orders = visitor.data("/orders")["orders"]
    assert [order["counts"] and order["counts"]["waiting"] for order in orders] == [3, None, 1]


def test_what_a_page_asks_the_database_does_not_grow_with_its_rows(
    visitor: Visitor, both: Cli, desk: Desk, home: Path
) -> None:
    both.submit(simple_file(home, 4))
    visitor.data("/held")
    asked = []
    for number in NUMBERS[:4]:
        settle(desk, number, Status.HELD, doubt=True)
        asked.append(_statements(visitor, "/held"))
    assert asked[0] > 0
    assert asked == asked[:1] * 4


def test_an_order_that_ten_people_see_in_the_list_is_counted_once(
    visitor: Visitor, both: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.pages.orders.FRESH", 600.0)
    both.submit(simple_file(home, 2))
    visitor.data("/orders")
    assert _statements(visitor, "/orders", "GROUP BY") == 0


def _statements(visitor: Visitor, path: str, words: str = "") -> int:
    """How many statements with *words* a page takes."""
    found: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if words in statement:
            found.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        visitor.data(path)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return len(found)


def test_a_purchase_with_its_whole_trail(visitor: Visitor, both: Cli, desk: Desk, home: Path) -> None:
    both.submit(simple_file(home, 1))
    held = settle(desk, NUMBERS[0], Status.HELD, doubt=True, error="HTTP 500")
    both.ok("purchase", "resolve", held["id"], "--fail", "--note", "not there", "--by", "carol")
    for named in (held["id"], held["id"][-8:], "+14155550000"):
        found = visitor.data(f"/purchases/{named}")
        assert (found["purchase"]["id"], found["purchase"]["status"]) == (held["id"], "failed")
    assert [(one["what"], one["words"]) for one in found["trail"] if one["what"] == "settled"] == [
        ("settled", "fail by carol: not there")
    ]
    assert datetime.fromisoformat(found["trail"][0]["at"]).tzinfo == UTC
    assert "fail by carol: not there" in visitor.page(f"/purchases/{held['id']}")


def test_a_purchase_tells_what_its_call_is_called_at_the_provider(
    visitor: Visitor, both: Cli, desk: Desk, home: Path
) -> None:
    both.submit(csv_file(home, [f"{NUMBERS[0]},telnyx"]))
    row = settle(desk, NUMBERS[0], Status.DISPATCHED)
    name = intents.new_reference(row["id"])
    with desk.runtime.database.write() as conn:
        wanted = intents.Wanted(row["id"], row["revision"], row["account"], name)
        intents.claim(conn, [wanted], desk.runtime.now(), 30)
    assert name in visitor.page(f"/purchases/{row['id']}")


def test_purchases_of_a_status_a_provider_and_a_number(visitor: Visitor, both: Cli, desk: Desk, home: Path) -> None:
    both.submit(csv_file(home, [f"{NUMBERS[0]},timepay", f"{NUMBERS[1]},bird", f"{NUMBERS[2]},bird"]))
    settle(desk, NUMBERS[1], Status.HELD)
    for query, numbers in {
        "?status=held": [NUMBERS[1]],
        "?provider=bird": [NUMBERS[2], NUMBERS[1]],
        "?provider=bird&status=queued": [NUMBERS[2]],
        "?number=%2B1 415-555-0000": [NUMBERS[0]],
    }.items():
        assert [row["number"] for row in visitor.data(f"/purchases{query}")["purchases"]] == numbers


def test_providers_and_what_is_under_way(visitor: Visitor, both: Cli, desk: Desk, home: Path) -> None:
    both.submit(simple_file(home, 2))
    settle(desk, NUMBERS[0], Status.HELD)
    both.ok("provider", "pause", "vogent", "--reason", "an outage")
    found = {row["provider"]: row for row in visitor.data("/providers")["providers"]}
    assert (found["timepay"]["queued"], found["timepay"]["held"], found["timepay"]["paused_at"]) == (1, 1, None)
    assert found["vogent"]["pause_reason"] == "an outage"
    page = visitor.page("/providers")
    assert "an outage" in page
    assert "/dialstock/held?provider=timepay" in page


def test_pools(visitor: Visitor, home: Path) -> None:
    with (home / "providers.toml").open("a") as file:
        file.write(POOL)
    # The pages go on with the file as it changes.
    [pool] = eventually(lambda: visitor.data("/pools")["pools"])
    assert (pool["pool"], pool["target"], pool["available"]) == ("new-york", 5, 0)
    assert visitor.data("/pools/new-york")["configuration"]["prefix"] == "212"
    assert "new-york" in visitor.page("/pools")
    assert "Configuration" in visitor.page("/pools/new-york")


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/orders/0190a0a0-0000-7000-8000-000000000001", 404, "there is no order"),
        ("/orders/what", 400, "is no id of an order"),
        ("/orders?before=what", 400, "before='what' is no id"),
        ("/purchases?before=0190a0a0-0000-7000-8000-000000000001", 200, ""),
        ("/purchases?status=bought", 400, "it is one of queued"),
        ("/purchases?number=12", 400, "number"),
        ("/purchases/+14155559999", 404, "there is no purchase of +14155559999"),
        ("/pools/what", 404, "is not configured"),
        ("/held?number=12", 400, "number"),
        ("/orders?before=%ff", 400, "Invalid unicode"),
        ("/orders/%ff", 400, "Invalid unicode"),
        ("/nothing", 404, "there is no page at this address"),
        ("/pools/a/b", 404, "there is no page at this address"),
        ("/providers/bird/delete", 404, "there is no page at this address"),
    ],
)
def test_what_cannot_be_shown_is_told_in_words(light: Visitor, path: str, status: int, words: str) -> None:
    assert words in light.page(path, status=status)
    assert light.get(f"/dialstock{path}", auth=None).status_code in (400, 401)
    if words:
        assert words in light.data(path, status=status)["error"]


def test_a_query_that_is_no_text_is_refused_where_nothing_reads_it(light: Visitor) -> None:
    assert "Invalid unicode" in light.page("/orders?other=%ff", status=400)


def test_an_error_that_nobody_foresaw_is_told_as_that(light: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.pages.pools.pool_rows", lambda _: {}["a bug"])
    assert "nobody foresaw" in light.data("/pools", status=500)["error"]
    assert "a bug" not in light.data("/pools", status=500)["error"]
    assert light.get("/dialstock/pools").status_code == 500


def test_a_line_beyond_the_end_is_an_empty_page(light: Visitor, cli: Cli, home: Path) -> None:
    order = cli.submit(simple_file(home, 2))
    assert light.data(f"/orders/{order}?after=999999999")["results"] == []
    assert "is no line" in light.data(f"/orders/{order}?after=9999999999", status=400)["error"]
    assert "is no line" in light.data(f"/orders/{order}?after=-1", status=400)["error"]


def test_what_others_wrote_is_data(light: Visitor, cli: Cli, desk: Desk, home: Path) -> None:
    odd = "<script>alert(1)</script>\u202e\u2066\x1b[31m\x07\"'&"
    order = cli.submit(csv_file(home, [f"{NUMBERS[0]},timepay"], name="<b>&.csv"))
    purchase = settle(desk, NUMBERS[0], Status.HELD)["id"]
    cli.ok("provider", "pause", "timepay", "--reason", "an outage")
    written = {
        PURCHASE: dict.fromkeys(("error", "error_code", "provider_number_id"), odd) | {"metadata": {odd: odd}},
        ORDER: {"name": odd, "metadata": {odd: [odd]}},
        PROVIDER: {"reason": odd},
    }
    call = {"purchase_id": purchase, "revision": 1, "outcome": odd[:12], "detail": odd, "error_code": odd}
    now = dict.fromkeys(("started_at", "ended_at", "deadline"), desk.runtime.now())
    settled = {"purchase_id": purchase, "revision": 1, "decision": "fail", "by": odd, "note": odd}
    with desk.runtime.database.write() as conn:
        for table, values in written.items():
            conn.execute(update(table).values(**values))
        conn.execute(insert(ATTEMPT).values(**call, **now))
        conn.execute(insert(RESOLUTION).values(**settled, at=desk.runtime.now()))
    shown = {
        page: light.get(f"/dialstock{page}", headers={"Accept": "text/html"}).text
        for page in ("/orders", f"/orders/{order}", "/held", "/purchases", f"/purchases/{purchase}", "/providers")
    }
    for page, text in shown.items():
        assert "&lt;script&gt;alert(1)" in text, page
        for raw in ("<script>alert", "<b>&", "\u202e", "\u2066", "\x1b", "\x07"):
            assert raw not in text, (page, raw)


def test_links_stand_first_in_flower_s_bar_and_its_own_pages_go_on(light: Visitor) -> None:
    for path in ("/", "/workers", "/tasks", "/healthcheck", "/metrics"):
        assert light.get(path, follow_redirects=True).status_code == 200
    bar = light.get("/tasks").text
    assert 0 < bar.index("/dialstock/orders") < bar.index('href="/workers"')


def test_no_page_is_kept_by_a_browser_or_framed(light: Visitor) -> None:
    headers = light.get("/dialstock/held").headers
    assert headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]

"""`purchase cancel`: what waits ends at once, what is called ends later, what is bought stays."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select, update

from schemas.status import Status
from schemas.tables.purchases import EVENT, PURCHASE
from tests.workers.cli.running import NUMBERS, Cli, purchases, settle, simple_file
from workers.views.desk import Desk


def events(desk: Desk) -> list[str]:
    with desk.runtime.database.read() as conn:
        return list(conn.execute(select(EVENT.c.type).order_by(EVENT.c.seq)).scalars())


def test_what_waits_is_cancelled_and_its_order_told(both: Cli, desk: Desk, home: Path) -> None:
    both.submit(simple_file(home, 2))
    first = purchases(desk)[NUMBERS[0]]["id"]
    found = both.json("purchase", "cancel", first[-8:], NUMBERS[1], first)
    assert found["cancelled"] == 2
    assert [(one["number"], one["status"]) for one in found["purchases"]] == [
        (NUMBERS[0], "cancelled"),
        (NUMBERS[1], "cancelled"),
    ]
    assert both.json("order", "list")[0]["status"] == "completed"
    assert events(desk)[-1] == "dialstock.order.completed"
    assert "2 purchases cancelled." in both.ok("purchase", "cancel", first, purchases(desk)[NUMBERS[1]]["id"])


def test_a_call_under_way_ends_first(both: Cli, desk: Desk, home: Path) -> None:
    both.submit(simple_file(home, 1))
    settle(desk, NUMBERS[0], Status.PURCHASING)
    shown = both.ok("purchase", "cancel", NUMBERS[0])
    assert "purchasing (stops when its call, or the doubt, has ended)" in shown.replace("  ", " ")
    row = purchases(desk)[NUMBERS[0]]
    assert (row["status"], row["cancel_requested_at"] is not None) == ("purchasing", True)


def test_what_may_have_been_bought_is_held_and_what_is_bought_stays(both: Cli, desk: Desk, home: Path) -> None:
    both.submit(simple_file(home, 3))
    settle(desk, NUMBERS[0], Status.PURCHASED)
    with desk.runtime.database.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.number == NUMBERS[1]).values(doubt=True))
    found = both.json("purchase", "cancel", *NUMBERS[:3], status=1)
    assert [one["status"] for one in found["purchases"]] == ["purchased", "held", "cancelled"]
    assert found["cancelled"] == 1
    result = both("purchase", "cancel", NUMBERS[0])
    assert (result.exit_code, "1 purchase could not be" in result.stderr) == (1, True)


def test_nothing_is_cancelled_where_one_is_unknown(both: Cli, desk: Desk, home: Path) -> None:
    both.submit(simple_file(home, 1))
    assert "there is no purchase of" in both.refused("purchase", "cancel", NUMBERS[0], NUMBERS[1])
    assert purchases(desk)[NUMBERS[0]]["status"] == "queued"


def test_of_a_number_the_purchase_that_waits_is_meant(both: Cli, desk: Desk, home: Path) -> None:
    both.submit(simple_file(home, 1, name="a.csv"))
    settle(desk, NUMBERS[0], Status.PURCHASED)
    both.submit(simple_file(home, 1, provider="bird", name="b.csv"))
    found = both.json("purchase", "cancel", NUMBERS[0])
    assert [(one["provider"], one["status"]) for one in found["purchases"]] == [("bird", "cancelled")]

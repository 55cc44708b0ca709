"""`dialstock spend`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from sqlalchemy import update

from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tests.workers.cli.running import NUMBERS, Cli, settle, simple_file
from workers.views.desk import Desk


def bought(cli: Cli, desk: Desk, home: Path) -> str:
    """An order of three: one with a price, one without, one in doubt."""
    order = cli.submit(simple_file(home, 3, "vogent"))
    settle(desk, NUMBERS[0], Status.PURCHASED, monthly_price="1.1", setup_price="2", currency="USD")
    settle(desk, NUMBERS[1], Status.PURCHASED)
    settle(desk, NUMBERS[2], Status.HELD)
    with desk.runtime.database.write() as conn:
        # Called for just now: the deadline is to come.
        conn.execute(update(PURCHASE).values(call_deadline=desk.runtime.now() + timedelta(seconds=30)))
    return order


def test_what_was_bought_costs(both: Cli, desk: Desk, home: Path) -> None:
    order = bought(both, desk, home)
    common = {"provider": "vogent", "without_setup": 0, "unsettled": 0, "without_monthly": 0, "bought": 1}
    amounts = {"currency": "USD", "monthly": "1.10", "setup": "2.00", "total": "3.10"}
    none = dict.fromkeys(amounts, None) | {"without_monthly": 1, "without_setup": 1, "unsettled": 1}
    assert both.json("spend", "--since", "1h")["spent"] == [{**common, **amounts}, {**common, **none}]
    assert [one["order"] for one in both.json("spend", "--by", "order")["spent"]] == [order] * 2
    result = both("spend")
    assert result.exit_code == 0
    assert "1.10" in result.stdout
    assert "Of 1 number no price a month is known: it is in no sum." in result.stderr


def test_nothing_was_bought_then(both: Cli, desk: Desk, home: Path) -> None:
    bought(both, desk, home)
    found = both.json("spend", "--since", "2020-01-01", "--until", "2020-02-01")
    assert (found["since"], found["spent"]) == ("2020-01-01T00:00:00.000000Z", [])
    assert "Nothing was bought" in both("spend", "--since", "2020-01-01", "--until", "2020-02-01").stderr


def test_wrong_use_is_said(both: Cli, desk: Desk) -> None:
    assert "is no time" in both.refused("spend", "--since", "soon")
    assert "nothing lies between them" in both.refused("spend", "--since", "1d", "--until", "2d")
    assert "--since '2999-01-01' is not past yet: write an earlier time" in both.refused(
        "spend", "--since", "2999-01-01"
    )
    assert "supplier" in both.refused("spend", "--by", "supplier")

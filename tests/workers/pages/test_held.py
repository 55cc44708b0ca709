"""What the page of what waits for a person says of the provider's last answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import insert

from schemas.outcomes import HISTORY_LOST
from schemas.status import Status
from schemas.tables.purchases import ATTEMPT
from tests.workers.cli.running import NUMBERS, Cli, settle, simple_file
from tests.workers.pages.serving import Visitor
from workers.views.desk import Desk

UNKNOWN = "not known here: the database lost that call"


def test_a_call_that_the_database_lost_is_no_call_that_was_not_made(
    visitor: Visitor, both: Cli, desk: Desk, home: Path
) -> None:
    both.submit(simple_file(home, 1))
    row = settle(desk, NUMBERS[0], Status.HELD, doubt=True, error_code=HISTORY_LOST)
    page = visitor.page("/held")
    assert UNKNOWN in page
    assert "no call was made" not in page
    assert _last_call(visitor) == (None, True)
    assert "whose answer is not known here" in visitor.page(f"/purchases/{row['id']}")
    assert "whose answer is not known here" in both.json("purchase", "show", row["id"])["next"]


def test_the_answer_to_an_earlier_call_is_not_told_of_the_lost_one(
    light: Visitor, cli: Cli, desk: Desk, home: Path
) -> None:
    cli.submit(simple_file(home, 1))
    row = settle(desk, NUMBERS[0], Status.HELD, doubt=True, error_code=HISTORY_LOST)
    _add_call(desk, row)
    assert UNKNOWN in light.page("/held")
    assert "the number is taken" not in light.page("/held")
    assert _last_call(light) == (None, True)


def test_an_answer_that_is_known_is_told(light: Visitor, cli: Cli, desk: Desk, home: Path) -> None:
    cli.submit(simple_file(home, 1))
    row = settle(desk, NUMBERS[0], Status.HELD)
    assert "no call was made" in light.page("/held")
    _add_call(desk, row)
    assert "the number is taken" in light.page("/held")
    assert _last_call(light) == ("refused", False)


def _add_call(desk: Desk, row: dict[str, Any]) -> None:
    call = {"purchase_id": row["id"], "revision": 1, "outcome": "refused", "detail": "the number is taken"}
    now = dict.fromkeys(("started_at", "ended_at", "deadline"), desk.runtime.now())
    with desk.runtime.database.write() as conn:
        conn.execute(insert(ATTEMPT).values(**call, **now))


def _last_call(visitor: Visitor) -> tuple[str | None, bool]:
    [held] = visitor.data("/held")["held"]
    return held["last_call"] and held["last_call"]["outcome"], held["last_call_lost"]

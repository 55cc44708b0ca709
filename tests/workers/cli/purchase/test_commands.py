"""`purchase list` and `show`."""

from datetime import timedelta
from pathlib import Path

from schemas.outcomes import Outcome, OutcomeKind
from schemas.status import Status
from tasks.ledger.calls import intents, outcomes
from tasks.policies.retry import Decision
from tests.workers.cli.running import NUMBERS, Cli, csv_file, purchases, settle, simple_file
from workers.views.desk import Desk


def call(desk: Desk, number: str, outcome: Outcome, decision: Decision, name: str | None = None) -> str:
    """One call with an outcome, as a worker writes it down; *name* is ours of it at the provider."""
    row = settle(desk, number, Status.DISPATCHED)
    now = desk.runtime.now()
    with desk.runtime.database.write() as conn:
        [claim] = intents.claim(conn, [intents.Wanted(row["id"], row["revision"], row["account"], name)], now, 30)
    assert claim is not None
    with desk.runtime.database.write() as conn:
        outcomes.record(conn, claim, outcome, decision, now + timedelta(seconds=1))
    return str(row["id"])


def test_show_tells_row_calls_events_and_what_is_next(both: Cli, desk: Desk, home: Path) -> None:
    both.submit(csv_file(home, [f"{NUMBERS[0]},timepay", f"{NUMBERS[1]},fluents"]))
    cut = Outcome(kind=OutcomeKind.UNKNOWN, error="cut", error_code="reset", http_status=502, detail="[red]bad[/red]")
    doubtful = Decision(status=Status.UNKNOWN, delay=40, doubt=True, error="cut", error_code="reset")
    purchase = call(desk, NUMBERS[1], cut, doubtful)
    shown = both.json("purchase", "show", purchase)
    assert (shown["purchase"]["status"], shown["purchase"]["doubt"]) == ("unknown", True)
    assert [(one["outcome"], one["http_status"]) for one in shown["attempts"]] == [("unknown", 502)]
    assert "May have been bought: the provider is asked in" in shown["next"]
    told = both.ok("purchase", "show", purchase)
    assert "[red]bad[/red]" in told
    assert "May have been bought" in told


def test_show_tells_what_a_call_is_called_at_the_provider(both: Cli, desk: Desk, home: Path) -> None:
    both.submit(csv_file(home, [f"{NUMBERS[0]},telnyx", f"{NUMBERS[1]},fluents"]))
    cut = Outcome(kind=OutcomeKind.UNKNOWN, error="cut", error_code="reset")
    held = Decision(status=Status.HELD, doubt=True, error="cut", error_code="reset")
    name = intents.new_reference(str(purchases(desk)[NUMBERS[0]]["id"]))
    assert name in both.ok("purchase", "show", call(desk, NUMBERS[0], cut, held, name))
    assert "Our names" not in both.ok("purchase", "show", call(desk, NUMBERS[1], cut, held))


def test_show_has_only_the_purchases_own_events(both: Cli, desk: Desk, home: Path) -> None:
    both.submit(simple_file(home, 2))
    settle(desk, NUMBERS[0], Status.FAILED)
    first = purchases(desk)[NUMBERS[0]]["id"]
    both.submit(simple_file(home, 1))
    settle(desk, NUMBERS[0], Status.PURCHASED)
    second = purchases(desk)[NUMBERS[0]]["id"]
    types = {one: [event["type"] for event in both.json("purchase", "show", one)["events"]] for one in (first, second)}
    assert types == {first: ["dialstock.purchase.failed"], second: ["dialstock.purchase.purchased"]}
    assert both.json("purchase", "show", "last")["purchase"]["id"] == second


def test_list_filters(both: Cli, desk: Desk, home: Path) -> None:
    order = both.submit(csv_file(home, [f"{NUMBERS[0]},timepay", f"{NUMBERS[1]},bird"]))
    both.submit(csv_file(home, [f"{NUMBERS[2]},bird"]))
    settle(desk, NUMBERS[2], Status.HELD)

    def listed(*arguments: str) -> list[str]:
        return [row["number"] for row in both.json("purchase", "list", *arguments)]

    assert set(listed()) == set(NUMBERS[:3])
    assert listed()[0] == NUMBERS[2]
    assert len(listed("--limit", "2")) == 2
    assert set(listed("--provider", "bird")) == {NUMBERS[1], NUMBERS[2]}
    assert listed("--status", "held") == [NUMBERS[2]]
    assert set(listed("--order", order)) == {NUMBERS[0], NUMBERS[1]}
    assert listed("--number", "(415) 555-0000", "--country", "US") == [NUMBERS[0]]
    assert listed("--number", "+1 415 555 0000", "--status", "held") == []
    assert "There is no such purchase" in both("purchase", "list", "--provider", "frob").stderr
    assert "--number" in both.refused("purchase", "list", "--number", "12")


def test_a_number_names_its_purchase(both: Cli, desk: Desk, home: Path) -> None:
    both.submit(simple_file(home, 2))
    assert both.json("purchase", "show", NUMBERS[1])["purchase"]["number"] == NUMBERS[1]
    assert both.json("purchase", "show", "+1 (415) 555-0001")["purchase"]["number"] == NUMBERS[1]
    assert f"there is no purchase of {NUMBERS[2]}" in both.refused("purchase", "show", NUMBERS[2])
    assert "a phone number is written with its plus" in both.refused("purchase", "show", NUMBERS[1][1:])
    assert "+1415" in both.refused("purchase", "show", "+1415")


def test_of_a_numbers_purchases_the_one_that_is_alive_is_meant(both: Cli, desk: Desk, home: Path) -> None:
    both.submit(simple_file(home, 1))
    settle(desk, NUMBERS[0], Status.FAILED)
    both.submit(simple_file(home, 1))
    alive = purchases(desk)[NUMBERS[0]]["id"]
    assert both.json("purchase", "show", NUMBERS[0])["purchase"]["id"] == alive
    settle(desk, NUMBERS[0], Status.FAILED)
    told = both.refused("purchase", "show", NUMBERS[0])
    assert f"{NUMBERS[0]} has several purchases: {alive[-8:]} (timepay, failed), " in told
    assert both.json("purchase", "show", alive[-8:])["purchase"]["id"] == alive


def test_an_id_of_the_table_names_its_purchase(both: Cli, desk: Desk, home: Path) -> None:
    both.submit(simple_file(home, 3))
    rows = both.ok("purchase", "list").splitlines()[1:]
    shown = {row.split()[1]: row.split()[0] for row in rows}
    assert {number: both.json("purchase", "show", one)["purchase"]["number"] for number, one in shown.items()} == {
        number: number for number in NUMBERS[:3]
    }
    assert all(len(one) == 8 for one in shown.values())
    assert all(len(row["id"]) == 36 for row in both.json("purchase", "list"))

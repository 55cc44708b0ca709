"""`purchase resolve`: one, many, from a file; and nothing changed where anything is wrong."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import select

from schemas.status import Status
from schemas.tables.purchases import EVENT, ORDER, PURCHASE, RESOLUTION
from tasks.orders import complete_finished
from tests.workers.cli.running import NUMBERS, Cli, purchases, settle, simple_file
from tests.workers.migrations.test_versions import alembic
from workers.database.connections import SqlDatabase
from workers.views.desk import Desk

ABSENT = "0190a0a0-0000-7000-8000-000000000001"


@pytest.fixture
def held(both: Cli, desk: Desk, home: Path) -> list[str]:
    """The ids of three held purchases of a completed order."""
    both.submit(simple_file(home, 3))
    for number in NUMBERS[:3]:
        settle(desk, number, Status.HELD, doubt=True)
    assert complete_finished(desk.runtime) == 1
    return [purchases(desk)[number]["id"] for number in NUMBERS[:3]]


def snapshot(desk: Desk) -> list[object]:
    with desk.runtime.database.read() as conn:
        return [
            conn.execute(select(table).order_by(*table.primary_key)).all()
            for table in (PURCHASE, EVENT, ORDER, RESOLUTION)
        ]


def statuses(desk: Desk) -> list[str]:
    return [row["status"] for _, row in sorted(purchases(desk).items())]


def test_one_is_settled_with_the_provider_s_id(both: Cli, desk: Desk, held: list[str]) -> None:
    found = both.json(
        "purchase", "resolve", held[0], "--bought", "--provider-number-id", "PN1", "--note", "seen", "--by", "ann"
    )
    assert found == {
        "resolved": 1,
        "by": "ann",
        "purchases": [
            {
                "purchase_id": held[0],
                "number": NUMBERS[0],
                "provider": "timepay",
                "status": "purchased",
                "verdict": "bought",
            }
        ],
        "moved": [],
    }
    assert purchases(desk)[NUMBERS[0]]["provider_number_id"] == "PN1"
    assert statuses(desk) == ["purchased", "held", "held"]


def test_show_tells_who_settled_it(both: Cli, held: list[str]) -> None:
    assert both.json("purchase", "show", held[0])["resolutions"] == []
    both.ok("purchase", "resolve", held[0], "--bought", "--note", "seen", "--by", "ann")
    [one] = both.json("purchase", "show", held[0])["resolutions"]
    assert (one["decision"], one["by"], one["note"]) == ("bought", "ann", "seen")
    assert "bought    ann  seen" in both.ok("purchase", "show", held[0])


def test_several_are_settled_and_the_login_name_is_kept(both: Cli, desk: Desk, held: list[str]) -> None:
    shown = both.ok("purchase", "resolve", *held[1:], "--fail")
    assert f"2 purchases settled by {getpass.getuser()}." in shown
    assert statuses(desk) == ["held", "failed", "failed"]
    with desk.runtime.database.read() as conn:
        assert {row.by for row in conn.execute(select(RESOLUTION))} == {getpass.getuser()}


def test_the_order_is_told_again_once(both: Cli, desk: Desk, held: list[str]) -> None:
    both.ok("purchase", "resolve", *held, "--bought")
    with desk.runtime.database.read() as conn:
        told = list(conn.execute(select(EVENT.c.data).where(EVENT.c.type == "dialstock.order.updated")).scalars())
        assert conn.execute(select(ORDER.c.status)).scalar_one() == "completed"
    assert [data["counts"] for data in told] == [{"purchased": 3}]


def test_a_beginning_of_an_id_is_enough(both: Cli, desk: Desk, held: list[str]) -> None:
    both.ok("purchase", "resolve", held[2][:30], "--retry")
    assert statuses(desk)[2] == "queued"
    assert both.json("order", "list")[0]["status"] == "open"


@pytest.mark.parametrize("way", ["file", "stdin"])
def test_a_file_settles_each_in_its_own_way(both: Cli, desk: Desk, home: Path, held: list[str], way: str) -> None:
    rows = [
        "id,decision,provider_number_id,note",
        f"{held[0]},bought,PN1,",
        f"{held[1]},fail,,not there",
        f"{held[2]},retry,,",
    ]
    content = "\n".join(rows)
    (home / "decisions.csv").write_text(content)
    if way == "file":
        found = both.json("purchase", "resolve", "--file", "decisions.csv", "--note", "call of 4 May")
    else:
        found = both.json("purchase", "resolve", "--file", "-", "--note", "call of 4 May", input=content)
    assert found["resolved"] == 3
    assert statuses(desk) == ["purchased", "failed", "queued"]
    with desk.runtime.database.read() as conn:
        notes = {row.purchase_id: row.note for row in conn.execute(select(RESOLUTION))}
    assert notes == {held[0]: "call of 4 May", held[1]: "not there", held[2]: "call of 4 May"}


BAD: list[tuple[Callable[[list[str]], list[str]], str]] = [
    (lambda ids: [ids[0]], "give one of --bought, --retry and --fail"),
    (lambda ids: [ids[0], "--bought", "--fail"], "give one of --bought, --retry and --fail"),
    (lambda ids: ["--fail"], "name the purchases to settle"),
    (lambda ids: [ABSENT, "--fail"], f"there is no purchase {ABSENT}"),
    (lambda ids: [ids[0], "frob", "--fail"], "'frob' is no id of a purchase"),
    (lambda ids: [ids[0], ids[0], "--fail"], "is named twice"),
    (lambda ids: [*ids, "last", "--fail"], "named twice"),
    (lambda ids: [*ids, "--bought", "--provider-number-id", "x"], "goes with --bought and a single purchase"),
    (lambda ids: [ids[0], "--fail", "--provider-number-id", "x"], "goes with --bought and a single purchase"),
    (lambda ids: [ids[0], "--fail", "--note", "n" * 501], "--note must be 1 to 500"),
    (lambda ids: [ids[0], "--fail", "--by", " "], "--by ' ' is no name"),
    (lambda ids: [ids[0], "--fail", "--by", "b" * 101], "is no name"),
    (lambda ids: [ids[0], "--file", "x.csv"], "give neither with it"),
    (lambda ids: ["--file", "x.csv", "--fail"], "give neither with it"),
    (lambda ids: ["--file", "nowhere.csv"], "nowhere.csv: cannot be read: No such file"),
    (lambda ids: ["--file", "."], "cannot be read: Is a directory"),
]


def test_wrong_use_changes_nothing(both: Cli, desk: Desk, held: list[str]) -> None:
    before = snapshot(desk)
    for arguments, message in BAD:
        assert message in both.refused("purchase", "resolve", *arguments(held))
    assert snapshot(desk) == before


def test_what_is_not_held_spoils_the_whole_invocation(both: Cli, desk: Desk, home: Path, held: list[str]) -> None:
    both.ok("purchase", "resolve", held[0], "--bought")
    before = snapshot(desk)
    told = both.refused("purchase", "resolve", *held, "--fail")
    assert f"purchase {held[0]} is purchased: only a held purchase can be settled by a person" in told
    found = both.json("purchase", "resolve", *held, "--fail", status=2)
    assert found["resolved"] == 0
    assert [problem["line"] for problem in found["problems"]] == [None]
    (home / "d.csv").write_text(f"id,decision\n{held[1]},fail\n{ABSENT},fail\n{held[0]},retry\n{held[1]},bought\n")
    told = both.refused("purchase", "resolve", "--file", "d.csv")
    assert f"line 3, id: there is no purchase {ABSENT}" in told
    assert f"line 4, id: purchase {held[0]} is purchased" in told
    assert f"line 5, id: purchase {held[1]} is named twice" in told
    found = both.json("purchase", "resolve", "--file", "d.csv", status=2)
    assert [(problem["line"], problem["column"]) for problem in found["problems"]] == [(5, "id"), (3, "id"), (4, "id")]
    assert snapshot(desk) == before


def test_a_bad_row_spoils_the_whole_file(both: Cli, desk: Desk, home: Path, held: list[str]) -> None:
    before = snapshot(desk)
    (home / "d.ndjson").write_text(f'{{"id": "{held[0]}", "decision": "fail"}}\n{{"id": "x", "decision": "perhaps"}}\n')
    told = both.refused("purchase", "resolve", "--file", "d.ndjson")
    assert "nothing was settled: 2 problems" in told
    assert "line 2, id: 'x' is no id of a purchase: give the whole id" in told
    assert "line 2, decision: 'perhaps' is no decision: write one of bought, retry, fail" in told
    assert snapshot(desk) == before


def test_a_database_one_migration_behind_is_left_alone(both: Cli, desk: Desk, held: list[str]) -> None:
    database = desk.runtime.database
    assert isinstance(database, SqlDatabase)
    with database.write() as conn:
        alembic(conn, command.downgrade, "-1")
    for arguments in (
        ["purchase", "resolve", held[0], "--fail"],
        ["audit", "fluents"],
        ["events", "replay", "--since", "1h"],
    ):
        assert "run dialstock migrate" in both.refused(*arguments, status=3)
    with database.read() as conn:
        assert set(conn.execute(select(PURCHASE.c.status)).scalars()) == {"held"}


def test_a_database_that_is_away_has_status_3(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:s3cr3t@127.0.0.1:1/x")
    for arguments in (
        ["purchase", "resolve", ABSENT, "--fail"],
        ["audit", "fluents"],
        ["events", "replay", "--since", "1h"],
    ):
        told = cli.refused(*arguments, status=3)
        assert "is away" in told
        assert "s3cr3t" not in told


def test_thousands_from_a_file(cli: Cli, desk: Desk, home: Path) -> None:
    count = 2000
    rows = [f"+1415{n},timepay" for n in range(5_000_000, 5_000_000 + count)]
    (home / "many.csv").write_text("\n".join(["number,provider", *rows]))
    cli.submit(home / "many.csv")
    with desk.runtime.database.write() as conn:
        conn.execute(PURCHASE.update().values(status=Status.HELD, due_at=None))
        ids = list(conn.execute(select(PURCHASE.c.id)).scalars())
    (home / "d.ndjson").write_text("\n".join(json.dumps({"id": one, "decision": "bought"}) for one in ids))
    assert cli.json("purchase", "resolve", "--file", "d.ndjson")["resolved"] == count
    assert set(statuses(desk)) == {"purchased"}

"""`audit`: against the sandbox over a socket, with a real Redis for the pace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from schemas.status import Status
from schemas.tables.audits import FINDING
from schemas.tables.purchases import ATTEMPT, EVENT, PURCHASE, RESOLUTION
from tasks.sandbox import SandboxServer
from tests.servers import RedisServer
from tests.waiting import PATIENCE
from tests.workers.cli.running import NUMBERS, Cli, csv_file, purchases, rested, settle, steady
from workers.views.desk import Desk

LISTS = ("fluents", "signalwire", "vogent", "bird")


@pytest.fixture
def shop(
    both: Cli, home: Path, sandbox: SandboxServer, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> SandboxServer:
    """The sandbox behind the command line."""
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    steady(home, sandbox.url)
    rested(redis_server.url)
    return sandbox


def bought(cli: Cli, desk: Desk, home: Path, kind: str) -> None:
    """0 and 2 are purchased, 1 is held; all of it long ago."""
    cli.submit(csv_file(home, [f"{number},{kind}" for number in NUMBERS[:3]]))
    for number, status in zip(NUMBERS, (Status.PURCHASED, Status.HELD, Status.PURCHASED), strict=False):
        settle(desk, number, status)
    with desk.runtime.database.write() as conn:
        long_ago = desk.runtime.now().replace(year=2025)
        stands = {"finished_at": long_ago, "provider_number_id": "known"}
        conn.execute(update(PURCHASE).where(PURCHASE.c.status == Status.PURCHASED).values(**stands))


def kinds(document: dict[str, Any], part: str = "findings") -> list[tuple[str, str]]:
    return [(one["kind"], one["number"]) for one in document[part]]


DIFFERENCES = [("evidence", NUMBERS[1]), ("missing", NUMBERS[2]), ("orphan", NUMBERS[3])]


def test_what_is_held_and_not_shown_is_reported_and_left(
    both: Cli, desk: Desk, home: Path, shop: SandboxServer
) -> None:
    bought(both, desk, home, "fluents")
    shop.control.own("fluents", [NUMBERS[0], NUMBERS[2]])
    with desk.runtime.database.write() as conn:
        long_ago = desk.runtime.now().replace(year=2025)
        refused = {"error_code": "refused", "call_deadline": long_ago, "provider_number_id": None}
        conn.execute(update(PURCHASE).where(PURCHASE.c.status == Status.HELD).values(**refused))
    before = purchases(desk)
    for options in ([], ["--adopt", "--mark-released"]):
        assert kinds(both.json("audit", "fluents", *options, status=1)) == [("absent", NUMBERS[1])]
    assert purchases(desk) == before
    told = both("audit", "fluents").output
    assert "held, and not shown" in told
    assert "the scheduled audit fails what is held and not shown" in told


@pytest.mark.parametrize("kind", LISTS)
def test_differences_are_reported_then_settled(
    both: Cli, desk: Desk, home: Path, shop: SandboxServer, kind: str
) -> None:
    bought(both, desk, home, kind)
    shop.control.own(kind, [NUMBERS[0], NUMBERS[1], NUMBERS[3]])
    before = purchases(desk)
    report = both.json("audit", kind, status=1)
    assert (report["provider"], report["owned"], report["settled"]) == (kind, 3, [])
    assert kinds(report) == DIFFERENCES
    assert purchases(desk) == before
    adopted = both.json("audit", kind, "--adopt", "--by", "ann", status=1)
    assert kinds(adopted, "settled") == [DIFFERENCES[2], DIFFERENCES[0]]
    assert kinds(adopted) == [DIFFERENCES[1]]
    released = both.json("audit", kind, "--mark-released", "--by", "ann")
    assert (kinds(released, "settled"), released["findings"]) == ([DIFFERENCES[1]], [])
    assert both.json("audit", kind)["findings"] == []
    rows = purchases(desk)
    assert [rows[number]["status"] for number in NUMBERS[:4]] == ["purchased", "purchased", "released", "purchased"]
    assert rows[NUMBERS[3]]["already_owned"] is True
    with desk.runtime.database.read() as conn:
        assert sorted(conn.execute(select(RESOLUTION.c.decision)).scalars()) == ["adopted", "evidence", "released"]
        assert conn.execute(select(FINDING)).all() == []
        told = list(conn.execute(select(EVENT.c.type)).scalars())
    assert sorted(t.rsplit(".", 1)[1] for t in told if ".purchase." in t and "held" not in t) == [
        *["purchased"] * 4,
        "released",
    ]
    assert shop.control.calls(kind) == []


def test_people_are_told_what_it_means(both: Cli, desk: Desk, home: Path, shop: SandboxServer) -> None:
    bought(both, desk, home, "fluents")
    shop.control.own("fluents", [NUMBERS[0], NUMBERS[1], NUMBERS[3]])
    result = both("audit", "fluents", "--report")
    assert result.exit_code == 1
    assert "owned, and unknown here" in result.stdout
    assert "fluents shows 3 numbers of ours: 0 differences settled, 3 left." in result.stdout
    steps = (
        "--adopt has purchases stand for what is ours; --release NUMBER gives back what is owned and unknown here; "
        "--mark-released marks what is gone."
    )
    assert steps in result.stdout
    result = both("audit", "fluents", "--adopt", "--mark-released")
    assert (result.exit_code, "3 differences settled, 0 left." in result.stdout) == (0, True)


@pytest.fixture
def twice(both: Cli, desk: Desk, home: Path, shop: SandboxServer) -> str:
    """A number that Bird sold twice; its id here."""
    both.submit(csv_file(home, [f"{NUMBERS[0]},bird"]))
    row = settle(desk, NUMBERS[0], Status.PURCHASED)
    with desk.runtime.database.write() as conn:
        ours = {"purchase_id": row["id"], "started_at": row["created_at"], "deadline": row["created_at"]}
        for revision in (1, 2):
            conn.execute(
                insert(ATTEMPT).values(**ours, revision=revision, ended_at=row["created_at"], outcome="purchased")
            )
    shop.control.own("bird", [NUMBERS[0]])
    return str(row["id"])


def test_what_was_charged_twice_is_settled_with_who_and_why(both: Cli, twice: str) -> None:
    told = both("audit", "bird")
    assert (told.exit_code, "charged twice" in told.stdout) == (1, True)
    assert "then here: --settle NUMBER --note HOW" in told.stdout
    settled = both.json("audit", "bird", "--settle", NUMBERS[0], "--note", " refund 7 ", "--by", "ann")
    assert (kinds(settled, "settled"), settled["findings"]) == ([("charged_twice", NUMBERS[0])], [])
    assert both.json("audit", "bird")["findings"] == []
    [said] = both.json("purchase", "show", twice)["resolutions"]
    assert (said["decision"], said["by"], said["note"]) == ("bought", "ann", "charged twice: refund 7")
    assert "refund 7" in both.ok("purchase", "show", twice)


def test_what_cannot_be_settled_changes_nothing(both: Cli, desk: Desk, shop: SandboxServer, twice: str) -> None:
    shop.control.own("bird", [NUMBERS[1]])
    before = purchases(desk)
    told = both.refused("audit", "bird", "--adopt", "--settle", NUMBERS[0], "--settle", NUMBERS[1], "--note", "x")
    assert f"nothing was changed: {NUMBERS[1]} is not among what was found to be charged twice" in told
    assert purchases(desk) == before


def test_nothing_found_is_status_0(both: Cli, shop: SandboxServer) -> None:
    assert "shows 0 numbers of ours: 0 differences settled, 0 left." in both.ok("audit", "vogent")


def test_a_list_that_proves_nothing_is_told_with_the_way_out(
    both: Cli, desk: Desk, home: Path, shop: SandboxServer
) -> None:
    told = both.refused("audit", "vonage", "--adopt", status=1)
    assert "vonage did not show its whole list, so nothing can be said" in told
    assert "Its dashboard tells whether it owns one" in told
    assert "`dialstock provider resume vonage --lost-history --reason WHY` lets it go on" in told


def test_a_wrong_token_marks_nothing(both: Cli, desk: Desk, home: Path, shop: SandboxServer) -> None:
    bought(both, desk, home, "signalwire")
    result = both("audit", "signalwire", "--mark-released")
    assert result.exit_code == 1
    assert "shows none of our purchases, as with the token of another account: none was marked" in result.stderr
    assert purchases(desk)[NUMBERS[0]]["status"] == "purchased"
    assert len(both.json("audit", "signalwire", "--mark-released", "--all-gone")["settled"]) == 2


def test_a_walk_that_breaks_off_says_why_and_nothing_else(
    both: Cli, desk: Desk, home: Path, shop: SandboxServer
) -> None:
    bought(both, desk, home, "bird")
    shop.control.plan("bird", "error_before", on="read")
    before = purchases(desk)
    told = both.refused("audit", "bird", "--adopt", "--mark-released", status=1)
    assert "bird did not show its whole list, so nothing can be said" in told
    assert "HTTP 5" in told
    assert "--lost-history" not in told
    assert purchases(desk) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["timepay"], "timepay cannot be audited: timepay documents no list of owned numbers"),
        (["timepay", "--adopt"], "cannot be audited"),
        (["fluent"], "provider 'fluent' is not configured: did you mean 'fluents'?"),
        (["fluents", "--report", "--adopt"], "--report only tells"),
        (["fluents", "--all-gone"], "--all-gone goes with --mark-released"),
        (["fluents", "--adopt", "--by", " "], "is no name"),
        (["vogent", "--release", NUMBERS[0], "--adopt"], "--release goes by itself"),
        (["vogent", "--release", NUMBERS[0], "--report"], "--report only tells"),
        (["vogent", "--release", "x", "--yes"], "--release 'x'"),
        (["vogent", "--yes"], "--yes goes with --release"),
        (["fluents", "--settle", NUMBERS[0]], "--settle and --note go together"),
        (["fluents", "--note", "refund 7"], "--settle and --note go together"),
        (["fluents", "--settle", NUMBERS[0], "--note", "   "], "--note must be 1 to 500 printable characters"),
        (["fluents", "--settle", "x", "--note", "refund 7"], "--settle 'x'"),
        (["fluents", "--settle", NUMBERS[0], "--note", "refund 7", "--report"], "--report only tells"),
    ],
)
def test_wrong_use(both: Cli, shop: SandboxServer, arguments: list[str], message: str) -> None:
    assert message in both.refused("audit", *arguments)


def test_a_missing_secret_is_wrong_use(cli: Cli, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SANDBOX_TOKEN")
    assert "SANDBOX_TOKEN" in cli.refused("audit", "fluents")


def test_redis_that_is_away_has_status_3(cli: Cli, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:s3cr3t@127.0.0.1:1/0")
    for arguments in (["audit", "fluents"], ["events", "replay", "--since", "1h"], ["events", "tail"]):
        told = cli.refused(*arguments, status=3)
        assert "is away" in told
        assert "s3cr3t" not in told


def test_a_real_process_prints_one_document_and_starts_the_embedded_server(cli: Cli, sandbox: SandboxServer) -> None:
    sandbox.control.own("vogent", NUMBERS[:3])
    program = [sys.executable, "-c", "from workers.cli import main; main()", "audit", "vogent", "--json"]
    done = subprocess.run(program, capture_output=True, text=True, env=dict(os.environ), timeout=PATIENCE, check=False)
    assert done.returncode == 1, done.stderr
    assert len(json.loads(done.stdout)["findings"]) == 3
    assert done.stdout.count("\n") == 1

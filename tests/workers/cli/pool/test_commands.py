"""`pool`: against the sandbox over a socket, with a real Redis for the pace of its searches."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from schemas.status import Status
from schemas.tables.pools import POOL, POOL_RUN
from schemas.tables.purchases import EVENT, PURCHASE
from tasks.pools import stock
from tasks.providers.configured import parse_config
from tasks.replenish.standing import broken
from tasks.sandbox import SandboxServer
from tests.servers import RedisServer
from tests.waiting import PATIENCE
from tests.workers.cli.commands import PROJECT
from tests.workers.cli.running import NUMBERS, Cli, counted, csv_file, purchases, rested, sandbox_config_text, settle
from workers.views.desk import Desk

Start = Callable[..., "subprocess.Popen[str]"]

TABLE = """
[pools.support]
providers = ["signalwire", "bird"]
prefix = "415"
low = 3
target = 4
daily_limit = 9
schedule = "1h"
"""
FIRST = [f"+1415{n}" for n in range(5_000_000, 5_000_004)]


@pytest.fixture
def shop(
    both: Cli, home: Path, sandbox: SandboxServer, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> SandboxServer:
    """A pool whose providers are the sandbox's."""
    configure(home, TABLE)
    sandbox.control.stock("signalwire", [f"+1415{n}" for n in range(5_000_000, 5_000_100)])
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    rested(redis_server.url)
    return sandbox


@pytest.fixture
def stocked(both: Cli, shop: SandboxServer, desk: Desk) -> Cli:
    """The pool is full."""
    both.ok("pool", "run", "support")
    deliver(desk)
    return both


def configure(home: Path, pools: str) -> None:
    path = home / "providers.toml"
    path.write_text(path.read_text().partition("\n[pools.")[0] + pools)


def deliver(desk: Desk, to: Status = Status.PURCHASED) -> None:
    """Do what workers do with all that is queued."""
    for number, row in purchases(desk).items():
        if row["status"] == Status.QUEUED:
            known = {"provider_number_id": "pn-1"} if to is Status.PURCHASED else {}
            settle(desk, number, to, call_deadline=desk.runtime.now(), **known)
    with desk.runtime.database.write() as conn:
        stock.settle(conn, desk.runtime.now())


def purchased(desk: Desk) -> list[str]:
    return sorted(number for number, row in purchases(desk).items() if row["status"] == Status.PURCHASED)


def levels(cli: Cli, *names: str) -> list[int]:
    [row] = cli.json("pool", "list")
    return [row[name] for name in names]


def test_a_pool_from_nothing_to_a_number_and_back(both: Cli, shop: SandboxServer, desk: Desk) -> None:
    assert both.json("pool", "list")[0]["state"] == "new"
    report = both.json("pool", "run", "support")
    assert (report["ordered"], report["missing"], report["status"]) == (4, 4, "ok")
    assert levels(both, "available", "on_the_way", "bought_today", "daily_limit") == [0, 4, 4, 9]
    deliver(desk)
    assert levels(both, "available", "on_the_way", "held", "taken") == [4, 0, 0, 0]
    assert both.ok("pool", "take", "support", "--count", "2", "--for", "crm").split() == FIRST[:2]
    assert levels(both, "available", "taken") == [2, 2]
    returned = both("pool", "return", "support", "(415) 500-0001", "--for", "crm")
    assert (returned.exit_code, returned.stdout) == (0, f"{FIRST[1]:<16}  taken by crm\n")
    assert both.ok("pool", "take", "support", "--count", "3").split() == [*FIRST[2:], FIRST[1]]


def test_a_dry_run_shows_what_would_be_bought_and_changes_nothing(both: Cli, shop: SandboxServer, desk: Desk) -> None:
    shown = both.ok("pool", "run", "support", "--dry-run")
    assert "Buying" not in both("pool", "run", "support", "--dry-run").stderr
    assert all(number in shown for number in FIRST)
    assert "4 numbers would be ordered, of 4 missing." in shown
    assert both.json("pool", "run", "support", "--dry-run")["candidates"][0]["number"] == FIRST[0]
    assert counted(desk) == (0, 0, 0)
    with desk.runtime.database.read() as conn:
        assert [*conn.execute(select(POOL)), *conn.execute(select(POOL_RUN)), *conn.execute(select(EVENT))] == []


def test_a_run_tells_its_order_and_how_to_watch_it(both: Cli, shop: SandboxServer, desk: Desk) -> None:
    result = both("pool", "run", "support")
    assert "Buying up to 4 numbers for support from " in result.stderr
    assert result.exit_code == 0
    order = both.json("order", "list")[0]["id"]
    assert f"Order {order} is in: 4 numbers, of 4 missing." in result.stdout
    assert f"dialstock order watch {order}" in result.stdout
    assert "no worker seems to be running" in result.stderr or "nothing is bought without it" in result.stderr
    assert "Nothing is missing: 4 are there or on their way, and low is 3." in both.ok("pool", "run", "support")
    shown = both.ok("pool", "show", "support")
    assert order[-8:] in shown
    assert "4 queued" in shown
    assert both.json("pool", "show", "support")["last_runs"][0]["order_id"] == order


def test_what_cannot_be_ordered_has_status_1(both: Cli, shop: SandboxServer, desk: Desk) -> None:
    shop.control.stock("signalwire", FIRST[:1])
    shop.control.stock("bird", [])
    result = both("pool", "run", "support")
    assert (result.exit_code, "1 number, of 4 missing" in result.stdout) == (1, True)
    assert "support is exhausted: signalwire: the search finds no more" in result.stderr
    result = both("pool", "run", "support")
    assert result.exit_code == 1
    assert "Nothing was ordered, of 3 missing." in result.stdout
    assert "support is exhausted: signalwire: " in result.stderr
    shown = both.ok("pool", "show", "support")
    assert "state   exhausted" in shown
    assert "give it numbers to find" in shown
    assert "support is exhausted since" in both.ok("pool", "list")
    assert both.json("pool", "run", "support", "--dry-run", status=1)["ordered"] == 0


def test_a_broken_stock_file_is_wrong_use(both: Cli, home: Path, shop: SandboxServer) -> None:
    configure(home, f'{TABLE}stock_file = "support.csv"\n')
    (home / "support.csv").write_text("number,provider\n+14155000000,signalwire\n+1,signalwire\n")
    result = both("pool", "run", "support")
    assert result.exit_code == 2
    assert "support.csv:3: number" in result.stderr


def test_what_is_held_blocks_until_others_are_bought_for_it(stocked: Cli, shop: SandboxServer, desk: Desk) -> None:
    stocked.ok("pool", "take", "support", "--count", "4")
    stocked.ok("pool", "run", "support")
    deliver(desk, Status.HELD)
    assert levels(stocked, "available", "on_the_way", "held", "taken") == [0, 0, 4, 4]
    assert stocked("pool", "run", "support").exit_code == 1
    shown = stocked.ok("pool", "show", "support")
    assert "state   blocked" in shown
    assert re.search(r"on the way +0\n", shown)
    assert re.search(r"held +4\n", shown)
    assert "dialstock purchase list --status held" in shown
    assert "dialstock pool run support --without-held` buys others" in shown
    # 1 of 9 is left in 24 hours, and the run says so
    assert stocked.json("pool", "run", "support", "--without-held", status=1)["ordered"] == 1
    assert [run["ordered"] for run in stocked.json("pool", "show", "support")["last_runs"]] == [1, 4, 4]


def test_a_taken_number_is_never_taken_by_another(stocked: Cli) -> None:
    taken = stocked.json("pool", "take", "support", "--request-id", "a", "--for", "crm")
    again = stocked.json("pool", "take", "support", "--request-id", "a", "--for", "crm")
    assert (taken["repeat"], again["repeat"]) == (False, True)
    assert taken["numbers"] == again["numbers"]
    assert taken["numbers"][0]["provider_number_id"] == "pn-1"
    others = stocked.ok("pool", "take", "support", "--count", "3").split()
    assert sorted([taken["numbers"][0]["number"], *others]) == FIRST
    assert "came before with another request" in stocked.refused("pool", "take", "support", "--request-id", "a")


def test_a_pool_with_too_few_gives_none(stocked: Cli) -> None:
    told = stocked.refused("pool", "take", "support", "--count", "5", status=1)
    assert "has 4 of the 5 numbers asked for" in told
    stocked.ok("pool", "take", "support", "--count", "4")
    assert "has no number to take now" in stocked.refused("pool", "take", "support", status=1)
    assert stocked.json("pool", "take", "support", status=1)["error_code"] == "pool_empty"


def test_a_pool_with_too_few_gives_back_what_it_has_and_says_so(stocked: Cli, desk: Desk) -> None:
    with desk.runtime.database.write() as conn:
        conn.execute(update(PURCHASE).values(provider_number_id=PURCHASE.c.number))
    result = stocked("release", "--pool", "support", "--count", "5", "--yes")
    assert "support has 4 of the 5 numbers asked for" in result.stderr
    assert (result.exit_code, "4 numbers on the way back, 0 left." in result.stderr) == (1, True)


def test_what_cannot_be_returned_is_told_and_the_rest_is_returned(stocked: Cli) -> None:
    stocked.ok("pool", "take", "support", "--count", "2", "--for", "crm")
    assert "is too short" in stocked.refused("pool", "return", "support", FIRST[0], "+1415")
    assert levels(stocked, "taken") == [2]
    assert "was not taken by 'web'" in stocked("pool", "return", "support", FIRST[0], "--for", "web").stderr
    found = stocked.json("pool", "return", "support", FIRST[0], FIRST[3], "+14159999999", status=1)
    assert [one["number"] for one in found["returned"]] == FIRST[:1]
    assert [(one["number"], one["error_code"]) for one in found["refused"]] == [
        (FIRST[3], "not_taken"),
        ("+14159999999", "not_taken"),
    ]
    assert levels(stocked, "taken", "available") == [1, 3]


def test_a_pool_that_is_not_configured_any_more_is_still_shown(stocked: Cli, home: Path) -> None:
    configure(home, TABLE.replace("support", "sales"))
    assert [(row["pool"], row["state"], row["available"]) for row in stocked.json("pool", "list")] == [
        ("sales", "new", 0),
        ("support", "not configured", 4),
    ]
    shown = stocked.ok("pool", "show", "support")
    assert "write [pools.support] into providers.toml again" in shown
    told = stocked.refused("pool", "take", "support")
    assert "pool: 'support' is not configured any more: its numbers can be returned" in told


def test_a_pool_that_is_not_configured_any_more_takes_numbers_back(stocked: Cli, home: Path) -> None:
    stocked.ok("pool", "take", "support", "--count", "2", "--for", "crm")
    configure(home, "")
    [row] = stocked.json("pool", "list")
    assert (row["pool"], row["state"], row["taken"], row["available"]) == ("support", "not configured", 2, 2)
    assert "not configured" in stocked.ok("pool", "list")
    assert "has no country code" in stocked.refused("pool", "return", "support", "(415) 500-0001")
    returned = stocked("pool", "return", "support", FIRST[1])
    assert (returned.exit_code, returned.stdout) == (0, f"{FIRST[1]:<16}  taken by crm\n")
    assert levels(stocked, "taken", "available") == [1, 3]
    assert "is taken by nobody" in stocked.refused("pool", "return", "support", FIRST[1], status=1)


def test_a_pool_goes_on_by_another_name(stocked: Cli, home: Path, desk: Desk) -> None:
    stocked.ok("pool", "take", "support", "--for", "crm")
    assert "take [pools.support] out first" in stocked.refused("pool", "move", "support", "support")
    configure(home, TABLE.replace("pools.support", "pools.helpdesk"))
    checks = json.loads(stocked("doctor", "--json").stdout)["checks"]
    told = [(one["level"], one["message"], one["mend"]) for one in checks if one["name"] == "pools"]
    assert [one[:2] for one in told] == [
        ("warn", "4 numbers stand in support, which is not configured any more: nobody can take them")
    ]
    assert "dialstock pool move support NAME" in told[0][2]
    assert "`dialstock pool move support NAME`" in stocked.ok("pool", "show", "support")
    assert "there is no pool sales" in stocked.refused("pool", "move", "sales", "helpdesk")
    assert "sales" in stocked.refused("pool", "move", "support", "sales")
    assert "4 numbers of support stand in helpdesk now." in stocked.ok("pool", "move", "support", "helpdesk")
    assert levels(stocked, "available", "taken", "bought_today") == [3, 1, 4]
    assert stocked.ok("pool", "take", "helpdesk", "--count", "3").split() == FIRST[1:]
    assert "there is no pool support" in stocked.refused("pool", "move", "support", "helpdesk")
    assert len(purchased(desk)) == len(FIRST)


def test_a_move_is_told_as_one_document(stocked: Cli, home: Path) -> None:
    configure(home, TABLE.replace("pools.support", "pools.helpdesk"))
    moved = {"former": "support", "pool": "helpdesk", "moved": 4}
    assert stocked.json("pool", "move", "support", "helpdesk") == moved


def test_a_pool_whose_runs_fail_says_so_and_what_to_do(stocked: Cli, desk: Desk) -> None:
    reason = broken(ValueError("a bug")).reason
    with desk.runtime.database.write() as conn:
        conn.execute(update(POOL).values(status="blocked", reason=reason))
    assert "support is blocked since" in stocked.ok("pool", "list")
    shown = stocked.ok("pool", "show", "support")
    assert f"{reason}" in shown
    assert "`dialstock pool run support` shows it here" in shown


def test_what_is_ordered_elsewhere_is_told_as_that(both: Cli, home: Path, shop: SandboxServer, desk: Desk) -> None:
    both.ok("pool", "run", "support")
    configure(home, TABLE.replace('"signalwire", ', ""))
    told = "4 numbers would be ordered, 4 in place of numbers that waited where nothing is bought now."
    assert told in both.ok("pool", "run", "support", "--dry-run")
    assert "4 numbers, 4 in place of numbers that waited" in both.ok("pool", "run", "support")


def test_a_run_that_did_not_come_is_told(stocked: Cli, desk: Desk) -> None:
    assert "did not come" not in stocked.ok("pool", "list")
    late = desk.runtime.now() - timedelta(minutes=6)
    with desk.runtime.database.write() as conn:
        conn.execute(update(POOL).values(next_run_at=late))
    assert "and did not come: do workers and beat run?" in stocked.ok("pool", "show", "support")


def test_a_run_that_is_under_way_is_not_joined(stocked: Cli, desk: Desk) -> None:
    stocked.ok("pool", "take", "support", "--count", "4")
    with desk.runtime.database.write() as conn:
        conn.execute(update(POOL).values(leased_until=desk.runtime.now() + timedelta(minutes=1)))
    assert "being topped up already" in stocked.refused("pool", "run", "support", status=1)
    assert "runs now" in stocked.ok("pool", "list")


def test_the_pool_of_the_readme_can_be_configured() -> None:
    table = (PROJECT / "README.md").read_text().partition("```toml\n[pools.support]")[2].partition("```")[0]
    config = parse_config(sandbox_config_text("http://127.0.0.1:1") + "[pools.support]" + table, "README.md")
    assert config.pools["support"].target == 50


@pytest.mark.parametrize("command", ["show", "run", "take", "return"])
def test_an_unknown_pool_is_wrong_use(both: Cli, shop: SandboxServer, command: str) -> None:
    numbers = ["+14155000000"] if command == "return" else []
    assert "did you mean 'support'?" in both.refused("pool", command, "suport", *numbers)


def test_without_any_pool_the_mend_is_told(cli: Cli) -> None:
    assert "providers.toml has no [pools.NAME]" in cli.refused("pool", "show", "support")
    assert cli.json("pool", "list") == []
    assert "There is no pool" in cli("pool", "list").stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["take", "support", "--count", "0"], "--count"),
        (["take", "support", "--request-id", "a b"], "request_id"),
        (["take", "support", "--for", "a\nb"], "taker"),
        (["return", "support"], "Missing argument 'NUMBER...'"),
        (["return", "support", "frob"], "frob"),
    ],
)
def test_wrong_use(cli: Cli, home: Path, sandbox: SandboxServer, arguments: list[str], message: str) -> None:
    configure(home, TABLE)
    assert message in cli.refused("pool", *arguments)


def test_a_missing_secret_and_a_redis_that_is_away(
    cli: Cli, home: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(home, TABLE)
    monkeypatch.setenv("REDIS_URL", "redis://:s3cr3t@127.0.0.1:1/0")
    told = cli.refused("pool", "run", "support", status=3)
    assert "is away" in told
    assert "s3cr3t" not in told
    monkeypatch.delenv("SANDBOX_TOKEN")
    assert "SANDBOX_TOKEN" in cli.refused("pool", "run", "support")


def test_real_processes_fill_with_the_embedded_server_and_print_numbers_alone(
    cli: Cli, home: Path, sandbox: SandboxServer, desk: Desk, start: Start
) -> None:
    configure(home, TABLE)
    filling = start("pool", "run", "support", "--json")
    out, err = filling.communicate(timeout=PATIENCE)
    assert filling.returncode == 0, err
    assert json.loads(out)["ordered"] == 4
    assert "no worker seems to be running: start them with `dialstock up`" in err
    deliver(desk)
    cli.ok("pool", "take", "support", "--count", "2")
    takers = [start("pool", "take", "support") for _ in range(3)]
    printed = sorted(taker.communicate(timeout=PATIENCE)[0] for taker in takers)
    assert printed == ["", *(f"{number}\n" for number in purchased(desk)[2:])]
    assert sorted(taker.returncode for taker in takers) == [0, 0, 1]


def test_what_is_in_a_pool_is_not_bought_for_another_order(stocked: Cli, desk: Desk, home: Path) -> None:
    before = counted(desk)
    mend = f"{FIRST[0]} is in the pool support: take it with dialstock pool take support"
    assert mend in stocked.refused("buy", FIRST[0], "--provider", "signalwire")
    path = csv_file(home, [f"{NUMBERS[0]},signalwire", f"{FIRST[0]},signalwire"])
    for more in ([], ["--dry-run"]):
        assert f"line 3, number: {mend}" in stocked.refused("order", "submit", str(path), *more)
    assert counted(desk) == before
    assert stocked.json("order", "submit", str(path), "--skip-invalid")["lines"] == 1

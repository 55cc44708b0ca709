"""`order watch`: to the end, with the right status, and leaving it without harm."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from schemas.status import Status
from tasks import orders
from tests.waiting import PATIENCE
from tests.workers.cli.running import NUMBERS, Cli, settle, simple_file
from workers.views.desk import Desk

Start = Callable[..., "subprocess.Popen[str]"]


def test_an_order_that_is_bought_ends_with_0(both: Cli, desk: Desk, home: Path) -> None:
    order = both.submit(simple_file(home, 2))
    for number in NUMBERS[:2]:
        settle(desk, number, Status.PURCHASED)
    told = both.ok("order", "watch", order)
    assert f"order {order} completed: 2 bought of 2" in told
    assert f"dialstock order export {order}" in told
    assert both.json("order", "show", order)["status"] == "completed"


def test_an_order_with_failed_and_held_lines_ends_with_1_and_says_what_to_do(cli: Cli, desk: Desk, home: Path) -> None:
    order = cli.submit(simple_file(home, 3))
    for number, status in zip(NUMBERS, (Status.PURCHASED, Status.FAILED, Status.HELD), strict=False):
        settle(desk, number, status)
    result = cli("order", "watch", order)
    assert result.exit_code == 1
    assert "1 bought, 1 failed, 1 held of 3" in result.stdout
    assert f"dialstock order retry {order}" in result.stdout
    assert f"dialstock order show {order} --lines --status held" in result.stdout


def test_an_order_at_its_limit_is_not_told_to_be_retried(both: Cli, desk: Desk, home: Path) -> None:
    order = both.submit(simple_file(home, 3), "--max", "1")
    settle(desk, NUMBERS[0], Status.PURCHASED)
    assert orders.complete_finished(desk.runtime) + orders.complete_finished(desk.runtime) == 1
    told = both("order", "watch", order).stdout
    assert "order retry" not in told
    assert "all that its --max 1 allows: submit the numbers that you want too as a new order" in told
    assert "all that its --max 1 allows" in both.refused("order", "retry", order)


def test_json_ends_with_the_end(cli: Cli, desk: Desk, home: Path) -> None:
    order = cli.submit(simple_file(home, 1))
    settle(desk, NUMBERS[0], Status.FAILED)
    result = cli("order", "watch", order, "--json")
    assert result.exit_code == 1
    last = json.loads(result.stdout.splitlines()[-1])
    assert (last["type"], last["status"], last["failed"]) == ("end", "completed", 1)


def test_an_order_that_was_given_up_ends_with_1(cli: Cli, desk: Desk) -> None:
    order = orders.begin(desk.runtime)["id"]
    orders.abandon(desk.runtime, order)
    result = cli("order", "watch", order)
    assert result.exit_code == 1
    assert "abandoned" in result.stdout
    assert "order retry" not in result.stdout


def test_submit_and_wait_where_nothing_is_left_to_buy(cli: Cli, desk: Desk, home: Path) -> None:
    path = simple_file(home, 1)
    cli.submit(path)
    settle(desk, NUMBERS[0], Status.PURCHASED)
    result = cli("order", "submit", str(path), "--wait", "--json")
    assert result.exit_code == 0
    first, *_, last = [json.loads(line) for line in result.stdout.splitlines()]
    assert (first["type"], first["found"]) == ("accepted", 1)
    assert (last["type"], last["bought"]) == ("end", 1)


def test_ctrl_c_leaves_the_order_running(cli: Cli, desk: Desk, home: Path, start: Start) -> None:
    order = cli.submit(simple_file(home, 2))
    process = start("order", "watch", order)
    assert process.stderr is not None
    line = process.stderr.readline()
    assert "2 waiting of 2" in line
    assert "no worker seems to be running: start them with `dialstock up`" in line
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, "")
    assert f"The order goes on. Watch it again: dialstock order watch {order}" in err
    assert cli.json("order", "show", order)["status"] == "open"


def test_json_progress_is_one_object_a_line(cli: Cli, home: Path, start: Start) -> None:
    order = cli.submit(simple_file(home, 2))
    process = start("order", "watch", order, "--json")
    assert process.stdout is not None
    first, second = (json.loads(process.stdout.readline()) for _ in range(2))
    assert (first["type"], second["type"], first["waiting"]) == ("progress", "progress", 2)
    assert first["providers"][0]["why"] == ["waiting for its turn, at most 4.9/s"]
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130

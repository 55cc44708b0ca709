"""An order that is broken off while it loads: nothing of it is bought, and the same file may come again."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from schemas.requests import BuyNumber
from schemas.status import DEAD
from schemas.tables.purchases import ORDER, PURCHASE
from tasks import orders
from tests.waiting import PATIENCE, eventually
from tests.workers.cli.running import NUMBERS, Cli, counted, csv_file
from workers.views.desk import Desk
from workers.views.errors import Failure
from workers.views.orders.check_file import Checked
from workers.views.orders.load import load_order

ROWS = 20_000
Start = Callable[..., "subprocess.Popen[str]"]


def statuses(desk: Desk) -> set[str]:
    with desk.runtime.database.read() as conn:
        return set(conn.execute(select(ORDER.c.status)).scalars())


def alive(desk: Desk) -> int:
    with desk.runtime.database.read() as conn:
        return len(conn.execute(select(PURCHASE.c.id).where(PURCHASE.c.status.not_in(DEAD))).all())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_loading_leaves_nothing_bought(
    cli: Cli, desk: Desk, home: Path, start: Start, number: signal.Signals
) -> None:
    rows = [f"+1415{5_000_000 + n},timepay,key-{n}" for n in range(ROWS)]
    header = "number,provider,idempotency_key"
    process = start("order", "submit", str(csv_file(home, rows, header)))
    eventually(lambda: alive(desk) > 0)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (128 + number, "")
    assert "was given up: nothing of it was bought, submit the file again" in err
    assert statuses(desk) == {"abandoned"}
    assert alive(desk) == 0
    assert 0 < counted(desk)[1] < ROWS
    again = cli.json("order", "submit", str(csv_file(home, rows[:600], header)))
    assert again["new"] == 600


class Disturbed(Checked):
    """Something happens when the second chunk is read."""

    def __init__(self, count: int, event: Callable[[], object]) -> None:
        super().__init__()
        self._event = event
        for n in range(count):
            self.lines.add([n, {}])

    def requests(self) -> Iterator[tuple[int, BuyNumber]]:
        for n in range(len(self.lines)):
            if n == orders.CHUNK:
                self._event()
            request = BuyNumber.model_construct(
                number=f"+1415{5_000_000 + n}", provider="bird", idempotency_key=None, options={}, metadata={}
            )
            yield n + 1, request


def disturb(desk: Desk, event: Callable[[], object]) -> Failure:
    checked = Disturbed(orders.CHUNK + 1, event)
    try:
        with pytest.raises(Failure) as caught:
            load_order(desk.runtime, checked, name=None, metadata={})
    finally:
        checked.close()
    return caught.value


def test_an_error_while_loading_gives_the_order_up(cli: Cli, desk: Desk) -> None:
    def fail() -> None:
        raise OSError("no space left on device")

    failure = disturb(desk, fail)
    assert "no space left on device" in str(failure)
    assert "was given up: nothing of it was bought" in str(failure)
    assert statuses(desk) == {"abandoned"}
    assert alive(desk) == 0


def test_what_is_in_of_an_order_that_loads_is_listed(both: Cli, desk: Desk) -> None:
    order_id = str(orders.begin(desk.runtime)["id"])
    orders.load(desk.runtime, order_id, [(n, BuyNumber(number=NUMBERS[n], provider="bird")) for n in (1, 2)])
    [listed] = both.json("order", "list")
    assert (listed["status"], listed["lines"], listed["waiting"]) == ("loading", 2, 2)
    both.ok("order", "cancel", "last")
    [listed] = both.json("order", "list")
    assert (listed["status"], listed["lines"], listed["cancelled"]) == ("abandoned", 2, 2)


def test_an_order_that_is_cancelled_while_it_loads_is_told(cli: Cli, desk: Desk) -> None:
    failure = disturb(desk, lambda: cli.ok("order", "cancel", "last"))
    assert "given up" in str(failure)
    assert statuses(desk) == {"abandoned"}
    assert alive(desk) == 0


def test_numbers_in_work_before_stay_in_work(cli: Cli, desk: Desk, home: Path) -> None:
    cli.submit(csv_file(home, ["+14155000000,bird", f"{NUMBERS[0]},bird"]))
    disturb(desk, lambda: 1 / 0)
    assert statuses(desk) == {"open", "abandoned"}
    assert alive(desk) == 2

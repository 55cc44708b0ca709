"""A line comes to point to a purchase while another transaction gives its number back, or ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest
from sqlalchemy import Connection, insert, select, update

from schemas.requests import BuyNumber, RequestError
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import LINE, ORDER, PURCHASE
from tasks import orders
from tasks.ledger.locking import hold
from tasks.ledger.releases import calls
from tasks.ledger.requests import accept as accepting
from tests.tasks.beside import beside
from tests.tasks.releasing import DONE, Returns, make_returns
from tests.tasks.support import NUMBER
from workers.database.connections import SqlDatabase


@pytest.fixture
def returns(postgres_url: str) -> Iterator[Returns]:
    """SQLite has one writer at a time."""
    database = SqlDatabase(postgres_url)
    yield make_returns(database)
    database.close()


@pytest.fixture
def before_the_lock(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Has something happen, once, between the read of a purchase and its lock."""

    def have(happen: Callable[[], None]) -> None:
        left = [happen]
        hold = accepting.hold

        def late(conn: Connection, ids: Iterable[str]) -> dict[str, str]:
            wanted = list(ids)
            if wanted and left:
                left.pop()()
            return hold(conn, wanted)

        monkeypatch.setattr(accepting, "hold", late)

    return have


def load(returns: Returns) -> str:
    order_id = str(orders.begin(returns.runtime, name="file.csv")["id"])
    orders.load(returns.runtime, order_id, [(1, BuyNumber(number=NUMBER, provider="acme"))])
    orders.finish(returns.runtime, order_id)
    return order_id


def bought_for(returns: Returns) -> str:
    for _ in range(3):
        returns.world.tick()
    [line] = returns.world.rows(select(LINE))
    return str(returns.world.row(line["purchase_id"])["status"])


def test_a_number_that_is_gone_by_then_is_bought_anew(
    returns: Returns, before_the_lock: Callable[[Callable[[], None]], None]
) -> None:
    row = returns.bought()

    def give_back() -> None:
        returns.ask(row)
        returns.step()

    before_the_lock(give_back)
    load(returns)
    assert bought_for(returns) == Status.PURCHASED
    assert sorted(returns.statuses()) == [Status.PURCHASED, Status.RELEASED]


def test_a_number_that_is_on_its_way_back_by_then_is_refused(
    returns: Returns, before_the_lock: Callable[[Callable[[], None]], None]
) -> None:
    row = returns.bought()
    before_the_lock(lambda: returns.ask(row) and None)
    with pytest.raises(RequestError) as failure:
        load(returns)
    assert failure.value.code == "being_released"
    assert returns.world.rows(select(LINE)) == []


def test_a_number_whose_purchase_failed_by_then_is_bought_anew(
    returns: Returns, before_the_lock: Callable[[Callable[[], None]], None]
) -> None:
    returns.world.queued()

    def fail() -> None:
        with returns.world.write() as conn:
            conn.execute(update(PURCHASE).values(status=Status.FAILED))

    before_the_lock(fail)
    load(returns)
    assert bought_for(returns) == Status.PURCHASED


def test_an_order_that_comes_while_the_end_waits_for_the_lock_is_told_of_it(returns: Returns) -> None:
    row = returns.bought()
    returns.ask(row)
    runtime, binding = returns.runtime, returns.world.binding
    run, policy, watch = runtime.database.run, binding.policy, runtime.watched()
    taken = run(lambda conn: calls.take_due(conn, "acme", row["account"], watch, policy, lease=60.0))
    assert taken is not None
    intent = run(lambda conn: calls.claim(conn, taken, None, watch.now, policy))
    assert isinstance(intent, calls.Intent)
    order_id = str(orders.begin(runtime, name="file.csv")["id"])
    line = {"order_id": order_id, "line": 1, "number": NUMBER, "provider": "acme", "purchase_id": row["id"]}

    def record() -> None:
        assert run(lambda conn: calls.record(conn, intent, DONE, policy, watch.now)).after == Status.RELEASED

    with beside(returns.world, record) as conn:
        hold(conn, [row["id"]])
        conn.execute(insert(LINE).values(**line, shared=True))
        conn.execute(update(ORDER).values(status=OrderStatus.COMPLETED))
    assert [order["status"] for order in returns.world.rows(select(ORDER))] == [OrderStatus.OPEN]

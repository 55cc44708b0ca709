"""An order's own limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from sqlalchemy import event, insert, select, text

from schemas.outcomes import Outcome, OutcomeKind
from schemas.requests import BuyNumber
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import PURCHASE
from tasks import orders
from tasks.ledger.orders import limits
from tasks.ledger.queue import dispatch
from tasks.ledger.rows import new_id
from tasks.lifecycle import release_and_sweep
from tasks.policies.full_orders import REMEMBERED
from tasks.reports.queries import find_order, order_counts
from tests.servers.postgres import PostgresServer
from tests.tasks.scripted_provider import REFUSED, UNKNOWN
from tests.tasks.support import ACCOUNT, World, make_world, number
from workers.database.connections import SqlDatabase

PROCESSING = Outcome(kind=OutcomeKind.PROCESSING, http_status=201, provider_number_id="p")


def submit(world: World, count: int, limit: int | None) -> str:
    order_id = str(orders.begin(world.runtime, max_purchases=limit)["id"])
    requests = [BuyNumber(number=number(index), provider=("acme", "twin")[index % 2]) for index in range(count)]
    orders.load(world.runtime, order_id, list(enumerate(requests, 1)))
    orders.finish(world.runtime, order_id)
    return order_id


def run(world: World, order_id: str, ticks: int = 40) -> Counter[str]:
    for _ in range(ticks):
        for binding in world.runtime.providers.values():
            release_and_sweep.release_due(world.runtime, binding)
        world.tick()
        orders.complete_finished(world.runtime)
        world.clock.advance(5.0)
    with world.runtime.database.read() as conn:
        counts = order_counts(conn, order_id)
        assert (find_order(conn, order_id) or {})["status"] == OrderStatus.COMPLETED
    return sum((Counter({row["status"]: row["count"]}) for row in counts), Counter())


def test_no_more_than_the_limit_is_bought_and_the_rest_is_cancelled(world: World) -> None:
    order_id = submit(world, 8, 3)
    assert run(world, order_id) == {Status.PURCHASED: 3, Status.CANCELLED: 5}
    assert len(world.provider.charged) == 3


def test_a_refused_number_does_not_count(world: World) -> None:
    order_id = submit(world, 5, 3)
    world.provider.script.append(REFUSED)
    assert run(world, order_id) == {Status.PURCHASED: 3, Status.FAILED: 1, Status.CANCELLED: 1}


def test_a_doubt_counts_until_it_is_settled(world: World) -> None:
    order_id = submit(world, 4, 2)
    world.provider.script.extend([UNKNOWN, UNKNOWN])
    result = run(world, order_id)
    assert result[Status.PURCHASED] == 2
    assert len(world.provider.charged) == 2


def test_without_a_limit_all_is_bought(world: World) -> None:
    assert run(world, submit(world, 4, None)) == {Status.PURCHASED: 4}


def lanes(world: World) -> list[str | None]:
    with world.runtime.database.read() as conn:
        return dispatch.due_lanes(conn, "acme", ACCOUNT, world.clock(), world.runtime.full_orders.known())


def test_an_order_that_has_come_to_its_limit_is_no_lane(make: Callable[..., World]) -> None:
    world = make(max_in_flight=1)
    order_id = submit(world, 6, 2)
    for expected in ([order_id], [order_id], []):
        world.provider.script.append(PROCESSING)
        world.release()
        world.work()
        assert lanes(world) == expected
    assert counted(world) == (2, 2)


@pytest.mark.parametrize("limit", [1, 2])
def test_what_waits_with_a_doubt_counts_and_is_bought_before_the_others(world: World, limit: int) -> None:
    order_id = submit(world, 6, limit)
    world.provider.script.extend([UNKNOWN] * limit)
    assert run(world, order_id, ticks=100) == {Status.PURCHASED: limit, Status.CANCELLED: 6 - limit}
    doubted = [row["doubt"] for row in world.rows(select(PURCHASE)) if row["status"] == Status.PURCHASED]
    assert doubted == [True] * limit


@pytest.mark.parametrize("day", [0, 1])
def test_what_waits_with_a_doubt_is_not_called_for_once_others_have_come_to_the_limit(
    make: Callable[..., World], day: int
) -> None:
    """What a restored database takes in was bought, whatever is left; so is what a late answer tells."""
    world = make(daily_limit=day, max_in_flight=1)
    order_id = submit(world, 2, 1)
    world.provider.script.append(UNKNOWN)
    for _ in range(40):
        world.tick()
        if [row["status"] for row in world.rows(select(PURCHASE).where(PURCHASE.c.doubt))] == [Status.QUEUED]:
            break
        world.clock.advance(5.0)
    evidence = "UPDATE purchase SET status = 'purchased', finished_at = created_at, due_at = NULL WHERE NOT doubt"
    by_hand(world, evidence)
    world.clock.advance(60.0)
    assert world.release() == 0
    assert run(world, order_id) == {Status.PURCHASED: 1, Status.HELD: 1}
    assert len(world.provider.calls) == 1


def counted(world: World) -> tuple[int | None, int]:
    """What the database keeps of the one order's purchases that count, and how many do."""
    counts = text(
        "SELECT used_at_most, (SELECT count(*) FROM purchase WHERE order_id = o.id AND (status NOT IN "
        "('queued', 'failed', 'cancelled') OR (status = 'queued' AND doubt))) FROM purchase_order o"
    )
    with world.runtime.database.read() as conn:
        return tuple(conn.execute(counts).one())


class Counting:
    """How often what an order bought is counted."""

    def __init__(self, world: World) -> None:
        self.times = 0
        event.listen(world.runtime.database.engine, "before_cursor_execute", self._note)  # type: ignore[attr-defined]

    def _note(self, _conn: object, _cursor: object, statement: str, *_: object) -> None:
        self.times += "count(*)" in statement and "'purchased'" in statement

    def __call__(self) -> int:
        found, self.times = self.times, 0
        return found


def test_what_an_order_bought_is_counted_as_it_begins_and_as_it_comes_to_its_limit(
    make: Callable[..., World],
) -> None:
    world = make(max_in_flight=1)
    times = Counting(world)
    submit(world, 12, 3)
    for expected in (1, 0, 0, 1, 0, 0):
        world.release()
        assert times() == expected
        world.work()
        most, used = counted(world)
        assert most == used
    assert len(world.provider.charged) == 3


def test_a_full_order_is_counted_once_a_second_until_one_of_its_purchases_fails(make: Callable[..., World]) -> None:
    world = make(max_in_flight=2)
    submit(world, 8, 1)
    world.provider.script.append(REFUSED)
    times = Counting(world)
    # As it begins, and for the second that there would be room for.
    for expected in (2, 0):
        world.release()
        assert times() == expected
    world.work()
    assert counted(world) == (1, 0)
    world.release()
    assert (times(), world.sent) == (0, [])
    world.clock.advance(REMEMBERED)
    world.release()
    world.work()
    assert counted(world) == (1, 1)
    assert len(world.provider.charged) == 1


@pytest.mark.parametrize("status", [*Status])
@pytest.mark.parametrize("doubt", [False, True])
def test_whatever_changes_a_purchase_the_database_counts_it(world: World, status: Status, doubt: bool) -> None:
    """So do programs of the release before, which know nothing of it."""
    order_id = submit(world, 2, 2)
    world.release()
    first, second = [row["id"] for row in world.rows(select(PURCHASE).order_by(PURCHASE.c.id))]
    by_hand(world, "UPDATE purchase SET status = 'failed', doubt = false")
    by_hand(world, "UPDATE purchase_order SET used_at_most = 0")
    by_hand(world, f"UPDATE purchase SET status = '{status}', doubt = {doubt} WHERE id = '{first}'")
    most, used = counted(world)
    assert most == used
    by_hand(world, f"UPDATE purchase SET status = '{status}', attempts = 7 WHERE id = '{first}'")
    assert counted(world) == (used, used)
    by_hand(world, f"UPDATE purchase SET status = '{status}', doubt = {doubt}, order_id = NULL WHERE id = '{second}'")
    by_hand(world, f"UPDATE purchase SET order_id = '{order_id}' WHERE id = '{second}'")
    assert counted(world) == (2 * used, 2 * used)
    by_hand(world, "UPDATE purchase SET status = 'failed'")
    assert counted(world) == (2 * used, 0)


def test_a_purchase_that_is_written_as_bought_counts_at_once(world: World) -> None:
    submit(world, 1, 1)
    world.release()
    world.work()
    with world.runtime.database.write() as conn:
        [row] = [dict(row) for row in conn.execute(select(PURCHASE)).mappings()]
        rows = [{**row, "id": new_id(), "number": number(50 + n), "idempotency_key": None} for n in range(3)]
        conn.execute(insert(PURCHASE), rows)
    assert counted(world) == (4, 4)


def test_who_counts_waits_for_what_is_about_to_count(make: Callable[..., World]) -> None:
    """Also where the order has no count yet: one that did not see it would let one more be bought."""
    world = make()
    order_id = submit(world, 2, 2)
    engine = world.runtime.database.engine  # type: ignore[attr-defined]
    if engine.dialect.name == "sqlite":
        pytest.skip("it has one writer")
    late = text("UPDATE purchase SET status = 'purchased' WHERE number = :number")
    with engine.connect() as conn, ThreadPoolExecutor(1) as pool:
        conn.execute(late, {"number": number(0)})
        left = pool.submit(lambda: world.runtime.database.run(partial(limits.allowance, order_id=order_id, wanted=2)))
        with pytest.raises(TimeoutError):
            left.result(timeout=0.3)
        conn.commit()
        assert left.result(timeout=20) == 1
    assert counted(world) == (1, 1)


def test_the_rows_of_a_dump_go_into_new_tables_and_no_more_than_the_limit_is_bought(
    postgres: World, postgres_server: PostgresServer, postgres_url: str
) -> None:
    """What reads them in has no schema in its search_path: the triggers have to find the order all the same."""
    submit(postgres, 6, 4)
    postgres.provider.script.extend([PROCESSING] * 3)
    postgres.release()
    postgres.work()
    most, used = counted(postgres)
    engine = postgres.runtime.database.engine  # type: ignore[attr-defined]
    postgres_server.copy_rows(engine.url, postgres_url, "alembic_version", "schema_compatibility")
    database = SqlDatabase(postgres_url)
    restored = make_world(database)
    known, counts = counted(restored)
    assert (used, counts) == (most, used)
    assert known is not None
    assert known >= counts
    with database.write() as conn:
        [order_id] = conn.execute(text("SELECT id FROM purchase_order")).scalars()
        assert limits.allowance(conn, str(order_id), wanted=6) == 4 - counts
    database.close()


def by_hand(world: World, statement: str) -> None:
    with world.runtime.database.write() as conn:
        conn.execute(text(statement))

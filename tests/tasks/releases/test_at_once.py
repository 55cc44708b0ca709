"""Several who do it at once: one release, one call, one answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from sqlalchemy import select, update

from schemas.events import EventType
from schemas.requests import RequestError
from schemas.status import Status
from schemas.tables.purchases import EVENT, PURCHASE
from tasks.ledger.rows import Row, lock
from tasks.releases import giving_back
from tests.tasks.releasing import Returns
from tests.tasks.support import NUMBER, number


def test_workers_that_step_at_once_give_each_number_back_once(returns: Returns) -> None:
    rows = [returns.bought(number(n)) for n in range(6)]
    for row in rows:
        returns.ask(row)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: returns.step(), range(24)))
    for row in rows:
        assert returns.settle(row)["status"] == Status.RELEASED
    assert sorted(returns.provider.given) == sorted((row["number"], row["provider_number_id"]) for row in rows)


def test_a_message_that_two_workers_have_is_one_release(returns: Returns) -> None:
    returns.bought()
    wanted = {"number": NUMBER, "provider": "acme"}
    barrier = threading.Barrier(4)

    def send(_: int) -> Row:
        barrier.wait()
        return giving_back.release_number(returns.runtime, wanted, "m")

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(send, range(4)))
    assert len({one["id"] for one in found}) == 1
    assert len(returns.releases()) == 1


def test_a_message_that_comes_again_is_answered_after_what_its_number_comes_to_meanwhile(returns: Returns) -> None:
    row, wanted = returns.bought(), {"number": NUMBER, "provider": "acme"}
    giving_back.release_number(returns.runtime, wanted, "m")
    with ThreadPoolExecutor(1) as pool:
        with returns.world.write() as conn:
            standing = lock(conn, row["id"])
            assert standing is not None
            revision = standing["revision"] + 1
            conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(revision=revision))
            again = pool.submit(giving_back.release_number, returns.runtime, wanted, "m")
            wait([again], timeout=0.2)
        again.result()
    told = returns.world.rows(select(EVENT).where(EVENT.c.type == EventType.ACCEPTED).order_by(EVENT.c.seq))
    assert told[-1]["sequence"] == revision


@pytest.mark.parametrize("turn", range(5))
def test_who_asks_for_a_number_and_who_gives_it_back_do_not_both_have_it(returns: Returns, turn: int) -> None:
    row = returns.bought(idempotency_key="first")
    barrier = threading.Barrier(2)

    def said(action: Callable[[], object]) -> str | None:
        barrier.wait()
        try:
            action()
        except RequestError as exc:
            return exc.code
        return None

    with ThreadPoolExecutor(2) as pool:
        wanted = pool.submit(said, lambda: returns.world.accept(idempotency_key=f"late-{turn}"))
        given = pool.submit(said, lambda: returns.ask(row))
    after = returns.settle(row)["status"]
    assert (wanted.result(), given.result(), after) in [
        (None, "asked_for", Status.PURCHASED),
        ("being_released", None, Status.RELEASED),
    ]

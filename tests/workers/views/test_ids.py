"""Ids as people give them."""

import pytest
from sqlalchemy import insert, select

from schemas.tables.purchases import ORDER
from tasks.ledger.rows import new_id
from tests.workers.cli.running import Cli
from workers.views.desk import Desk
from workers.views.errors import Failure
from workers.views.ids import order_id
from workers.views.words import short_id

IDS = (
    "0198c0de-0000-7000-8000-000000000001",
    "0198c0de-0000-7000-8000-0000000000ff",
    "0198c0de-ffff-7000-8000-000000000001",
    "0198c0df-0000-7000-8000-000000000001",
)


@pytest.fixture
def orders(both: Cli, desk: Desk) -> Desk:
    now = desk.runtime.now()
    with desk.runtime.database.write() as conn:
        for one in IDS:
            conn.execute(
                insert(ORDER).values(id=one, status="open", lines=0, created_at=now, updated_at=now, metadata={})
            )
        assert len(conn.execute(select(ORDER.c.id)).all()) == len(IDS)
    return desk


def find(desk: Desk, text: str) -> str:
    with desk.runtime.database.read() as conn:
        return order_id(conn, text)


def test_whole_unique_beginning_and_last(orders: Desk) -> None:
    assert find(orders, IDS[0]) == IDS[0]
    assert find(orders, IDS[0].upper().replace("-", "")) == IDS[0]
    assert find(orders, "0198c0df") == IDS[3]
    assert find(orders, "0198c0de-f") == IDS[2]
    assert find(orders, IDS[1][:-1]) == IDS[1]
    assert find(orders, "last") == IDS[3]


def test_the_end_of_an_id_is_enough_with_dashes_or_without(orders: Desk) -> None:
    assert find(orders, "000000ff") == IDS[1]
    assert find(orders, "8000-0000000000FF") == IDS[1]
    assert find(orders, "ffff-7000-8000-000000000001") == IDS[2]
    assert find(orders, IDS[2].replace("-", "")[-25:]) == IDS[2]
    with pytest.raises(Failure, match=f"begins or ends several ids: {IDS[0]}, {IDS[2]}, {IDS[3]}: give more"):
        find(orders, "00000001")
    with pytest.raises(Failure, match="there is no order 0000000f"):
        find(orders, "0000000f")


def test_what_begins_one_id_and_ends_another_is_neither(orders: Desk) -> None:
    both = "0198c0df-0000-7000-8000-0000000000aa", "0198c0e0-0000-7000-8000-00000198c0e1", "0198c0e1" + IDS[0][8:]
    now = orders.runtime.now()
    with orders.runtime.database.write() as conn:
        for one in both:
            conn.execute(
                insert(ORDER).values(id=one, status="open", lines=0, created_at=now, updated_at=now, metadata={})
            )
    with pytest.raises(Failure, match=f"begins or ends several ids: {both[1]}, {both[2]}"):
        find(orders, "0198c0e1")


def test_ids_of_one_moment_are_told_apart_by_their_last_8_characters() -> None:
    made = [new_id() for _ in range(500)]
    assert len({one[:8] for one in made}) == 1
    assert len({short_id(one) for one in made}) == len(made)


def test_what_names_none_or_several(orders: Desk) -> None:
    with pytest.raises(Failure, match=r"begins or ends several ids: 0198c0de-0000-.*: give more of it"):
        find(orders, "0198c0de")
    with pytest.raises(Failure, match="there is no order 0198c0d0"):
        find(orders, "0198c0d0")
    for text in ("0198c0d", "", "x" * 36, f"{IDS[0]}0", "'; drop"):
        with pytest.raises(Failure, match="is no id of an order"):
            find(orders, text)

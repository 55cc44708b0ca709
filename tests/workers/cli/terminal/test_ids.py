"""Ids as people give them."""

import pytest
from sqlalchemy import insert, select

from schemas.tables.purchases import ORDER
from tests.workers.cli.running import Cli
from workers.cli.terminal.context import Desk
from workers.cli.terminal.errors import Failure
from workers.cli.terminal.ids import order_id

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


def test_what_names_none_or_several(orders: Desk) -> None:
    with pytest.raises(Failure, match=r"begins several ids: 0198c0de-0000-.*: give more of it"):
        find(orders, "0198c0de")
    with pytest.raises(Failure, match="there is no order 0198c0d0"):
        find(orders, "0198c0d0")
    for text in ("0198c0d", "", "x" * 36, f"{IDS[0]}0", "'; drop"):
        with pytest.raises(Failure, match="is no id of an order"):
            find(orders, text)

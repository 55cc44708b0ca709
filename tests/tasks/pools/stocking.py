"""Numbers in a pool, as a replenishment would have left them there, and those who take them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert

from schemas.pool_requests import ReturnNumber, TakeNumber
from schemas.tables.pools import POOL_NUMBER, Slot
from tasks.ledger.rows import Row, new_id
from tasks.pools.requests import take_and_return
from tests.tasks.clock import START
from tests.tasks.support import World

POOL = "support"
FIRST, SECOND = "+14150000001", "+14150000002"


def slots(count: int, *, pool: str = POOL, now: datetime = START, **values: Any) -> Iterator[Row]:
    """Available ones, the first for the longest time."""
    for slot in range(1, count + 1):
        yield {
            "pool": pool,
            "slot": slot,
            "status": Slot.AVAILABLE,
            "tries": 1,
            "number": f"+1415{slot:07d}",
            "provider": "acme",
            "purchase_id": new_id(),
            "provider_number_id": f"id-{slot}",
            "ordered_at": now,
            "available_at": now - timedelta(seconds=count - slot),
            "updated_at": now,
            **values,
        }


def fill(world: World, count: int, **values: Any) -> None:
    """Put *count* numbers into a pool; *values* go to `slots`."""
    with world.write() as conn:
        conn.execute(insert(POOL_NUMBER), list(slots(count, **values)))


def take(world: World, message_id: str = "m", **fields: Any) -> Row:
    return take_and_return.take(world.runtime, TakeNumber(**{"pool": POOL, **fields}), message_id)


def give_back(world: World, message_id: str = "r", number: str = FIRST, *, again: bool = False, **fields: Any) -> Row:
    request = ReturnNumber(**{"pool": POOL, "number": number, **fields})
    return take_and_return.give_back(world.runtime, request, message_id, again=again)


def numbers(answer: Row) -> list[str]:
    return [one["number"] for one in answer["numbers"]]

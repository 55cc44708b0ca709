"""What metadata is taken comes back to the character, out of the row and the event, on both databases."""

from __future__ import annotations

import bisect
import json
import random
import struct
from typing import Any

import pytest
from sqlalchemy import String, cast, func, select

from schemas.metadata import MAX_METADATA
from schemas.requests import RequestError, parse_buy
from schemas.tables.purchases import EVENT, PURCHASE
from tasks.providers.registry import kinds
from tests.tasks.support import World, number


def text_of(metadata: Any) -> str:
    """Types and signs too: 1 is 1.0, and 0.0 is -0.0, by ==."""
    return json.dumps(metadata, sort_keys=True)


def is_taken(metadata: dict[str, Any]) -> bool:
    try:
        parse_buy({"number": number(0), "provider": "fluents", "metadata": metadata}, kinds())
    except RequestError:
        return False
    return True


def any_float(draw: random.Random) -> float:
    return float(struct.unpack("<d", draw.randbytes(8))[0])


def taken(draw: random.Random, count: int) -> list[dict[str, Any]]:
    edges = [0.0, -0.0, 1e15, 1e16, -1e16, 1e22, 1e300, 1e-4, 1e-5, 1e-7, 5e-324, 1.0, 2**53, 2**64, 10**300, 0.1, True]
    values = [{"a": [{"b": value}]} for value in (*edges, *(any_float(draw) for _ in range(count)))]
    return [value for value in values if is_taken(value)]


def test_every_number_comes_back_to_the_character(world: World, seed: int) -> None:
    sent = taken(random.Random(seed), 200)
    assert len(sent) > 50
    for index, metadata in enumerate(sent):
        world.accept(number(index), metadata=metadata)
    rows = world.rows(select(PURCHASE.c.metadata).order_by(PURCHASE.c.number))
    assert [text_of(row["metadata"]) for row in rows] == [text_of(metadata) for metadata in sent]
    events = world.rows(select(EVENT.c.data).order_by(EVENT.c.subject))
    assert [text_of(event["data"]["metadata"]) for event in events] == [text_of(metadata) for metadata in sent]


@pytest.mark.parametrize("value", [1e-300, 5e-324, -1.5e-200, 0.1, 1e-5])
def test_what_is_kept_is_bounded_by_what_was_sent(world: World, value: float) -> None:
    most = bisect.bisect(range(1, 10_000), 0, key=lambda count: not is_taken({"a": [value] * count}))
    assert not is_taken({"a": [value] * (most + 1)})
    world.accept(number(1), metadata={"a": [value] * most})
    [row] = world.rows(select(func.length(cast(PURCHASE.c.metadata, String)).label("size")))
    assert row["size"] <= MAX_METADATA

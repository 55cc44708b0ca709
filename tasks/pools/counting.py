"""How the places of a pool stand, counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, func, select

from schemas.status import DEAD, Status
from schemas.tables.pools import AVAILABLE, ORDERED, POOL_NUMBER, WANTED, Slot
from schemas.tables.purchases import PURCHASE
from tasks.ledger.queue.pool_limits import spoken_for

DAY = timedelta(hours=24)

NO_LIMIT = 1_000_000_000
_AT = POOL_NUMBER.c
_BOUGHT = PURCHASE.c


@dataclass(frozen=True, kw_only=True)
class Supply:
    """What a pool has and expects: `on_the_way` counts by the purchases' status, `wanted` are its empty places."""

    available: int
    on_the_way: Mapping[str, int]
    wanted: int

    @property
    def held(self) -> int:
        """Purchases that wait for a person."""
        return self.on_the_way.get(Status.HELD, 0)

    @property
    def moving(self) -> int:
        """What is on its way and not held."""
        return sum(self.on_the_way.values()) - self.held

    def level(self, *, with_held: bool) -> int:
        """Available and on its way."""
        return self.available + self.moving + (self.held if with_held else 0)


@dataclass(frozen=True, kw_only=True)
class Levels(Supply):
    """All that is shown of a pool; `bought_today` is what it bought in 24 hours, or is about to buy."""

    taken: int
    bought_today: int


def supply(conn: Connection, name: str, most: int) -> Supply:
    """What the pool has and expects; the available are counted up to *most*.

    It does not depend on `settle`: a place whose purchase came to nothing is wanted, one that was bought is available.
    What is coming is counted first: what is settled meanwhile is counted twice, and not left out.
    """
    coming = _coming(conn, name)
    dead = sum(coming.pop(status, 0) for status in DEAD)
    # in the order of their own index: SQLite would take another one, of the whole pool
    ready = select(_AT.slot).where(_AT.pool == name, AVAILABLE).order_by(_AT.available_at).limit(most).subquery()
    return Supply(
        available=_count(conn, select(func.count()).select_from(ready)) + coming.pop(Status.PURCHASED, 0),
        on_the_way=coming,
        wanted=_count(conn, select(func.count()).select_from(POOL_NUMBER).where(_AT.pool == name, WANTED)) + dead,
    )


def levels(conn: Connection, name: str, now: datetime) -> Levels:
    """How the pool stands, every place counted."""
    query = select(_AT.status, func.count()).where(_AT.pool == name).group_by(_AT.status)
    places = {row[0]: row[1] for row in conn.execute(query)}
    known = supply(conn, name, places.get(Slot.AVAILABLE, 0))
    return Levels(**vars(known), taken=places.get(Slot.TAKEN, 0), bought_today=spoken_for(conn, name, now))


def _coming(conn: Connection, name: str) -> dict[str, int]:
    # Of a status that only a newer program knows too: it may have been bought.
    query = (
        select(_BOUGHT.status, func.count())
        .select_from(POOL_NUMBER.join(PURCHASE, _BOUGHT.id == _AT.purchase_id))
        .where(_AT.pool == name, ORDERED)
        .group_by(_BOUGHT.status)
    )
    return {row[0]: row[1] for row in conn.execute(query)}


def _count(conn: Connection, query: Select[Any]) -> int:
    return int(conn.execute(query).scalar_one())

"""A table with a past: finished orders, with their purchases, attempts and events, written in bulk by the database."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    String,
    Table,
    Text,
    case,
    cast,
    insert,
    literal,
    null,
    select,
)
from sqlalchemy import column as plain_column

from schemas.events import EventType
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import ATTEMPT, EVENT, LINE, ORDER, PURCHASE
from workers.database.connections import SqlDatabase

ORDER_SIZE = 10_000
_STEP = 7_919
"""Numbers of the past lie this far apart, so that those of a new order fall between them."""

_INDEX: ColumnElement[int] = plain_column("i", BigInteger)


def write_past(database_url: str, rows: int, *, provider: str, account: str) -> None:
    """Write *rows* finished purchases, in orders of up to 10,000 an hour apart, then ANALYZE."""
    database = SqlDatabase(database_url)
    now = datetime.now(UTC)
    try:
        for first in range(0, rows, ORDER_SIZE):
            at = now - timedelta(hours=1 + (rows - first) / ORDER_SIZE)
            with database.write() as conn:
                _Past(conn, first, min(ORDER_SIZE, rows - first), at, provider, account).write()
        with database.write() as conn:
            conn.exec_driver_sql("ANALYZE")
    finally:
        database.close()


def between() -> Iterator[str]:
    """A million numbers that are not in the past, but anywhere among it."""
    places = list(range(1_000_000))
    random.shuffle(places)
    return (f"+1{2_000_000_000 + place * _STEP + 1}" for place in places)


@dataclass(frozen=True)
class _Past:
    """One order of the past: purchases *first* and those after it."""

    conn: Connection
    first: int
    count: int
    at: datetime
    provider: str
    account: str

    def write(self) -> None:
        self._orders()
        self._insert(PURCHASE, self._purchase())
        self._insert(ATTEMPT, self._attempt())
        self._insert(LINE, self._line())
        self._insert(EVENT, self._event())

    def _orders(self) -> None:
        times = {"created_at": self.at, "updated_at": self.at, "completed_at": self.at}
        order = {"id": self._order, "status": OrderStatus.COMPLETED, "lines": self.count, "metadata": {}}
        self.conn.execute(insert(ORDER), [{**order, **times}])

    def _purchase(self) -> dict[str, Any]:
        place = _INDEX % 100
        status = case(
            (place < 92, str(Status.PURCHASED)),
            (place < 97, str(Status.FAILED)),
            (place < 99, str(Status.CANCELLED)),
            else_=str(Status.RELEASED),
        )
        return {
            "id": _id("8000"),
            "order_id": self._order,
            "number": _number(),
            "provider": self.provider,
            "account": self.account,
            "status": status,
            "success": case((place < 92, literal(True)), else_=literal(False)),
            "error": case((place < 92, null()), else_=literal("the provider refused the number")),
            "provider_number_id": case((place < 92, _text("id-"))),
            "attempts": 1,
            "revision": 3,
            "options": {},
            "metadata": {},
            "already_owned": False,
            "doubt": False,
            "looks": 0,
            "look_failures": 0,
            "tried_seconds": 0.2,
            **dict.fromkeys(("created_at", "updated_at", "finished_at", "call_deadline"), self.at),
            "first_attempt_at": self.at,
        }

    def _attempt(self) -> dict[str, Any]:
        return {
            "purchase_id": _id("8000"),
            "revision": 2,
            "outcome": "purchased",
            "http_status": 200,
            "detail": _text('{"id": "id-'),
            **dict.fromkeys(("started_at", "deadline", "ended_at"), self.at),
        }

    def _line(self) -> dict[str, Any]:
        return {
            "order_id": self._order,
            "line": _INDEX - self.first + 1,
            "number": _number(),
            "provider": self.provider,
            "purchase_id": _id("8000"),
            "shared": False,
        }

    def _event(self) -> dict[str, Any]:
        return {
            "id": _id("9000"),
            "type": str(EventType.PURCHASED),
            "source": f"/dialstock/providers/{self.provider}",
            "subject": _number(),
            "sequence": 3,
            "data": {"provider": self.provider, "status": "purchased", "success": True, "attempts": 1, "metadata": {}},
            "time": self.at,
            "published_at": self.at,
        }

    @property
    def _order(self) -> str:
        return f"01900000-0000-7000-a000-{self.first:012d}"

    def _insert(self, table: Table, values: dict[str, Any]) -> None:
        chosen = [_typed(value, table, name) for name, value in values.items()]
        self.conn.execute(insert(table).from_select(list(values), select(*chosen).select_from(self._indexes())))

    def _indexes(self) -> Any:
        start = select(literal(self.first, BigInteger).label("i")).cte("indexes", recursive=True)
        return start.union_all(select(start.c.i + 1).where(start.c.i < self.first + self.count - 1))


def _typed(value: Any, table: Table, name: str) -> ColumnElement[Any]:
    target = table.c[name].type
    # SQLite has no dates and no JSON to cast to.
    return cast(value, target) if isinstance(value, ColumnElement) else literal(value, target)


def _id(kind: str) -> ColumnElement[str]:
    return literal(f"01900000-0000-7000-{kind}-0000", String) + cast(_INDEX + 10_000_000, Text)


def _number() -> ColumnElement[str]:
    return literal("+1", String) + cast(2_000_000_000 + _INDEX * _STEP, Text)


def _text(before: str) -> ColumnElement[str]:
    return literal(before, String) + cast(_INDEX, Text)

"""Rows, their one way to change, and the events that tell of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, Table, Update, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningUpdate
from uuid_utils.compat import uuid7

from schemas.events import EVENT_OF, ORDERS_SOURCE, EventType, provider_source, purchase_data
from schemas.status import DEAD, MOVES, Status, success_of
from schemas.tables.purchases import EVENT, KEY, PURCHASE
from tasks.policies.watched_time import Watch
from tasks.telemetry.traceparent import present

Row = dict[str, Any]

Read = Callable[[], AbstractContextManager[Connection]]
"""Begins a short transaction that only reads. What reads much does it in steps, each in its own: one that is left open
keeps SQLite's log growing, and PostgreSQL from cleaning up.
"""

_LOGGED = 20
ALWAYS = datetime.min.replace(tzinfo=UTC)
"""Before every time in a row."""

# Built once: building a statement costs more than running it.
_INSERT_EVENT = insert(EVENT)
_FIND = select(PURCHASE).where(PURCHASE.c.id == bindparam("wanted"))
_LOCK = _FIND.with_for_update(key_share=True)
_FINISHED = DEAD | {Status.PURCHASED, Status.RELEASING}


class WrongMove(Exception):
    """A change of status that the state machine does not have: a bug in the caller."""


def new_id() -> str:
    """A new id: UUID version 7, so that ids rise with time and indexes stay compact."""
    return str(uuid7())


def some_numbers(rows: Sequence[Mapping[str, Any]]) -> str:
    """The numbers of purchases for the log: the first few, and how many more there are."""
    shown = ", ".join(row["number"] for row in rows[:_LOGGED])
    return f"{shown} and {len(rows) - _LOGGED:,} more" if len(rows) > _LOGGED else shown


def find(conn: Connection, purchase_id: str) -> Row | None:
    """The purchase, not locked."""
    return _one(conn, _FIND, purchase_id)


def lock(conn: Connection, purchase_id: str) -> Row | None:
    """The purchase, locked until the transaction ends; lines may come to point to it all the same."""
    return _one(conn, _LOCK, purchase_id)


def version(row: Mapping[str, Any]) -> str:
    """What tells a purchase as it is from itself as it was, as a text that no spreadsheet computes.

    Its revision and its last call: a database that went back in time gives revisions again.
    """
    called = row["call_deadline"]
    return f"r{row['revision']}-{0 if called is None else round(called.timestamp() * 1_000_000):x}"


def watched(watch: Watch, longest: float) -> datetime:
    """Since when a purchase waits at the most, by its `updated_at`, of which all the wait was watched.

    None waits for more than *longest* s.
    """
    return ALWAYS if watch.seconds >= longest else watch.since


def move(conn: Connection, row: Mapping[str, Any], to: Status, now: datetime, **changes: Any) -> Row | None:
    """Move *row* to another status and write the event that tells of it.

    Returns the row after, or None where it is not at *row*'s status and revision any more.
    Raises WrongMove for a move that the state machine does not have.
    """
    after = move_untold(conn, row, to, now, **changes)
    if after is not None and to != row["status"]:
        tell_status(conn, [after], now)
    return after


def move_untold(conn: Connection, row: Mapping[str, Any], to: Status, now: datetime, **changes: Any) -> Row | None:
    """The same for a move that its status' event would not tell of: the caller writes the one that does."""
    values = _values(row, to, now) | changes
    # Who asked for it too may have come since *row* was read, and so may evidence of an earlier call.
    found = conn.execute(_move_one(tuple(sorted(values))), _expected(row, to) | values).first()
    if found is None:
        return None
    return {**row, **values, "joined": found.joined, "doubt": found.doubt}


def is_as_it_was(present: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether a purchase, or a release, has not moved since it was *row*.

    A database that went back in time gives revisions again.
    """
    return all(present[name] == row[name] for name in ("revision", "status", "call_deadline"))


def move_all(
    conn: Connection, moves: Sequence[tuple[Mapping[str, Any], Row]], to: Status, now: datetime
) -> list[Row] | None:
    """Move rows as `move` does, each with its changes, which are of the same columns for all of them.

    The rows are locked. Returns None where not all are at their status and revision: which ones is not known, so roll
    it back.
    """
    values = [_values(row, to, now) | changes for row, changes in moves]
    expected = [_expected(row, to) for row, _ in moves]
    statement = _compare_and_set(tuple(sorted(values[0])))
    changed = conn.execute(statement, [at | new for at, new in zip(expected, values, strict=True)])
    if changed.rowcount != len(moves):
        return None
    after = [{**row, **new} for (row, _), new in zip(moves, values, strict=True)]
    steps = zip(expected, after, strict=True)
    tell_status(conn, [row for at, row in steps if at["at_status"] != to], now)
    return after


def tell_status(conn: Connection, rows: Sequence[Row], now: datetime) -> None:
    """Write the event of each row's status, where it has one: one for each request that the purchase answers.

    They have the same `sequence`, and differ in what `own_data` says.
    """
    told = [row for row in rows if row["status"] in EVENT_OF]
    further = _further(conn, {row["id"]: row for row in told if row["joined"]})
    emit(conn, [status_event(row, now, **own) for row in told for own in ({}, *further.get(row["id"], ()))])


def tell_requesters(conn: Connection, kind: EventType, row: Row, now: datetime, **data: Any) -> None:
    """Write an event of *kind* for each request that a purchase answers; *data* adds to its fields."""
    further = _further(conn, {row["id"]: row} if row["joined"] else {})
    emit(conn, [purchase_event(kind, row, now, **data, **own) for own in ({}, *further.get(row["id"], ()))])


def status_event(row: Mapping[str, Any], now: datetime, **data: Any) -> Row:
    """The outbox row that tells of a purchase's status; *data* adds to its fields."""
    return purchase_event(EVENT_OF[Status(row["status"])], row, now, **data)


def own_data(key: str | None, metadata: Row, order_id: str | None, traceparent: str | None = None) -> Row:
    """What is a request's own in the events of a purchase that was another's before."""
    return {"idempotency_key": key, "metadata": metadata, "order_id": order_id, "traceparent": traceparent}


def _further(conn: Connection, joined: Mapping[str, Row]) -> dict[str, list[Row]]:
    """The own data of those who asked for the purchases later, by purchase."""
    if not joined:
        return {}
    at = KEY.c
    query = select(KEY).where(at.purchase_id.in_(joined)).order_by(at.created_at, at.idempotency_key)
    found: dict[str, list[Row]] = {}
    for one in conn.execute(query).mappings():
        row = joined[one["purchase_id"]]
        if one["idempotency_key"] != row["idempotency_key"]:
            # Keys of an older version came without: it told them all the first one's.
            metadata = row["metadata"] if one["metadata"] is None else one["metadata"]
            found.setdefault(row["id"], []).append(
                own_data(one["idempotency_key"], metadata, one["order_id"], one["traceparent"])
            )
    return found


def _expected(row: Mapping[str, Any], to: Status) -> Row:
    at = Status(row["status"])
    if to not in MOVES[at] and to != at:
        raise WrongMove(f"{at} -> {to}")
    return {"at_id": row["id"], "at_status": str(at), "at_revision": row["revision"]}


@cache
def _compare_and_set(columns: tuple[str, ...]) -> Update:
    """Built once for each set of columns: building a statement costs more than running it."""
    at = PURCHASE.c
    return (
        update(PURCHASE)
        .where(
            at.id == bindparam("at_id"), at.status == bindparam("at_status"), at.revision == bindparam("at_revision")
        )
        .values({name: bindparam(name) for name in columns})
    )


@cache
def _move_one(columns: tuple[str, ...]) -> ReturningUpdate[tuple[bool, bool]]:
    return _compare_and_set(columns).returning(PURCHASE.c.joined, PURCHASE.c.doubt)


def emit(conn: Connection, events: Sequence[Row]) -> None:
    """Write events to the outbox."""
    if events:
        conn.execute(_INSERT_EVENT, list(events))


def purchase_event(kind: EventType, row: Mapping[str, Any], now: datetime, **data: Any) -> Row:
    """An outbox row that tells of a purchase; *data* adds to its fields, but for a `traceparent` of its own."""
    traceparent = data.pop("traceparent", row.get("traceparent"))
    return {
        "id": new_id(),
        "type": kind,
        "source": provider_source(row["provider"]),
        "subject": row["number"],
        "sequence": row["revision"],
        "time": now,
        "data": {**purchase_data(row), **data},
        "traceparent": traceparent,
    }


def other_event(kind: EventType, now: datetime, data: Row, *, provider: str | None, subject: str | None) -> Row:
    """An outbox row about an order, a request or a provider."""
    source = ORDERS_SOURCE if provider is None else provider_source(provider)
    return {
        "id": new_id(),
        "type": kind,
        "source": source,
        "subject": subject,
        "sequence": None,
        "time": now,
        "data": data,
        "traceparent": present(),
    }


def insert_new(conn: Connection, table: Table, rows: Iterable[Row]) -> None:
    """Insert the rows that meet no unique index; leave out the others."""
    batch = list(rows)
    if batch:
        conn.execute(_insert_new(conn.dialect.name, table), batch)


def insert_once(conn: Connection, table: Table, row: Row) -> bool:
    """Insert the row unless it meets a unique index. Returns whether it is new."""
    return conn.execute(_insert_new(conn.dialect.name, table).returning(*table.primary_key), row).first() is not None


@cache
def _insert_new(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    if dialect == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def _values(row: Mapping[str, Any], to: Status, now: datetime) -> Row:
    finished = to in _FINISHED
    return {
        "status": str(to),
        "revision": row["revision"] + 1,
        "success": success_of(to),
        "updated_at": now,
        "finished_at": now if finished else None,
        **({"due_at": None} if finished or to is Status.HELD else {}),
    }


def _one(conn: Connection, query: Select[Any], purchase_id: str) -> Row | None:
    found = conn.execute(query, {"wanted": purchase_id}).mappings().first()
    return None if found is None else dict(found)

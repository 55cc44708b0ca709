"""Reads for people and programs; nothing here changes a row."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, ScalarSelect, String, Table, and_, cast, exists, func, select, tuple_

from schemas.events import provider_source
from schemas.status import Status
from schemas.tables.purchases import (
    ALIVE,
    ATTEMPT,
    EVENT,
    FOLLOWED,
    HELD,
    LINE,
    NOT_BOUGHT,
    ORDER,
    PROVIDER,
    PURCHASE,
    QUEUED,
    RUNNING,
    SHARED,
)
from tasks.ledger.queue.standing import in_force
from tasks.ledger.rows import Read, Row, version
from tasks.policies.accounts import Account

STEP = 1000
"""Lines that one transaction reads of an order."""

_FEW = 500
"""So many purchases are found by their ids quicker than among all others."""

_INDEXED = {
    Status.QUEUED: QUEUED,
    Status.DISPATCHED: RUNNING,
    Status.PURCHASING: RUNNING,
    Status.PROCESSING: FOLLOWED,
    Status.UNKNOWN: FOLLOWED,
    Status.HELD: HELD,
    **dict.fromkeys((Status.FAILED, Status.CANCELLED, Status.RELEASING, Status.RELEASED), NOT_BOUGHT),
}
"""The condition of the index that finds a status; of all others that one may have few, most purchases are bought."""

_REPLACEABLE = (Status.FAILED, Status.CANCELLED)
"""What `dialstock order retry` buys again."""


def order_counts(conn: Connection, order_id: str) -> list[Row]:
    """How many of the order's lines are in each status, by provider: rows of provider, status, count.

    Counted in an index, without its 100,000 lines: purchases that a retry replaced are taken off again. They are looked
    for only where there are more purchases than lines: each line has one.
    """
    at = PURCHASE.c
    own = (
        select(at.provider, at.status, func.count().label("count"))
        .where(at.order_id == order_id)
        .group_by(at.status, at.provider)
    )
    shared = (
        select(LINE.c.provider, at.status, func.count().label("count"))
        .join(PURCHASE, at.id == LINE.c.purchase_id)
        .where(LINE.c.order_id == order_id, SHARED)
        .group_by(LINE.c.provider, at.status)
    )
    line = exists().where(LINE.c.purchase_id == at.id, LINE.c.order_id == order_id)
    replaced = own.where(at.status.in_(_REPLACEABLE), ~line)
    totals: Counter[tuple[str, str]] = Counter()
    for query in (own, shared):
        for provider, status, count in conn.execute(query):
            totals[provider, status] += count
    if totals.total() != conn.execute(select(ORDER.c.lines).where(ORDER.c.id == order_id)).scalar():
        for provider, status, count in conn.execute(replaced):
            totals[provider, status] -= count
    return [{"provider": p, "status": s, "count": n} for (p, s), n in sorted(totals.items()) if n]


def find_order(conn: Connection, order_id: str) -> Row | None:
    """One order."""
    found = conn.execute(select(ORDER).where(ORDER.c.id == order_id)).mappings().first()
    return None if found is None else dict(found)


def list_orders(conn: Connection, limit: int, *, before: str | None = None) -> list[Row]:
    """The latest orders, newest first; with *before* those that are older than the order of that id."""
    query = select(ORDER).order_by(ORDER.c.created_at.desc(), ORDER.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(tuple_(ORDER.c.created_at, ORDER.c.id) < _place_of(before))
    return [dict(row) for row in conn.execute(query).mappings()]


def _place_of(order_id: str) -> ScalarSelect[Any]:
    return select(ORDER.c.created_at, ORDER.c.id).where(ORDER.c.id == order_id).scalar_subquery()


def each_result(read: Read, order_id: str, status: str | None = None) -> Iterator[Row]:
    """Each line of an order once, as `order_results` gives it, however slowly it is taken.

    Read in steps: each line is as of its step's moment, and no transaction is open in between.
    """
    last = 0
    while True:
        with read() as conn:
            rows = order_results(conn, order_id, status, after=last, limit=STEP)
        yield from rows
        if len(rows) < STEP:
            return
        last = rows[-1]["line"]


def each_metadata(read: Read, order_id: str) -> Iterator[Row]:
    """The metadata of each line of an order, read in steps as `each_result`."""
    query = (
        select(LINE.c.line, LINE.c.metadata.label("line_metadata"), PURCHASE.c.metadata)
        .join(PURCHASE, PURCHASE.c.id == LINE.c.purchase_id)
        .where(LINE.c.order_id == order_id)
        .order_by(LINE.c.line)
        .limit(STEP)
    )
    last = 0
    while True:
        with read() as conn:
            rows = conn.execute(query.where(LINE.c.line > last)).all()
        yield from (row.metadata if row.line_metadata is None else row.line_metadata for row in rows)
        if len(rows) < STEP:
            return
        last = rows[-1].line


def order_results(
    conn: Connection, order_id: str, status: str | None = None, *, after: int = 0, limit: int = STEP
) -> list[Row]:
    """The next *limit* lines of an order with their purchases, in the file's order; only those in *status*, if given.

    The key stands only where the line made its purchase: that of another's request is not the line's own.
    """
    at = PURCHASE.c
    query = (
        select(LINE.c.line, LINE.c.wish, LINE.c.metadata.label("line_metadata"), PURCHASE)
        .join(PURCHASE, at.id == LINE.c.purchase_id)
        .where(LINE.c.order_id == order_id, LINE.c.line > after)
        .order_by(LINE.c.line)
        .limit(limit)
    )
    if status is not None:
        query = query.where(at.status == status)
    return [_as_the_lines_own(dict(row)) for row in conn.execute(query).mappings()]


def _as_the_lines_own(row: Row) -> Row:
    own = {} if row["line_metadata"] is None else {"metadata": row["line_metadata"], "idempotency_key": None}
    return {**row, "purchase_id": row["id"], "version": version(row), **own}


def list_purchases(conn: Connection, limit: int, *, before: str | None = None, **equal: Any) -> list[Row]:
    """The latest purchases whose columns equal the given values, newest first, each with its `version`.

    With *before* those that are older than the purchase of that id.
    """
    query = select(PURCHASE).order_by(PURCHASE.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(PURCHASE.c.id < before)
    for name, value in equal.items():
        query = query.where(PURCHASE.c[name] == value)
    if (few := _few(conn, equal)) is not None:
        query = query.where(PURCHASE.c.id.in_(few))
    return [{**row, "version": version(row)} for row in map(dict, conn.execute(query).mappings())]


def _few(conn: Connection, equal: Mapping[str, Any]) -> Sequence[str] | None:
    """The ids of a status or a provider that has few purchases: read newest first, all others would be passed over."""
    at = PURCHASE.c
    status, provider = equal.get("status"), equal.get("provider")
    conditions = [and_(_INDEXED[status], at.status == status)] if status in _INDEXED else []
    conditions += [at.provider == provider] if provider else []
    for condition in conditions:
        ids = conn.execute(select(at.id).where(condition).limit(_FEW + 1)).scalars().all()
        if len(ids) <= _FEW:
            return ids
    return None


def held_purchases(conn: Connection, order_id: str | None, **equal: str) -> list[str]:
    """The ids of the held purchases whose columns equal the given values; those on a line of an order, if given."""
    query = select(PURCHASE.c.id).where(HELD).order_by(PURCHASE.c.id)
    for name, value in equal.items():
        query = query.where(PURCHASE.c[name] == value)
    if order_id is not None:
        lines = select(LINE.c.purchase_id).where(LINE.c.order_id == order_id)
        query = query.where(PURCHASE.c.id.in_(lines))
    return list(conn.execute(query).scalars())


def numbers_of(conn: Connection, ids: Sequence[str]) -> list[Row]:
    """The ids and numbers of purchases."""
    query = select(PURCHASE.c.id, PURCHASE.c.number).where(PURCHASE.c.id.in_(ids)).order_by(PURCHASE.c.id)
    return [dict(row) for row in conn.execute(query).mappings()]


def last_attempts(conn: Connection, ids: Sequence[str]) -> dict[str, Row]:
    """The last call of each purchase that had any."""
    query = select(ATTEMPT).where(ATTEMPT.c.purchase_id.in_(ids)).order_by(ATTEMPT.c.revision)
    return {row["purchase_id"]: dict(row) for row in conn.execute(query).mappings()}


def attempts_of(conn: Connection, purchase_id: str) -> list[Row]:
    """The calls made for a purchase, first to last."""
    query = select(ATTEMPT).where(ATTEMPT.c.purchase_id == purchase_id).order_by(ATTEMPT.c.revision)
    return [dict(row) for row in conn.execute(query).mappings()]


def provider_states(conn: Connection, accounts: Iterable[Account]) -> dict[str, Row]:
    """The state row of each provider that was ever used, by alias; *accounts* are those of the file.

    Of the file's aliases with the pause that stops it, which may be its account's.
    """
    rows = {row["provider"]: dict(row) for row in conn.execute(select(PROVIDER)).mappings()}
    states, under = dict(rows), defaultdict[str | None, list[Row]](list)
    for row in rows.values():
        under[row["account"]].append(row)
    for account, aliases in ((one.name, one.aliases) for one in accounts):
        mine = [row for row in under[account] if row["provider"] not in aliases]
        mine += [rows[alias] for alias in aliases if alias in rows]
        states |= {alias: state for alias in aliases if (state := in_force(mine, alias, aliases)) is not None}
    return states


def status_counts(conn: Connection) -> list[Row]:
    """All purchases by provider and status: counted by order first, which is the order of an index of these three."""
    at = PURCHASE.c
    query = select(at.provider, at.status, func.count().label("count")).group_by(at.order_id, at.status, at.provider)
    totals: Counter[tuple[str, str]] = Counter()
    for provider, status, count in conn.execute(query):
        totals[provider, status] += count
    return [{"provider": provider, "status": status, "count": count} for (provider, status), count in totals.items()]


def open_counts(conn: Connection) -> dict[str, Row]:
    """What each provider has under way, by alias: queued, running, followed (in doubt or not usable yet), held."""
    found: dict[str, Row] = {}
    for name, condition in (("queued", QUEUED), ("running", RUNNING), ("followed", FOLLOWED), ("held", HELD)):
        query = select(PURCHASE.c.provider, func.count()).where(condition).group_by(PURCHASE.c.provider)
        for provider, count in conn.execute(query):
            found.setdefault(provider, {})[name] = count
    return found


def next_due(conn: Connection, provider: str, order_id: str | None) -> dict[str, datetime]:
    """When the next of an order's purchases is due: `queued` for a call, `followed` for a look; None: the singles."""
    at = PURCHASE.c
    times: dict[str, datetime] = {}
    for name, condition in (("queued", QUEUED), ("followed", FOLLOWED)):
        where = (at.provider == provider, condition, at.order_id == order_id)
        first = conn.execute(select(at.due_at).where(*where).order_by(at.due_at).limit(1)).scalar()
        if first is not None:
            times[name] = first
    return times


def alive_purchases(conn: Connection, account: str, numbers: Sequence[str]) -> dict[str, Status]:
    """Those of *numbers* that are bought or in work at *account*, with their status."""
    at = PURCHASE.c
    query = select(at.number, at.status).where(at.account == account, at.number.in_(numbers), ALIVE)
    return {number: Status(status) for number, status in conn.execute(query)}


def events_of(conn: Connection, purchase: Row) -> list[Row]:
    """The events that told of a purchase, first to last, as long as they are kept."""
    at = EVENT.c
    query = select(EVENT).where(
        at.time >= purchase["created_at"],
        at.subject == purchase["number"],
        at.source == provider_source(purchase["provider"]),
    )
    found = [dict(row) for row in conn.execute(query).mappings()]
    # sorted here: asked for in order, the database would walk the whole table
    return sorted((e for e in found if e["data"].get("purchase_id") == purchase["id"]), key=lambda e: e["seq"])


def ids_between(conn: Connection, table: Table, low: str, high: str, limit: int) -> list[str]:
    """At most *limit* ids of *table* from *low* to *high*, both included."""
    query = select(table.c.id).where(table.c.id >= low, table.c.id <= high).order_by(table.c.id).limit(limit)
    return list(conn.execute(query).scalars())


def ids_like(conn: Connection, table: Table, pattern: str, limit: int) -> list[str]:
    """At most *limit* ids of *table* whose text is LIKE *pattern*: all ids are read, for a person who waits."""
    text = cast(table.c.id, String(36))
    return list(conn.execute(select(table.c.id).where(text.like(pattern)).limit(limit)).scalars())


def latest_id(conn: Connection, table: Table) -> str | None:
    """The newest id of *table*: ids rise with time."""
    return conn.execute(select(table.c.id).order_by(table.c.id.desc()).limit(1)).scalar()

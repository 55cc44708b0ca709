"""Acceptance: requests become rows. A number that is alive already, or a key seen before, gets that purchase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, func, insert, or_, select, update

from schemas.events import EVENT_OF, EventType
from schemas.money import Price, price_columns
from schemas.requests import BuyNumber, RequestError
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import ALIVE, KEY, LINE, ORDER, PURCHASE
from tasks.ledger.among import among
from tasks.ledger.locking import hold
from tasks.ledger.outdated import require_current
from tasks.ledger.requests.joining import join, keep_keys, refuse_releasing, remember_keys, require_standing
from tasks.ledger.requests.takeover import change_hands
from tasks.ledger.rows import Row, emit, insert_new, lock, new_id, own_data, purchase_event, status_event
from tasks.telemetry.traceparent import present
from tasks.transactions import Raced

_LOADING = and_(ORDER.c.status == OrderStatus.LOADING, ORDER.c.cancel_requested_at.is_(None))
_NOT_WHOLE = (OrderStatus.LOADING, OrderStatus.ABANDONED)
# Built once: building a statement costs more than running it.
_ALIVE_WITH = select(PURCHASE).where(
    PURCHASE.c.account == bindparam("owner"), among(PURCHASE.c.number, "numbers"), ALIVE
)
_WITH_KEYS = (
    select(KEY.c.idempotency_key.label("key"), KEY.c.fingerprint, PURCHASE)
    .join(PURCHASE, PURCHASE.c.id == KEY.c.purchase_id)
    .where(among(KEY.c.idempotency_key, "keys"))
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One request on its way into the ledger, with its provider's account, and the pool that it is for, if any.

    `price` is what a search told of the number.
    """

    request: BuyNumber
    account: str
    line: int = 0
    pool: str | None = None
    price: Price | None = None


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The purchase that answers a request.

    `created` is false where it was there before; `taken` is true where it changed hands: it was a loading order's, or
    about to be cancelled. `known` is true where the request's key came before; `joined` where the key is new, and the
    purchase another's: it is locked, and tells of its status under this key too from now on.
    """

    row: Row
    created: bool
    taken: bool = False
    known: bool = False
    joined: bool = False


def accept(conn: Connection, entries: Sequence[Entry], now: datetime, order_id: str | None = None) -> list[Accepted]:
    """Find or create the purchase of each entry, in their order.

    Raises RequestError (key_conflict) where a key came before with another request, and (being_released) for a number
    that is on its way back to its provider, Raced to be run again, and Outdated where a process that started later has
    another account for one of the aliases.
    """
    require_current(conn, {entry.request.provider: entry.account for entry in entries})
    known = _by_key(conn, entries)
    made, rows = _find_or_create(conn, entries, known, now, order_id)
    refuse_releasing(
        row for entry, row in zip(entries, rows, strict=True) if entry.request.idempotency_key not in known
    )
    joined = remember_keys(conn, known, [e.request for e in entries], rows, now=now, order_id=order_id)
    rows = join(conn, rows, joined.values())
    # A single request with a known key was delivered again: it takes back no cancel that came since.
    wanted = [row for e, row in zip(entries, rows, strict=True) if order_id or e.request.idempotency_key not in known]
    if order_id:
        held = hold(conn, [row["id"] for n, row in enumerate(rows) if n not in made or made[n]["id"] != row["id"]])
        # Given back, or failed, between the read and the lock: a line has no key that would be joined with it.
        require_standing({**rows[n], "status": held[rows[n]["id"]]} for n in made if rows[n]["id"] in held)
    taken = change_hands(conn, rows, wanted, order_id, now)
    keep_keys(conn, known, [entry.request for entry in entries], order_id)
    # Of two entries with the same number, the first created it, or took it.
    first = {row["id"]: n for n, row in reversed([*enumerate(rows)])}
    ours = {n for n, row in enumerate(rows) if n in made and made[n]["id"] == row["id"]}
    return [
        Accepted(
            row=row,
            created=n in ours,
            taken=row["id"] in taken and first[row["id"]] == n,
            known=entries[n].request.idempotency_key in known,
            joined=joined.get(entries[n].request.idempotency_key) == n,
        )
        for n, row in enumerate(rows)
    ]


def _find_or_create(
    conn: Connection, entries: Sequence[Entry], known: Mapping[str | None, Row], now: datetime, order_id: str | None
) -> tuple[dict[int, Row], list[Row]]:
    """The rows that were to be made, by the place of their entries, and the purchases of all. Raises Raced."""
    # Two transactions that insert the same numbers in another order would wait for each other for ever.
    places = [place for place, entry in enumerate(entries) if entry.request.idempotency_key not in known]
    made = {n: _new_row(entries[n], now, order_id) for n in sorted(places, key=lambda n: _identity(entries[n]))}
    fresh = [entries[n] for n in made]
    alive = _alive(conn, fresh)
    insert_new(conn, PURCHASE, [row for row in made.values() if (row["account"], row["number"]) not in alive])
    alive = _alive(conn, fresh)
    answers = [known.get(e.request.idempotency_key or "") or alive.get(_identity(e)) for e in entries]
    if any(answer is None for answer in answers):
        raise Raced
    return made, [answer for answer in answers if answer is not None]


def tell_accepted(conn: Connection, accepted: Accepted, request: BuyNumber, now: datetime) -> None:
    """Write the event of an acceptance, with what is the request's own.

    A repeat tells the present status, after all that told of it. Who joined a purchase whose status was told before is
    told of it now.
    """
    here = accepted.created or accepted.joined
    row = accepted.row if here else lock(conn, accepted.row["id"]) or accepted.row
    order_id = row["order_id"] if request.idempotency_key == row["idempotency_key"] else None
    own = own_data(request.idempotency_key, request.metadata, order_id, present())
    emit(conn, [purchase_event(EventType.ACCEPTED, row, now, repeat=not accepted.created, **own)])
    _tell_joined(conn, [(accepted, own)], now)


def _tell_joined(conn: Connection, answers: Sequence[tuple[Accepted, Row]], now: datetime) -> None:
    """Write the events of those who joined too late to be told with the others; each comes with its own data."""
    late = [(one.row, own) for one, own in answers if one.joined and one.row["status"] in EVENT_OF]
    emit(conn, [status_event(row, now, **own) for row, own in late])


def accept_lines(conn: Connection, order_id: str, entries: Sequence[Entry], now: datetime) -> list[Accepted]:
    """Accept lines of a loading order; lines that stand already (a message delivered again) are left alone.

    Returns nothing where the order is whole already. Raises RequestError (order_abandoned) where it was given up.
    """
    if not _takes_lines(conn, order_id, now):
        return []
    there = select(LINE.c.line).where(LINE.c.order_id == order_id, LINE.c.line.in_([e.line for e in entries]))
    skip = set(conn.execute(there).scalars())
    fresh = [entry for entry in entries if entry.line not in skip]
    accepted = accept(conn, fresh, now, order_id)
    lines = [line_row(order_id, entry, one) for entry, one in zip(fresh, accepted, strict=True)]
    if lines:
        conn.execute(insert(LINE), lines)
    own = [own_data(one.request.idempotency_key, one.request.metadata, order_id, present()) for one in fresh]
    _tell_joined(conn, list(zip(accepted, own, strict=True)), now)
    return accepted


def _takes_lines(conn: Connection, order_id: str, now: datetime) -> bool:
    """Lock the order for this transaction, so that it is not given up meanwhile."""
    touched = conn.execute(update(ORDER).where(ORDER.c.id == order_id, _LOADING).values(updated_at=now))
    if touched.rowcount == 0:
        refuse_given_up(conn, order_id)
    return touched.rowcount == 1


def refuse_given_up(conn: Connection, order_id: str) -> None:
    """Raise RequestError (order_abandoned) where the order was given up, or cancelled, before it was whole.

    So was one that the database does not know any more: it went back in time.
    """
    query = select(ORDER.c.id).where(ORDER.c.id == order_id, or_(ORDER.c.status.not_in(_NOT_WHOLE), _LOADING))
    if conn.execute(query).first() is None:
        message = f"order {order_id} was given up before it was whole, nothing of it was bought: send it as a new order"
        raise RequestError(message, "order_abandoned")


def begin_order(conn: Connection, order: Row, now: datetime) -> Row:
    """Create an order in *loading*, or find the one that has its key.

    *order* has id, name, idempotency_key, fingerprint and metadata. Raises RequestError (key_conflict).
    """
    begun = {"status": OrderStatus.LOADING, "lines": 0, "created_at": now, "updated_at": now}
    insert_new(conn, ORDER, [{**order, **begun, "traceparent": present()}])
    same = ORDER.c.id == order["id"]
    if order["idempotency_key"] is not None:
        same = ORDER.c.idempotency_key == order["idempotency_key"]
    found = conn.execute(select(ORDER).where(same)).mappings().first()
    if found is None:
        raise Raced
    if found["fingerprint"] != order["fingerprint"]:
        raise _key_conflict(order["idempotency_key"], f"order {found['id']}")
    return dict(found)


def open_order(conn: Connection, order_id: str, now: datetime) -> bool:
    """Let a whole order start. False where it was not loading (any more)."""
    lines = select(func.count()).select_from(LINE).where(LINE.c.order_id == order_id).scalar_subquery()
    changed = conn.execute(
        update(ORDER)
        .where(ORDER.c.id == order_id, _LOADING)
        .values(status=OrderStatus.OPEN, lines=lines, updated_at=now)
    )
    return changed.rowcount == 1


def key_conflicts(conn: Connection, requests: Sequence[BuyNumber]) -> dict[str, str]:
    """The keys among *requests* that came before with another request, and the purchase they belong to."""
    wanted = {r.idempotency_key: r for r in requests if r.idempotency_key is not None}
    found = conn.execute(select(KEY).where(KEY.c.idempotency_key.in_(wanted))).mappings() if wanted else ()
    return {
        row["idempotency_key"]: row["purchase_id"]
        for row in found
        if row["fingerprint"] != wanted[row["idempotency_key"]].fingerprint
    }


def _identity(entry: Entry) -> tuple[str, str]:
    return entry.account, entry.request.number


def _by_key(conn: Connection, entries: Sequence[Entry]) -> dict[str | None, Row]:
    wanted: dict[str, BuyNumber] = {}
    for request in (entry.request for entry in entries):
        if request.idempotency_key is None:
            continue
        first = wanted.setdefault(request.idempotency_key, request)
        if first is not request and first.fingerprint != request.fingerprint:
            raise _key_conflict(request.idempotency_key, f"for {first.number}, in the same order")
    if not wanted:
        return {}
    known: dict[str | None, Row] = {}
    for found in conn.execute(_WITH_KEYS, {"keys": list(wanted)}).mappings():
        row = dict(found)
        key = row.pop("key")
        if row.pop("fingerprint") != wanted[key].fingerprint:
            raise _key_conflict(key, f"purchase {row['id']}")
        known[key] = row
    return known


def _key_conflict(key: str, owner: str) -> RequestError:
    message = f"idempotency_key: {key!r} came before with another request ({owner}): send a new key for a new request"
    return RequestError(message, "key_conflict")


def _alive(conn: Connection, entries: Sequence[Entry]) -> dict[tuple[str, str], Row]:
    numbers: dict[str, list[str]] = {}
    for entry in entries:
        numbers.setdefault(entry.account, []).append(entry.request.number)
    found: dict[tuple[str, str], Row] = {}
    for account, wanted in numbers.items():
        rows = conn.execute(_ALIVE_WITH, {"owner": account, "numbers": wanted}).mappings()
        found |= {(account, row["number"]): dict(row) for row in rows}
    return found


def _new_row(entry: Entry, now: datetime, order_id: str | None) -> Row:
    request = entry.request
    return {
        "id": new_id(),
        "order_id": order_id,
        "number": request.number,
        "provider": request.provider,
        "account": entry.account,
        "status": Status.QUEUED,
        "already_owned": False,
        "attempts": 0,
        "revision": 0,
        "due_at": now,
        "idempotency_key": request.idempotency_key,
        "options": request.options,
        "metadata": request.metadata,
        "created_at": now,
        "updated_at": now,
        "doubt": False,
        "looks": 0,
        "look_failures": 0,
        "tried_seconds": 0.0,
        "joined": False,
        "pool": entry.pool,
        "traceparent": present(),
        **price_columns(entry.price),
    }


def line_row(order_id: str, entry: Entry, accepted: Accepted) -> Row:
    """The line of an order that *entry* was accepted for."""
    return {
        "order_id": order_id,
        "line": entry.line,
        "number": entry.request.number,
        "provider": entry.request.provider,
        "purchase_id": accepted.row["id"],
        "shared": not (accepted.created or accepted.taken),
        "metadata": None if accepted.created else entry.request.metadata,
    }
